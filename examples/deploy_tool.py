#!/usr/bin/env python3
"""Run one Docker command as trusted tooling: ask, wait for people, then speak to the execution gateway directly.

    python examples/deploy_tool.py --task "Deploy 1.4" docker restart web

Guarantees: exactly the approved command runs, once; a request is repeated where the API is busy, away, or its answer
lost, and people are still asked once; this process holds no Docker socket and starts no shell. It
needs an API key of role worker, and a certificate of role tool, to which the capability is bound:

    wingman keys create deploy --role worker        # its key into WINGMAN_API_KEY
    wingman pki issue tool/deploy                    # certificate and key, beside ca.crt

Environment: WINGMAN_API_URL, WINGMAN_API_KEY, WINGMAN_GATEWAY_ADDRESS (host:port, `wingman up` says it),
WINGMAN_PKI (the directory with ca.crt, tool-deploy.crt and tool-deploy.key).
Exit code: the command's own; 125 where it was refused or did not run, and the reason is printed.
"""

import argparse
import os
import re
import shlex
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1 import gateway_pb2_grpc as pb_grpc

DID_NOT_RUN = 125
SECONDS_FOR_PEOPLE = 900
RUN_SECONDS = 3600
"""Longer than the gateway lets any command run."""
PAUSES = (1, 2, 4, 8, 16, 30)
"""Seconds before each repetition, where the API does not say how many."""
LONGEST_PAUSE = 120
BUSY = {429, 503, 504}
SECONDS = re.compile(r"[0-9]{1,6}")


class Refused(Exception):
    """The API or the gateway said no; nothing ran, or nobody knows the outcome."""


class Api:
    """The REST API, for one run: all its requests carry one Idempotency-Key, so that asking again is asking once.

    Minting a token again does no harm: of several for one approval the gateway lets one be spent.
    """

    def __init__(self, http: httpx.Client, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._http = http
        self._headers = {"Idempotency-Key": str(uuid.uuid4())}
        self._pause = pause

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the API's answer; raise ``Refused`` with its code, its words and the way out."""
        response = self._answered(self._http.build_request(method, path, json=body, headers=self._headers))
        try:
            answer: dict[str, Any] = response.json()
        except ValueError:
            raise Refused(f"HTTP {response.status_code} from something that is not the API") from None
        if response.is_error:
            raise Refused(f"{answer['code']}: {answer['detail']} ({answer['hint']})")
        return answer

    def _answered(self, request: httpx.Request) -> httpx.Response:
        """Return an answer that is final: send the same bytes again after 429, 503, 504, or no answer at all."""
        for seconds in PAUSES:
            try:
                response = self._http.send(request)
            except httpx.TransportError:
                self._pause(seconds)
                continue
            said = response.headers.get("Retry-After", "")
            if not said and response.status_code not in BUSY:
                return response
            asked = int(said) if SECONDS.fullmatch(said) else seconds
            if asked > LONGEST_PAUSE:
                return response
            self._pause(asked)
        try:
            return self._http.send(request)
        except httpx.TransportError as error:
            raise Refused(f"the API does not answer: {error}") from error


def approved(api: Api, worker: str, task: str, command: str) -> str:
    """Ask, wait until enough people said yes, and return the request's id."""
    wish = {"worker_id": worker, "task_name": task, "instruction": task, "commands": [command]}
    request = api.call("POST", "/approvals/request", wish)["request"]
    print(f"{request['id']}: {request['status']}, people needed: {request['people_needed']}", file=sys.stderr)
    deadline = time.monotonic() + SECONDS_FOR_PEOPLE
    while request["status"] == "PENDING" and time.monotonic() < deadline:
        time.sleep(1)
        request = api.call("GET", f"/approvals/{request['id']}")
    if request["status"] not in {"APPROVED", "AUTO_APPROVED"}:
        raise Refused(f"{request['id']} is {request['status']}")
    return str(request["id"])


def run(stub: pb_grpc.ExecutionGatewayStub, token: str, command: str) -> int:
    """Present the capability, stream the output, and return the exit code."""
    request = pb.ExecuteRequest(capability_token=token, command=command)
    for event in stub.Execute(request, timeout=RUN_SECONDS):
        match event.WhichOneof("event"):
            case "accepted":
                print(f"{event.accepted.execution_id}: in the log at {event.accepted.audit_position}", file=sys.stderr)
            case "stdout":
                sys.stdout.buffer.write(event.stdout)
                sys.stdout.flush()
            case "stderr":
                sys.stderr.buffer.write(event.stderr)
                sys.stderr.flush()
            case "progress":
                print(event.progress, file=sys.stderr)
            case "finished":
                outcome = pb.Finished.Outcome.Name(event.finished.outcome).removeprefix("OUTCOME_")
                print(f"{outcome}, exit code {event.finished.exit_code}", file=sys.stderr)
                return event.finished.exit_code if event.finished.exit_code >= 0 else DID_NOT_RUN
    raise Refused("the gateway's answer ended early; the audit log tells the outcome")


def main() -> int:
    """Read the command line, do it, and return the exit code."""
    parser = argparse.ArgumentParser(description="Run one approved Docker command over the execution gateway.")
    parser.add_argument("--worker", default="deploy", help="whose name the request carries: the API key's person")
    parser.add_argument("--task", default="deploy", help="what it is for; people read it")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command, beginning with docker")
    asked = parser.parse_args()
    command = shlex.join(asked.command)
    pki = Path(os.environ["WINGMAN_PKI"])
    certificate, key = (pki / f"tool-deploy.{end}" for end in ("crt", "key"))
    thumbprint = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()
    credentials = grpc.ssl_channel_credentials(
        (pki / "ca.crt").read_bytes(), key.read_bytes(), certificate.read_bytes()
    )
    headers = {"Authorization": f"Bearer {os.environ['WINGMAN_API_KEY']}"}
    try:
        with httpx.Client(base_url=os.environ["WINGMAN_API_URL"], headers=headers, timeout=30) as http:
            api = Api(http)
            wanted = {"approval_id": approved(api, asked.worker, asked.task, command), "command": command}
            token = api.call("POST", "/gateway/token", {**wanted, "client_thumbprint": thumbprint})
        with grpc.secure_channel(os.environ["WINGMAN_GATEWAY_ADDRESS"], credentials) as channel:
            return run(pb_grpc.ExecutionGatewayStub(channel), token["capability_token"], token["command"])
    except Refused as refusal:
        print(f"refused  {refusal}", file=sys.stderr)
    except grpc.RpcError as error:
        print(f"refused  {error.code().name}: {error.details()}", file=sys.stderr)
    return DID_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())

"""The process: TLS 1.3 alone, one line where it cannot start, an orderly end."""

import asyncio
import signal
import ssl
import sys
from pathlib import Path

import pytest

from tests.gateway.conftest import FakeEngine, Minter, Outage, eventually, execute, refusal
from tests.gateway.process import GatewayProcess, environ_of, gateway_process
from wingman_cli.pki import Authority
from wingman_gateway.server import new_execution_id
from wingman_gateway.settings import Settings
from wingman_rpc.v1.gateway_pb2 import ExecuteRequest
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub


async def _handshake(pki: Authority, port: int, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    if version is ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.load_verify_locations(pki.certificate)
    leaf = pki.leaf("api")
    context.load_cert_chain(leaf.certificate, leaf.key)
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    agreed: str | None = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return agreed


async def test_tls_1_2_is_refused_with_every_suite_there_is_and_tls_1_3_is_served(settings: Settings, pki: Authority):
    async with gateway_process(environ_of(settings)) as running:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _handshake(pki, running.port, ssl.TLSVersion.TLSv1_2)
        assert await _handshake(pki, running.port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


async def test_it_starts_without_engine_and_database_and_says_that_it_is_not_fit(
    settings: Settings, pki: Authority, tmp_path: Path, outage: Outage
):
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with outage():
        environ = environ_of(settings, WINGMAN_DOCKER_HOST=f"unix://{tmp_path}/none.sock")
        async with gateway_process(environ) as running, running.channel(pki) as channel:
            await eventually(lambda: _look(running))
            look = await _look(running)
            assert look is not None
            assert (look["engine"], look["database"]) == (False, False)
            assert "ENGINE_UNAVAILABLE" in str(look["reasons"])
            assert "DATABASE_UNAVAILABLE" in str(look["reasons"])
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert await running.end(signal.SIGTERM) == 0


async def _look(running: GatewayProcess) -> dict[str, object] | None:
    return next((line for line in running.lines if line["event"] == "health"), None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_in_order_and_says_so(settings: Settings, tmp_path: Path, number: signal.Signals):
    environ = environ_of(settings, WINGMAN_DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    async with gateway_process(environ) as running:
        assert await running.end(number) == 0
    said = [line["event"] for line in running.lines if line["event"] != "health"]
    assert said[-2:] == ["draining", "stopped"]
    assert settings.db_password.get_secret_value() not in str(running.lines)


async def _fails(environ: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wingman_gateway", env=environ, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert process.returncode == 2
    (line,) = errors.decode().splitlines()
    return line


async def test_a_missing_setting_is_one_line_and_exit_2(settings: Settings):
    environ = environ_of(settings)
    del environ["WINGMAN_LOG_ID"]
    assert await _fails(environ) == (
        "wingman-gateway: SETTING_INVALID: WINGMAN_LOG_ID: field required (set WINGMAN_LOG_ID in the environment)"
    )


async def test_a_loose_key_is_one_line_and_exit_2(settings: Settings, tmp_path: Path):
    loose = tmp_path / "loose.key"
    loose.write_bytes(settings.checkpoint_key.read_bytes())
    loose.chmod(0o644)
    line = await _fails(environ_of(settings, WINGMAN_CHECKPOINT_KEY=str(loose)))
    assert "WINGMAN_CHECKPOINT_KEY" in line
    assert "chmod 600" in line


async def test_a_policy_that_does_not_validate_is_one_line_and_exit_2(settings: Settings, tmp_path: Path):
    (tmp_path / "policies").mkdir()
    line = await _fails(environ_of(settings, WINGMAN_POLICY_DIR=str(tmp_path / "policies")))
    assert line.startswith("wingman-gateway: POLICY_INVALID")


async def test_a_taken_port_and_a_taken_journal_are_one_line_and_exit_2(settings: Settings, tmp_path: Path):
    async with gateway_process(environ_of(settings)) as running:
        assert "WINGMAN_JOURNAL" in await _fails(environ_of(settings))
        environ = environ_of(
            settings, WINGMAN_JOURNAL=str(tmp_path / "other"), WINGMAN_GATEWAY_LISTEN=f"127.0.0.1:{running.port}"
        )
        assert "WINGMAN_GATEWAY_LISTEN" in await _fails(environ)


async def test_an_approved_command_runs_on_a_real_engine(
    settings: Settings, pki: Authority, minter: Minter, engine_url: str
):
    async with gateway_process(environ_of(settings, WINGMAN_DOCKER_HOST=engine_url)) as running:
        await running.serving(pki)
        async with running.channel(pki) as channel:
            said = await execute(channel, minter.mint("docker ps", FakeEngine(), by=()), "docker ps")
            assert said.stdout.startswith(b"CONTAINER ID")
            assert said.finished.exit_code == 0
            for correlation, told in (("abc-1", "abc-1"), ("two words", None)):
                call = ExecutionGatewayStub(channel).Execute(
                    ExecuteRequest(capability_token="x", command="docker ps"),
                    metadata=(("x-correlation-id", correlation),),
                    timeout=30,
                )
                assert (await refusal(anext(aiter(call)))).reason == "TOKEN_MALFORMED"
                await eventually(lambda told=told: _refused(running, told))
    executed = next(line for line in running.lines if line["event"] == "executed")
    assert (executed["execution"], executed["outcome"]) == (said.accepted.execution_id, "SUCCEEDED")
    assert "correlation_id" not in executed  # the caller named none
    assert all(str(line["execution"]).startswith("exe_") for line in running.lines if line["event"] == "refused")


async def _refused(running: GatewayProcess, correlation: str | None) -> bool:
    return any(line["event"] == "refused" and line.get("correlation_id") == correlation for line in running.lines)


def test_execution_ids_are_distinct_sorted_by_time_and_of_their_form():
    ids = [new_execution_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(len(each) == 30 and each.startswith("exe_") and each[4:].isalnum() and each.islower() for each in ids)
    assert sorted(each[:12] for each in ids) == [each[:12] for each in ids]

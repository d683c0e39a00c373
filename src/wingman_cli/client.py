"""The REST API from a shell: one method an endpoint, the API's own schemas as answers.

Guarantees: a problem that the API answers is raised as ``WingmanError`` with its code, words and way out;
output is followed to its end over cut connections, each event once.
Does not: repeat anything that changes something (the caller may).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from wingman_api.approvals.schemas import AskedAnswer, PendingAnswer, RequestDetail, RequestView
from wingman_api.executions.schemas import ExecutionView, OutputEvent, StartedAnswer
from wingman_api.previews import PreviewView
from wingman_api.problems import Problem
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_core.event_stream import Event, events_of
from wingman_core.receipt import Receipt

TIMEOUT: Final = 30.0
PATIENCE: Final = 130.0
"""Seconds for an execution to be accepted; longer than the API waits for its gateway, so that it tells which it was."""
RECONNECTS: Final = 5
"""Times in a row that following output may fail before it gives up."""
PAUSE: Final = 0.2
"""Seconds before the first of them; each next one waits twice as long."""
BUSY: Final = 503
RESERVED: Final = frozenset({"code", "message", "hint", "self"})
"""Names that an error's details cannot have."""

Answer = TypeVar("Answer", bound=BaseModel)


def open_http(address: str, key: str) -> httpx.Client:
    """Return a connection to the API at ``address``, as the holder of ``key`` (empty: nobody in particular)."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT, follow_redirects=False)


class Client:
    """One API, as one caller; a context manager that closes the connection."""

    def __init__(self, http: httpx.Client, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Take a connection that ``open_http`` made; ``pause`` waits seconds between two tries."""
        self._http = http
        self._pause = pause

    def request(self, wish: dict[str, str | list[str]]) -> AskedAnswer:
        """Ask for approval (fields as ``POST /approvals/request`` has them)."""
        return self._call(AskedAnswer, "POST", "/approvals/request", json=wish)

    def pending(self, limit: int) -> PendingAnswer:
        """Return the requests that wait for people."""
        return self._call(PendingAnswer, "GET", "/approvals/pending", params={"limit": str(limit)})

    def approval(self, request_id: str) -> RequestDetail:
        """Return one request with its history."""
        return self._call(RequestDetail, "GET", f"/approvals/{_segment(request_id)}")

    def decide(self, request_id: str, verb: Literal["approve", "reject", "cancel"], note: str) -> RequestView:
        """Record the caller's decision."""
        return self._call(RequestView, "POST", f"/approvals/{_segment(request_id)}/{verb}", json={"note": note})

    def execute(self, approval_id: str) -> StartedAnswer:
        """Run an approved command; return once it counts as run."""
        return self._call(StartedAnswer, "POST", "/executions", json={"approval_id": approval_id}, timeout=PATIENCE)

    def execution(self, execution_id: str) -> ExecutionView:
        """Return an execution's record."""
        with _naming(execution_id):
            return self._call(ExecutionView, "GET", f"/executions/{_segment(execution_id)}")

    def receipt(self, execution_id: str) -> Receipt:
        """Return the receipt of an execution, as it came; it is not verified."""
        return self._call(Receipt, "GET", f"/audit/{_segment(execution_id)}/receipt")

    def explain(self, command: str, worker: str = "") -> PreviewView:
        """Return what a command would do now, and what the policy says of it."""
        params = {"command": command} | ({"worker_id": worker} if worker else {})
        return self._call(PreviewView, "GET", "/policy/explain", params=params)

    def output(self, execution_id: str) -> Iterator[OutputEvent]:
        """Yield an execution's output as it comes, from its beginning to its end."""
        path, last, waited = f"/executions/{_segment(execution_id)}/output", "", 0
        while True:
            lost: Exception = ConnectionResetError()
            try:
                with _naming(execution_id):
                    for event in self._events(path, last):
                        if event.name == "finished":
                            return
                        last, waited = event.id, 0
                        yield _understood(OutputEvent, event.data)
            except (httpx.TransportError, Unavailable) as error:
                lost = error
            if waited == RECONNECTS:
                with _naming(execution_id):
                    raise lost if isinstance(lost, Unavailable) else _no_answer(self._http, lost)
            self._pause(PAUSE * 2**waited)
            waited += 1

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> "Client":  # noqa: PYI034 - the class is not made for heirs
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _events(self, path: str, last: str) -> Iterator[Event]:
        headers = {"Last-Event-ID": last} if last else {}
        with self._http.stream("GET", path, headers=headers, timeout=httpx.Timeout(TIMEOUT, read=60.0)) as response:
            if response.is_error:
                response.read()
                refusal = refusal_of(response)
                if response.status_code == BUSY:
                    raise Unavailable(refusal.code, refusal.message, hint=refusal.hint, **refusal.details)
                raise refusal
            yield from events_of(response.iter_lines())

    def _call(self, answer: type[Answer], method: str, path: str, **arguments: Any) -> Answer:  # noqa: ANN401
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise _no_answer(self._http, error) from error
        if not response.is_success:
            raise refusal_of(response)
        return _understood(answer, response.text)


@contextmanager
def _naming(execution_id: str) -> Iterator[None]:
    """Have errors tell what they are about: it runs, or ran, whatever became of the connection."""
    try:
        yield
    except WingmanError as error:
        error.details.setdefault("execution_id", execution_id)
        raise


def refusal_of(response: httpx.Response) -> WingmanError:
    """Return the error that a response which is no success stands for."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return WingmanError(
            Code.INTERNAL,
            f"HTTP {response.status_code} from {response.url.host}, and not in the API's words",
            hint="does WINGMAN_API_URL name a Wingman API?",
        )
    details = {name: value for name, value in problem.details.items() if name not in RESERVED}
    details |= {place.where: place.reason for place in problem.places if place.where not in RESERVED}
    if problem.code == Code.INTERNAL:
        details["correlation_id"] = problem.correlation_id
    try:
        return WingmanError(Code(problem.code), problem.detail, hint=problem.hint, **details)
    except ValueError:
        return WingmanError(Code.INTERNAL, f"{problem.code!a}: {problem.detail}", hint=problem.hint, **details)


def _understood(answer: type[Answer], text: str) -> Answer:
    try:
        return answer.model_validate_json(text)
    except ValidationError as error:
        raise WingmanError(
            Code.INTERNAL,
            f"the API's answer is not one that this version knows ({error.error_count()} differences)",
            hint="use the same version of the command line and the API",
        ) from error


def _no_answer(http: httpx.Client, error: Exception) -> Unavailable:
    return Unavailable(
        Code.GATEWAY_UNAVAILABLE,
        f"the API at {http.base_url} does not answer ({type(error).__name__})",
        hint="start it with wingman up, or name it with WINGMAN_API_URL",
    )


def _segment(text: str) -> str:
    """Return ``text`` as one segment of a path, whatever it holds."""
    return quote(text, safe="") or "-"

"""The story that ``wingman demo`` plays and checks: one request from wish to receipt, then three attacks.

Guarantees: every step compares what happened with what must (``Differs`` where not), against Docker itself where it
counts. It touches containers only as the machine's administrator would; everything else goes through Wingman.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wingman_cli.cards import execution_card, request_card
from wingman_cli.requests import ending_line
from wingman_cli.screen import Screen, emit
from wingman_cli.session import OPERATOR, WORKER
from wingman_core.errors import Code, WingmanError

if TYPE_CHECKING:
    from wingman_api.approvals.schemas import RequestView
    from wingman_cli.client import Client
    from wingman_cli.demo_containers import Containers
    from wingman_cli.thief import Thief

REFUSALS: Final = (Code.APPROVAL_SPENT, Code.TOKEN_OPERATION, Code.TARGET_CHANGED)
"""What the three attacks meet, in order."""


class Differs(WingmanError):
    """A step of the story did not go as it must."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: two identities with keys of their own, the administrator, a thief, an auditor."""

    worker: "Client"
    operator: "Client"
    containers: "Containers"
    thief: "Thief"
    verify: Callable[[], str]
    """Verify the whole log and return a line about it; raises ``LogCorrupt``."""
    records: Callable[[], list[tuple[str, str]]]
    """Kind and refusal code of every record of the log, in order."""


class Story:
    """One performance on containers named after ``name``."""

    def __init__(self, cast: Cast, screen: Screen, name: str) -> None:
        """Tell it on ``screen``."""
        self._cast = cast
        self._screen = screen
        self._name = name
        self._checks = 0

    def play(self) -> int:
        """Play it; return how many things were checked. Raises ``Differs``, or what broke."""
        container = self._cast.containers.start(self._name)
        approved = self._ask_and_approve(container)
        self._run(approved, container)
        self._scene("Three attacks")
        self._again(approved, container)
        second = self._ask_and_approve(container, quietly=True)
        self._other_command(second, container)
        self._other_container(second, container)
        self._scene("The log has seen it all")
        self._say(self._cast.verify())
        told = [reason for kind, reason in self._cast.records() if kind == "REFUSED"]
        self._expect("the refusals in the log", told, [code.value for code in REFUSALS])
        self._say(f"It names each refusal: {', '.join(told)}.")
        return self._checks

    def _ask_and_approve(self, container: str, *, quietly: bool = False) -> "RequestView":
        if not quietly:
            self._scene("A worker asks, and sees what would happen")
        answer = self._cast.worker.request(
            {
                "worker_id": WORKER,
                "task_name": "Restart the web server" + (" once more" if quietly else ""),
                "instruction": "The web server leaks memory; restart it.",
                "commands": [f"docker restart --time 1 {self._name}"],
            }
        )
        self._expect("the request's status", answer.status.value, "PENDING")
        self._expect("the container that was shown", answer.previews[0].targets[0].id, container)
        if not quietly:
            self._screen.out.print(request_card(answer.request))
            self._refused(Code.APPROVAL_PENDING, lambda: self._cast.operator.execute(answer.request.id))
            self._say("Nothing runs before somebody approves.")
            self._refused(Code.ROLE_MISSING, lambda: self._cast.worker.decide(answer.request.id, "approve", ""))
            self._say("The worker cannot approve.")
            self._scene("Another identity approves")
        decided = self._cast.operator.decide(answer.request.id, "approve", "seen, go ahead")
        self._expect("the status after the decision", decided.status.value, "APPROVED")
        self._expect("who decided", [decision.person for decision in decided.decisions], [OPERATOR])
        if not quietly:
            self._say(f"{OPERATOR} approved {decided.id}: {decided.decisions[0].note}")
        return decided

    def _run(self, request: "RequestView", container: str) -> None:
        self._scene("The gateway runs exactly that, once")
        before = self._cast.containers.started_at(container)
        started = self._cast.operator.execute(request.id)
        output = ""
        for piece in self._cast.operator.output(started.execution_id):
            output += piece.text
            emit(piece.stream, piece.text)
        execution = self._cast.operator.execution(started.execution_id)
        self._say(ending_line(execution.state, execution.exit_code, execution.execution_id))
        self._expect("the output", output, f"{self._name}\n")
        self._expect("the outcome", execution.state, "SUCCEEDED")
        after = self._cast.containers.started_at(container)
        self._expect("that Docker restarted it", after not in {"", before}, wanted=True)
        self._scene("The receipt, and the log behind it")
        self._screen.out.print(execution_card(execution))
        self._say(self._cast.verify())

    def _again(self, request: "RequestView", container: str) -> None:
        self._attack("the same approval again")
        before = self._cast.containers.started_at(container)
        self._refused(Code.APPROVAL_SPENT, lambda: self._cast.operator.execute(request.id))
        self._expect("the container's last start", self._cast.containers.started_at(container), before)

    def _other_command(self, request: "RequestView", container: str) -> None:
        command = f"docker rm --force {self._name}"
        self._attack(f"another command, {command}, with a token for the approved one (and the API's own certificate)")
        token = self._cast.thief.token(request)
        self._refused(Code.TOKEN_OPERATION, lambda: self._cast.thief.present(token, command))
        self._expect("that it still runs", bool(self._cast.containers.started_at(container)), wanted=True)

    def _other_container(self, request: "RequestView", container: str) -> None:
        self._attack(f"the approved name {self._name}, now pointing to another container")
        self._cast.containers.rename(container, f"{self._name}-old")
        impostor = self._cast.containers.start(self._name)
        before = [self._cast.containers.started_at(one) for one in (container, impostor)]
        self._refused(Code.TARGET_CHANGED, lambda: self._cast.operator.execute(request.id))
        after = [self._cast.containers.started_at(one) for one in (container, impostor)]
        self._expect("both containers' last starts", after, before)

    def _refused(self, code: Code, action: Callable[[], object]) -> None:
        """Do what must be refused, and show the refusal."""
        try:
            done = action()
        except WingmanError as error:
            self._expect("the reason of the refusal", error.code, code)
            self._screen.out.print(f"  refused  {error.code}: {error.message}", style="green", markup=False)
            return
        raise Differs(Code.INTERNAL, f"this must be refused with {code}, and was done: {done!r:.200}")

    def _expect(self, what: str, found: object, wanted: object) -> None:
        self._checks += 1
        if found != wanted:
            raise Differs(Code.INTERNAL, f"{what}: expected {wanted!r:.200}, found {found!r:.200}")

    def _scene(self, title: str) -> None:
        self._screen.out.print()
        self._screen.out.rule(title, align="left", style="cyan")

    def _attack(self, title: str) -> None:
        self._screen.out.print(f"Attack: {title}", style="bold red", markup=False)

    def _say(self, text: str) -> None:
        self._screen.out.print(text, markup=False)

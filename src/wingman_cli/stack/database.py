"""An environment's database as operators' commands reach it: through its own container, which lets nobody else in."""

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wingman_cli.audit import FAR
from wingman_cli.backup.progress import counting
from wingman_cli.stack.compose import Compose
from wingman_cli.stack.environment import MIGRATION, Environment
from wingman_core.errors import Code, LogCorrupt, Unavailable

if TYPE_CHECKING:
    from rich.progress import Progress

    from wingman_core.checkpoint import Checkpoint
    from wingman_core.notes import VerifierKey

SOCKET: Final = "/var/run/postgresql"
FOUND: Final = (Code.LOG_CORRUPT, Code.CHECKPOINT_INVALID)


@dataclass(frozen=True, slots=True)
class ContainerPrograms:
    """Postgres' programs in its container, as the superuser, whose password is in a file there."""

    environment: Environment
    inherited: Mapping[str, str]
    password: str = field(default="", repr=False)
    """Another password than that file's."""

    def command(self, program: str, *arguments: str) -> Sequence[str]:
        """Return docker's argument vector; a password goes by the environment."""
        handed = ("--env", "PGPASSWORD") if self.password else ()
        where = ("--no-password", f"--host={SOCKET}", f"--username={self.environment.database}")
        container = ("exec", "--interactive", *handed, self.environment.container("postgres"))
        return ("docker", *container, program, *arguments, *where, f"--dbname={self.environment.database}")

    @property
    def environ(self) -> Mapping[str, str]:
        """What docker inherits."""
        return {**self.inherited, **({"PGPASSWORD": self.password} if self.password else {})}


@dataclass(frozen=True, slots=True)
class StackDatabase:
    """The database of an environment whose Postgres runs."""

    compose: Compose
    programs: ContainerPrograms

    async def verify(self, key: "VerifierKey", against: "Checkpoint | None", progress: "Progress") -> str:
        """Verify the log in a container beside it, as the role that owns the tables; raise ``LogCorrupt``.

        The newest checkpoint, which is returned, is what is to be compared with an older one.
        """
        del against
        return await asyncio.to_thread(self.goes_on_from, "", key, progress)

    def goes_on_from(self, note: str, key: "VerifierKey", progress: "Progress") -> str:
        """Verify the log, and that it goes on from an older signed checkpoint unless ``note`` is empty.

        Returns the newest checkpoint as a signed note; raises ``LogCorrupt``.
        """
        count = counting(progress)

        def heard(line: str) -> bool:
            if far := FAR.fullmatch(line):
                count(int(far[1]), int(far[2]))
            return far is not None

        with tempfile.TemporaryDirectory(prefix="verify-", dir=self.programs.environment.config) as scratch:
            place = Path(scratch)
            place.chmod(0o755)  # the key is public, and the container has a user of its own
            (place / "key").write_text(key.encode())
            (place / "older").write_text(note)
            older = ("--against", "/verify/older") if note else ()
            try:
                said = self.compose(
                    *("run", "--rm", "--no-deps", "-T", "--volume", f"{place}:/verify:ro", MIGRATION),
                    *("wingman", "audit", "verify", "--json", "--progress", "--verifier-key", "/verify/key", *older),
                    heard=heard,
                )
            except Unavailable as error:
                if any(code.value in error.message for code in FOUND):
                    raise LogCorrupt(Code.LOG_CORRUPT, error.message, hint="use an older backup") from error
                raise
        return str(json.loads(said)["checkpoint"])

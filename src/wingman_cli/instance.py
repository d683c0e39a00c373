"""The data directory of one local Wingman: where each file is, and the secrets that the first start makes.

Guarantees: ``prepare`` makes what is missing and changes nothing that is there, so that a first start that was
cut off goes on; secrets are files of mode 0600 in directories of mode 0700; one ``up`` at a time holds it.
Does not: rotate anything (see ``wingman pki`` and ``wingman keys``).
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final

from wingman_core.errors import Code, SettingInvalid

DEFAULT_DIRECTORY: Final = Path("data/local")
DEFAULT_PORT: Final = 8100
DATABASE: Final = "wingman"
LOOK_LIMIT: Final = 0.5
"""Seconds in which somebody who only looks whether an ``up`` runs lets go of its lock."""
POLL: Final = 0.02


@dataclass(frozen=True, slots=True)
class Running:
    """What a running ``up`` says of itself."""

    pid: int
    api: str
    gateway: str
    """``host:port`` of its gRPC, for tools with a certificate."""


@dataclass(frozen=True, slots=True)
class Instance:
    """The files of one data directory."""

    directory: Path
    environment: str = "test"

    @property
    def postgres(self) -> Path:
        """The embedded database's own directory."""
        return self.directory / "postgres"

    @property
    def pki(self) -> Path:
        """The CA and the certificates it issued."""
        return self.directory / "pki"

    @property
    def token_key(self) -> Path:
        """The private key that mints capabilities; the API's."""
        return self.directory / "secrets" / "token.pem"

    @property
    def token_keys(self) -> Path:
        """The public keys that the gateway verifies capabilities with."""
        return self.directory / "token-keys"

    @property
    def checkpoint_key(self) -> Path:
        """The private key that signs checkpoints; the gateway's."""
        return self.directory / "secrets" / "checkpoint.pem"

    @property
    def verifier_key(self) -> Path:
        """The public key of the log in the C2SP signed-note form; hand it to auditors."""
        return self.directory / "checkpoint.vkey"

    @property
    def policies(self) -> Path:
        """The policy files, copied on the first start for the operator to edit."""
        return self.directory / "policies"

    @property
    def journal(self) -> Path:
        """Where the gateway keeps outcomes that the database could not take yet."""
        return self.directory / "journal"

    @property
    def logs(self) -> Path:
        """What the processes print."""
        return self.directory / "logs"

    @property
    def ledger(self) -> Path:
        """The claims that workers logged, one JSON object a line."""
        return self.directory / "claims_audit.jsonl"

    @property
    def lock(self) -> Path:
        """Held, and filled, by the ``up`` that runs."""
        return self.directory / "run" / "up.json"

    def api_key_file(self, name: str) -> Path:
        """Return the file of a local API key, such as ``operator`` or ``worker``."""
        return self.directory / "keys" / f"{name}.key"

    def log_id(self) -> str:
        """Return the id of this log, made on the first start."""
        return self._made("log-id", lambda: secrets.token_hex(4))

    def password(self, role: str) -> str:
        """Return a database role's password, made on the first start."""
        return self._made(f"db-{role}", lambda: secrets.token_urlsafe(24))

    def passwords(self) -> dict[str, str]:
        """Return the passwords of every database role."""
        from wingman_cli.embedded_db import ROLES

        return {role: self.password(role) for role in ROLES}

    def origin(self) -> str:
        """Return the checkpoints' origin."""
        return f"wingman/{self.environment}/{self.log_id()}"

    def token_kid(self) -> str:
        """Return the id of the token key: the stem of its public file."""
        return self.kid_of(self.token_key)

    @staticmethod
    def kid_of(private: Path) -> str:
        """Return the id of a private key that signs tokens."""
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(public).hexdigest()[:16]

    def prepare(self, *, now: datetime) -> bool:
        """Make what is missing, except for what lives in the database; return whether this was the first start."""
        from wingman_cli.pki import Authority, create_checkpoint_key, create_token_key

        first = not (self.directory / "secrets" / "log-id").exists()
        for place in ("secrets", "keys", "journal", "run", "logs"):
            (self.directory / place).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.passwords()
        authority = Authority(self.pki, self.environment, now=now)
        for role in ("gateway", "api"):
            if not authority.holds(role):
                authority.issue(role, replace=True)
        if not self.token_key.exists():
            create_token_key(self.token_key, self.token_keys)
        if not self.checkpoint_key.exists():
            create_checkpoint_key(self.checkpoint_key)
        self.write_verifier_key()
        if not self.policies.exists():
            copy_policies(self.policies)
        self.log_id()
        return first

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for one ``up``; raise ``SettingInvalid`` where another one runs on it."""
        self.lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _locked(descriptor, fcntl.LOCK_EX, LOOK_LIMIT):
                raise self._busy()
            os.ftruncate(descriptor, 0)  # what a killed one announced
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def announce(self, running: Running) -> None:
        """Say to other commands where the API is; call it while the directory is held."""
        self.lock.write_text(json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """Return what the ``up`` that holds the directory announced, ``None`` if none does, or not yet."""
        with suppress(OSError, ValueError, KeyError, TypeError), self.lock.open() as file:
            if _locked(file.fileno(), fcntl.LOCK_SH, 0):
                return None
            said = json.load(file)
            return Running(int(said["pid"]), str(said["api"]), str(said["gateway"]))
        return None

    def _busy(self) -> SettingInvalid:
        other = self.running()
        where = f" (process {other.pid}, API at {other.api})" if other else ""
        return SettingInvalid(
            Code.SETTING_INVALID,
            f"another wingman up runs on {self.directory}{where}",
            hint="use that one, stop it with Ctrl-C, or choose another WINGMAN_DATA_DIR",
        )

    def _made(self, name: str, make: Callable[[], str]) -> str:
        from wingman_cli.pki import write_private

        path = self.directory / "secrets" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, make().encode("ascii"))
        return path.read_text("ascii").strip()

    def write_verifier_key(self) -> None:
        """Write the log's public key, from the checkpoint key and the log's id."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        from wingman_cli.pki import write_atomically
        from wingman_core.notes import verifier_key_of

        key = serialization.load_pem_private_key(self.checkpoint_key.read_bytes(), password=None)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise SettingInvalid(
                Code.SETTING_INVALID, f"{self.checkpoint_key} is no Ed25519 key", hint="restore it from your backup"
            )
        text = verifier_key_of(self.origin(), key).encode()
        write_atomically(self.verifier_key, f"{text}\n".encode("ascii"), 0o644)


def _locked(descriptor: int, kind: int, seconds: float) -> bool:
    """Return whether the lock could be had within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL)
        else:
            return True


def copy_policies(directory: Path) -> None:
    """Copy the shipped policies, whole or not at all."""
    for leftover in directory.parent.glob(f".{directory.name}.*.new"):
        shutil.rmtree(leftover)
    temporary = directory.with_name(f".{directory.name}.{os.getpid()}.new")
    with resources.as_file(resources.files("wingman_gateway") / "policies") as shipped:
        shutil.copytree(shipped, temporary)
    temporary.replace(directory)

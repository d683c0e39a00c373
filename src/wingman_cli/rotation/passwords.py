"""New passwords for the database's roles.

Guarantees: all change together or none does (one transaction); whoever is cut off anywhere in between finds by itself
which ones are right, since the superuser's staged password is the first to be there and the last to go; Postgres is
told what proves a password, never the password, so that no log of its can hold one.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wingman_cli.embedded_db import OWNER, SERVICE_ROLES, SUPERUSER, Connection, EmbeddedPostgres
from wingman_cli.instance import Instance
from wingman_cli.pki import write_private
from wingman_core.errors import SettingInvalid

ROUNDS: Final = 4096
SALT_BYTES: Final = 16
NEXT: Final = ".next"
OTHERS: Final = (OWNER, *SERVICE_ROLES)
END_OLDER: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE usename IN ({roles}) AND pid <> pg_backend_pid() AND backend_start < '{since}'
"""


def new_password() -> str:
    """Return 192 random bits in URL-safe base64."""
    return secrets.token_urlsafe(24)


def verifier(password: str, salt: bytes) -> str:
    """Return what Postgres keeps of an ASCII password (SCRAM-SHA-256, RFC 5803 as Postgres writes it)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ROUNDS)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    parts = (base64.b64encode(part).decode("ascii") for part in (salt, hashlib.sha256(client).digest(), server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(ROUNDS, *parts)


def statements(passwords: Mapping[str, str]) -> str:
    """Return the SQL that gives roles their passwords, all together."""
    changes = [
        f"ALTER ROLE {role} PASSWORD '{verifier(text, secrets.token_bytes(SALT_BYTES))}'"
        for role, text in passwords.items()
    ]
    return ";\n".join(["BEGIN", *changes, "COMMIT", ""])


def stage(instance: Instance) -> dict[str, str]:
    """Write a new password for each role beside the one that holds, and return them."""
    made = {role: new_password() for role in (SUPERUSER, *OTHERS)}
    for role, password in made.items():
        write_private(_next(instance, role), password.encode("ascii"))
    return made


def adopt(instance: Instance) -> None:
    """Have the staged passwords be the ones that hold."""
    for role in (*OTHERS, SUPERUSER):
        if _next(instance, role).exists():
            _next(instance, role).replace(_file(instance, role))


async def settle_passwords(instance: Instance, server: EmbeddedPostgres) -> None:
    """Finish or forget a change that was cut off: the superuser's password tells which it was.

    Where an older version adopted or forgot that one first, any other that it left tells it as well.
    """
    left = [role for role in (SUPERUSER, *OTHERS) if _next(instance, role).exists()]
    if not left:
        return
    staged = _next(instance, left[0]).read_text("ascii")
    try:
        connection = await Connection(server.host, left[0], "postgres", staged).connect()
    except SettingInvalid:
        for role in (*OTHERS, SUPERUSER):
            _next(instance, role).unlink(missing_ok=True)
        return
    await connection.close()
    adopt(instance)
    server.rekey(instance.passwords())


def _file(instance: Instance, role: str) -> Path:
    return instance.directory / "secrets" / f"db-{role}"


def _next(instance: Instance, role: str) -> Path:
    return _file(instance, role).with_name(f"db-{role}{NEXT}")

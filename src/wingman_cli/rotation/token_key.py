"""A new key that signs capabilities, with an overlap in which the gateway takes both.

Guarantees: whatever the API signs, the gateway has the public key of; a rotation that was cut off goes on where it was.
"""

from pathlib import Path

from wingman_cli.instance import Instance
from wingman_cli.pki import create_token_key


def stage(instance: Instance) -> str:
    """Make the next key, its public half where the gateway looks; return its id. The API signs with the old one."""
    if not _next(instance).exists():
        create_token_key(_next(instance), instance.token_keys)
    return Instance.kid_of(_next(instance))


def adopt(instance: Instance) -> None:
    """Have the API sign with the next key from its next start on."""
    if _next(instance).exists():
        _next(instance).replace(instance.token_key)


def retire(instance: Instance) -> list[str]:
    """Take every public key away but that of the key in use; return their ids."""
    gone = [path for path in sorted(instance.token_keys.glob("*.pem")) if path.stem != instance.token_kid()]
    for path in gone:
        path.unlink()
    return [path.stem for path in gone]


def _next(instance: Instance) -> Path:
    return instance.token_key.with_name("token.next.pem")

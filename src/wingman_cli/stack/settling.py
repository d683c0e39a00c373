"""A person's word on an outcome that nobody knows, in an environment of containers: no port leads to its gateway.

Guarantees: the API's container relays the word and gets no right to settle by itself. The certificate is the person's,
issued by the CA on this machine for this call; it goes through a pipe, and no file of it stays. Does not: keep the
container from using it again while it is valid, ``LIFETIME``.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from wingman_cli.pki import Authority
from wingman_cli.stack.compose import Compose
from wingman_cli.stack.deployment import Deployment
from wingman_cli.stack.environment import Environment
from wingman_core.errors import Code, SettingInvalid, Unavailable, WingmanError

LIFETIME: Final = timedelta(minutes=2)
RESOLVE: Final = ("exec", "-T", "api", "wingman", "executions", "resolve", "--json", "--certificate=-")


def settle(  # noqa: PLR0913 - where, who, and what is said
    environment: Environment, compose: Compose, by: str, execution_id: str, *, outcome: str, note: str
) -> int:
    """Settle an execution as ``auditor/by``; return the record's position.

    Raises ``SettingInvalid`` where nobody is named or the CA is not here, the gateway's refusal, and ``Unavailable``.
    """
    if not by:
        raise SettingInvalid(Code.SETTING_INVALID, "who speaks is not said", hint="name yourself: --by alice")
    with _issued(environment, by) as pair:
        try:
            said = compose(*RESOLVE, f"--outcome={outcome}", f"--note={note}", "--", execution_id, stdin=pair)
        except Unavailable as error:
            raise _refusal(error) from error
    return int(json.loads(said)["position"])


def _refusal(error: Unavailable) -> WingmanError:
    """Return what the command in the container was refused with, else the error as it is."""
    try:
        told = json.loads(error.message.rpartition("\n")[2])
        return WingmanError(Code(told["code"]), str(told["detail"]), hint=str(told["hint"]))
    except (ValueError, KeyError, TypeError):
        return error


@contextmanager
def _issued(environment: Environment, by: str) -> Iterator[str]:
    """Yield key and certificate, in PEM, of an auditor of that name."""
    instance, now = Deployment(environment).instance, datetime.now(UTC)
    if not (instance.pki / "ca.key").exists():
        raise SettingInvalid(
            Code.SETTING_INVALID, f"there is no CA in {instance.pki}", hint="run this where the environment is started"
        )
    authority = Authority(instance.pki, environment.name, now=now)
    leaf = authority.issue(f"auditor/{by}", name=f"call-{secrets.token_hex(8)}", not_after=now + LIFETIME)
    try:
        yield leaf.key.read_text("ascii") + leaf.certificate.read_text("ascii")
    finally:
        leaf.key.unlink()
        leaf.certificate.unlink()

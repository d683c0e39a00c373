"""A person's word on an outcome that nobody knows, in an environment of containers: no port leads to its gateway.

Guarantees: the API's container carries bytes of TLS and gets no right to settle anything (``relay``). The certificate
is the person's, issued for this call by the CA on this machine, which its key does not leave; no file of it stays.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from wingman_api.gateway_client import open_gateway
from wingman_cli.pki import Authority
from wingman_cli.stack.deployment import Deployment
from wingman_cli.stack.environment import Environment
from wingman_cli.stack.relay import relayed, through_the_api
from wingman_cli.stack.starting import Stack
from wingman_core.errors import Code, SettingInvalid

LIFETIME: Final = timedelta(minutes=2)


async def settle(environment: Environment, stack: Stack, by: str, *said: str) -> int:
    """Say an execution's id, outcome and note as ``auditor/by``; return the record's position.

    Raises ``SettingInvalid`` where nobody is named or the CA is not here, the gateway's refusal, and ``Unavailable``.
    """
    if not by:
        raise SettingInvalid(Code.SETTING_INVALID, "who speaks is not said", hint="name yourself: --by alice")
    stack.require("api", "execution-gateway")
    with _issued(environment, by) as (key, chain, authority):
        async with (
            relayed(through_the_api(environment), stack.compose().environ) as address,
            open_gateway(address, key=key, chain=chain, authority=authority, environment=environment.name) as gateway,
        ):
            return await gateway.settle(*said)


@contextmanager
def _issued(environment: Environment, by: str) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield key and certificate of an auditor of that name, and the CA's, in PEM."""
    instance, now = Deployment(environment).instance, datetime.now(UTC)
    if not (instance.pki / "ca.key").exists():
        raise SettingInvalid(
            Code.SETTING_INVALID, f"there is no CA in {instance.pki}", hint="run this where the environment is started"
        )
    authority = Authority(instance.pki, environment.name, now=now)
    # A directory of its own: what a killed call leaves there is no certificate of the deployment's to renew.
    with tempfile.TemporaryDirectory(prefix="call-", dir=instance.pki) as place:
        leaf = authority.issue(f"auditor/{by}", name=f"{Path(place).name}/auditor", not_after=now + LIFETIME)
        yield leaf.key.read_bytes(), leaf.certificate.read_bytes(), authority.certificate.read_bytes()

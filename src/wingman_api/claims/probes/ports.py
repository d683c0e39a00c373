"""Claims about TCP ports of this machine: whether a socket listens, as the kernel's own table says.

Guarantees: nothing is connected to; any address counts. Does not: see ports that the engine forwards without a
listening socket (its userland proxy switched off), or another network namespace than its own.
"""

import psutil

from wingman_api.claims.probes.seen import Seen, judged, unknown
from wingman_api.claims.probes.threads import Stop, Threads
from wingman_core.assertions import PortClosed, PortListening

NOT_HERE = "The ports of this machine cannot be seen from where claims are looked at."


async def look_at_port(threads: Threads, assertion: PortListening | PortClosed, *, machine: bool) -> Seen:
    """Look once; ``machine``: whether the sockets this process sees are the machine's."""
    if not machine:
        return unknown(NOT_HERE)
    listening = await threads.run(lambda stop: _listens(assertion.port, stop))
    words = f"Something listens on TCP port {assertion.port}."
    if not listening:
        words = f"Nothing listens on TCP port {assertion.port}."
    return judged(holds=listening == isinstance(assertion, PortListening), words=words)


def _listens(port: int, _stop: Stop) -> bool:
    sockets = psutil.net_connections(kind="tcp")
    return any(each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port for each in sockets)

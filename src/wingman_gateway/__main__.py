"""``python -m wingman_gateway``: bound gRPC to TLS 1.3 before it is imported, then run the gateway.

The suite below needs an RSA certificate, and the gateway serves none, so that no TLS 1.2 handshake finds a
cipher. TLS 1.3 suites are not governed by the variable (``docs/decisions/0002-tls-1-3-only.md``).
"""

import os
import sys

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES128-GCM-SHA256"
# Its own lines on standard error are not JSON, and every stranger that knocks would write some.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# What it starts becomes another program at once: gRPC's handlers in a child that does so may crash it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# structlog would load it for the colours of tracebacks that this log has none of: four megabytes.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type] # how Python is told that there is no such module

from wingman_gateway.server import main  # noqa: E402 - behind what it must find

sys.exit(main())

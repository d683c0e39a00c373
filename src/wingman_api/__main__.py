"""``python -m wingman_api``."""

import sys

# structlog would load it for the colours of tracebacks that this log has none of: four megabytes.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type] # how Python is told that there is no such module

from wingman_api.app import main  # noqa: E402 - behind what it must find

sys.exit(main())

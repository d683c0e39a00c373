"""``python -m wingman_api``."""

import sys

from wingman_api.app import main

sys.exit(main())

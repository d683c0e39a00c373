"""``python -m wingman_bot``."""

import sys

from wingman_bot.process import main

sys.exit(main())

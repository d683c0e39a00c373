"""``python -m wingman_bot``."""

import sys

from wingman_bot.bot import main

sys.exit(main())

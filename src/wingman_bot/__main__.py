"""``python -m wingman_bot``."""

import sys

from wingman_bot import lean  # noqa: F401 - before what imports aiogram

# isort: split
from wingman_bot.process import main

sys.exit(main())

"""The command table: each spelling, its flags and positionals, and how they become an operation.

A new verb is a row in one of the tables joined here, a model in ``operations.py`` (or ``object_operations.py``), and
its lines in ``facts.py`` and ``references.py``. Sources: docker/cli v28.2.2; flag for flag what ``docker <verb>
--help`` lists, hidden and deprecated spellings included.
"""

from typing import Final

from wingman_core.command.compose_commands import COMPOSE_COMMANDS
from wingman_core.command.container_commands import CONTAINER_COMMANDS
from wingman_core.command.image_commands import IMAGE_COMMANDS
from wingman_core.command.object_commands import NETWORK_COMMANDS, SYSTEM_COMMANDS, VOLUME_COMMANDS
from wingman_core.command.tables import Command

COMMANDS: Final[tuple[Command, ...]] = (
    *CONTAINER_COMMANDS,
    *IMAGE_COMMANDS,
    *VOLUME_COMMANDS,
    *NETWORK_COMMANDS,
    *SYSTEM_COMMANDS,
    *COMPOSE_COMMANDS,
)

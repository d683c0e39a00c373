"""What a command line was told: where the API is, who asks, which data directory, and for whom it prints.

Guarantees: the keys of a data directory go to that directory's own API alone, and only while its ``up`` runs (the
port of one that ended may be anybody's), unless ``--as`` names one; no secret is ever an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wingman_cli.instance import DEFAULT_DIRECTORY, Instance
from wingman_core.errors import CallerRefused, Code, SettingInvalid, Unavailable

if TYPE_CHECKING:
    from wingman_cli.client import Client

OPERATOR: Final = "operator"
WORKER: Final = "worker"
LOCAL_KEYS: Final = (OPERATOR, WORKER)
"""The identities that the first start of an instance makes; each asks and decides under its own name."""


@dataclass(frozen=True, slots=True)
class Session:
    """The options that every command shares."""

    environ: Mapping[str, str]
    api: str = ""
    key_file: Path | None = None
    identity: str = ""
    data_dir: Path = DEFAULT_DIRECTORY

    @property
    def instance(self) -> Instance:
        """The local instance of the data directory."""
        return Instance(self.data_dir)

    def person(self, default: str) -> str:
        """Return whose name a request carries where no worker was named; raise ``SettingInvalid`` if unknown."""
        if self.key_file is None and (self.identity or not self.environ.get("WINGMAN_API_KEY")):
            return self.identity or default
        raise SettingInvalid(
            Code.SETTING_INVALID, "the key does not tell its person's name", hint="say who wants it done: --worker NAME"
        )

    def client(self, identity: str = OPERATOR) -> "Client":
        """Return a client of the API as the chosen key's holder, else as the local ``identity``.

        Raises ``Unavailable`` where no API is named and none runs here.
        """
        from wingman_cli.client import Client, open_http

        running = self.instance.running()
        address = self.api or (running.api if running else "")
        if not address:
            raise Unavailable(
                Code.GATEWAY_UNAVAILABLE,
                f"Wingman is not running on {self.data_dir}",
                hint="start it with wingman up, or name an API with --api or WINGMAN_API_URL",
            )
        is_local = running is not None and address == running.api
        return Client(open_http(address, self._key(identity, is_local=is_local)))

    def _key(self, default: str, *, is_local: bool) -> str:
        if self.key_file is not None:
            return _read_key(self.key_file)
        if self.identity:
            return _read_key(self.instance.api_key_file(self.identity))
        if given := self.environ.get("WINGMAN_API_KEY", ""):
            return _checked(given, "WINGMAN_API_KEY")
        path = self.instance.api_key_file(default)
        return _read_key(path) if is_local and path.exists() else ""


def _read_key(path: Path) -> str:
    try:
        return _checked(path.read_text("ascii"), str(path))
    except (OSError, UnicodeError) as error:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"no key can be read from {path}",
            hint="wingman keys create makes one; --key-file, --as or WINGMAN_API_KEY name one",
        ) from error


def _checked(text: str, source: str) -> str:
    key = text.strip()
    if not (key.isascii() and key.isprintable() and key and " " not in key):
        raise CallerRefused(Code.KEY_INVALID, f"{source} holds no API key", hint="copy the whole key: wm_<id>_<secret>")
    return key

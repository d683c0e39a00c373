"""The API's settings, from ``WINGMAN_`` variables, and the key files they name.

Guarantees: no secret has a working default, a missing or unsafe value stops the process with one line that
names the variable, a private key that others may read is not used, and nobody is anonymous in PRD, or where
others than this machine can connect.
"""

import os
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from wingman_api.claims.probes.hosts import Host
from wingman_core.database_address import parse_address
from wingman_core.errors import Code, SettingInvalid
from wingman_core.quota import Quota

PREFIX: Final = "WINGMAN_"
OTHERS: Final = 0o077
Address = Annotated[str, StringConstraints(pattern=r"^\S+:[0-9]{1,5}$")]


def _rate(text: str) -> str:
    Quota.of("", text)
    return text


Rate = Annotated[str, AfterValidator(_rate)]
KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


def _usable(url: str) -> str:
    """Return an address that ``parse_address`` takes; raise ``ValueError``."""
    parse_address(url)
    return url


DatabaseUrl = Annotated[str, AfterValidator(_usable)]


class Settings(BaseSettings):
    """Everything the API is told from outside; frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    environment: Literal["test", "prd"]
    api_listen: Address
    """``host:port``; port 0 takes a free one."""
    api_workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that serve it."""
    database_url: DatabaseUrl
    db_password: Annotated[SecretStr, Field(validation_alias="DB_PASSWORD", min_length=1)]
    gateway_address: Address
    tls_cert: Path
    """The client certificate of role ``api``; tokens are bound to it."""
    tls_key: Path
    tls_ca: Path
    token_key: Path
    """The ES256 private key (PKCS 8, PEM) that mints capabilities."""
    token_kid: KeyId
    claims_ledger: Path
    """The file that logged claims are appended to; made where it is missing."""
    anonymous_role: Literal["worker"] | None = None
    """What a caller without a key may do; for a port on loopback alone, and never in PRD."""
    published_on_loopback: bool = False
    """Whether ``api_listen`` is only reached through a port that somebody published on loopback alone."""

    claim_roots: str = ""
    """Colon-separated absolute directories beneath which claims may be looked at; empty: none."""
    claim_hidden: str = ""
    """Colon-separated absolute directories that are not looked into, wherever the roots are."""
    claim_hosts: str = ""
    """Comma-separated ``host`` or ``host:port`` that claims about HTTP may be looked at on; empty: none."""
    claim_machine: bool = False
    """Whether this process sees the machine's processes, ports and packages, and not those of a container it is in."""

    token_lifetime: Annotated[int, Field(ge=5, le=300)] = 60
    """Seconds a capability is valid."""
    consensus_enabled: bool = True
    """Whether sources of risk besides effect, environment and wording are asked."""
    high_risk_people: Annotated[int, Field(ge=1, le=9)] = 1
    """People that a request of HIGH risk needs at least, where it needs any."""
    llm_url: Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$")] = ""
    """Where an OpenAI-compatible language model answers, such as ``http://127.0.0.1:11434/v1``; empty for none."""
    llm_model: Annotated[str, StringConstraints(max_length=200), Field(validate_default=True)] = ""
    llm_key: SecretStr = SecretStr("")
    llm_timeout: Annotated[float, Field(ge=0.1, le=30)] = 10.0
    """Seconds for one whole answer of the language model."""
    expiry_high: Annotated[int, Field(ge=60, le=7 * 86400)] = 900
    """Seconds a request of HIGH risk waits for people."""
    expiry: Annotated[int, Field(ge=60, le=7 * 86400)] = 3600
    """Seconds any other request waits."""
    drain: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Seconds that relayed output gets after SIGTERM; executions go on in the gateway."""
    otlp_endpoint: Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$")] = ""
    """Where traces go over OTLP/HTTP, such as ``http://collector:4318``; empty: nowhere."""

    event_retention: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days that events are kept, whether or not somebody has read them."""
    event_streams: Annotated[int, Field(ge=1, le=1000)] = 32
    """Streams, of events and of output together, that one key may have open, in each process."""
    checkpoint_every: Annotated[int, Field(ge=60, le=7 * 86400)] = 3600
    """Seconds between two events that carry the audit log's checkpoint, where it has grown; each day has one anyway."""
    stall: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Seconds that a client has to take some of what is sent to it, to begin a request, and to send its body."""

    rate_limit_reads: Rate = "1200/60"
    """``requests/seconds`` of one key that change nothing; all ``rate_limit`` hold over all API processes."""
    rate_limit_writes: Rate = "600/60"
    """Of one key that change something."""
    rate_limit_anonymous: Rate = "600/60"
    """Of one address without a key."""
    rate_limit_failures: Rate = "30/60"
    """Of one address with a key that is none."""

    @property
    def root_directories(self) -> tuple[str, ...]:
        """The directories of ``claim_roots``."""
        return _listed(self.claim_roots, ":")

    @property
    def hidden_directories(self) -> tuple[str, ...]:
        """The directories of ``claim_hidden``."""
        return _listed(self.claim_hidden, ":")

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The hosts of ``claim_hosts``."""
        return tuple(map(Host.read, _listed(self.claim_hosts, ",")))

    @field_validator("claim_roots", "claim_hidden")
    @classmethod
    def _are_absolute(cls, value: str) -> str:
        for path in _listed(value, ":"):
            if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
                raise ValueError(f"{path!a} is no absolute path without ..")
        return value

    @field_validator("claim_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        for entry in _listed(value, ","):
            Host.read(entry)
        return value

    @field_validator("llm_model")
    @classmethod
    def _a_language_model_has_a_name(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("llm_url") and not name:
            raise ValueError("a model's name is needed where WINGMAN_LLM_URL is set")
        return name

    @model_validator(mode="after")
    def _nobody_is_anonymous_in_prd(self) -> Self:
        if self.environment == "prd" and self.anonymous_role is not None:
            raise ValueError("WINGMAN_ANONYMOUS_ROLE is refused in PRD: every caller needs a key")
        return self

    @model_validator(mode="after")
    def _nobody_is_anonymous_from_elsewhere(self) -> Self:
        if self.anonymous_role is None or self.published_on_loopback or _is_loopback(self.api_listen):
            return self
        raise ValueError(
            "WINGMAN_ANONYMOUS_ROLE is refused where others can connect: listen on loopback, or say with "
            "WINGMAN_PUBLISHED_ON_LOOPBACK=1 that the port is published on loopback alone"
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the arguments of the constructor alone: ``load`` says where they come from."""
        return (init_settings,)


def _listed(text: str, separator: str) -> tuple[str, ...]:
    return tuple(part for each in text.split(separator) if (part := each.strip()))


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``environ``; raise ``SettingInvalid`` naming the first bad variable."""
    values: dict[str, str] = {
        name.removeprefix(PREFIX).lower(): value for name, value in environ.items() if name.startswith(PREFIX)
    }
    if values.get("anonymous_role") == "":
        del values["anonymous_role"]
    if "DB_PASSWORD" in environ:
        values["DB_PASSWORD"] = environ["DB_PASSWORD"]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = str(first["loc"][0]) if first["loc"] else "anonymous_role"
        name = place if place.isupper() else f"{PREFIX}{place.upper()}"
        raise _invalid(name, first["msg"], f"set {name} in the environment") from error


def _is_loopback(address: str) -> bool:
    """Whether ``host:port`` can be reached from this machine alone; a name other than localhost cannot say so."""
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def token_key(settings: Settings) -> str:
    """Return the PEM text of the key that mints capabilities, once it is known to be a P-256 one."""
    name = "WINGMAN_TOKEN_KEY"
    pem = _read_private(settings.token_key, name)
    _p256(pem, name)
    return pem.decode("ascii")


def tls_files(settings: Settings) -> tuple[bytes, bytes, bytes]:
    """Return private key, certificate chain and CA, in PEM, once they fit together."""
    key = _read_private(settings.tls_key, "WINGMAN_TLS_KEY")
    chain = _read_public(settings.tls_cert, "WINGMAN_TLS_CERT")
    authority = _read_public(settings.tls_ca, "WINGMAN_TLS_CA")
    for name, pem in (("WINGMAN_TLS_CERT", chain), ("WINGMAN_TLS_CA", authority)):
        _certificate(pem, name)
    if _certificate(chain, "WINGMAN_TLS_CERT").public_key() != _p256(key, "WINGMAN_TLS_KEY").public_key():
        raise _invalid("WINGMAN_TLS_KEY", "the key is not the certificate's", "name a pair")
    return key, chain, authority


def thumbprint(chain: bytes) -> str:
    """Return 64 hex digits: SHA-256 of the first certificate in PEM (RFC 8705 section 3.1, in hex)."""
    return _certificate(chain, "WINGMAN_TLS_CERT").fingerprint(hashes.SHA256()).hex()


def _certificate(pem: bytes, setting: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid(setting, "the file is no certificate in PEM", "issue one with wingman pki") from error
    return certificate


def _p256(pem: bytes, setting: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _invalid(setting, "the file is no unencrypted key in PEM", "make one with wingman pki") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _invalid(setting, "the key is not ECDSA P-256", "make one with wingman pki")
    return key


def _read_private(path: Path, setting: str) -> bytes:
    """Return the bytes of a key file that only its owner can reach."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise _invalid(setting, f"{path} cannot be read: {error.strerror}", "name a readable file") from error
    with file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & OTHERS:
            problem = f"{path} has mode {stat.S_IMODE(mode):04o}: others can reach the key"
            raise _invalid(setting, problem, f"chmod 600 {path}")
        return file.read()


def _read_public(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _invalid(setting, f"{path} cannot be read: {error.strerror}", "name a readable file") from error


def _invalid(setting: str, message: str, hint: str) -> SettingInvalid:
    return SettingInvalid(Code.SETTING_INVALID, f"{setting}: {message}", hint=hint, setting=setting)

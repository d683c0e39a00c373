"""The API's settings, from ``WINGMAN_`` variables, and the key files they name.

Guarantees: no secret has a working default, a missing or unsafe value stops the process with one line that
names the variable, a private key that others may read is not used, and nobody is anonymous in PRD.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from wingman_core.database_address import parse_address
from wingman_core.errors import Code, SettingInvalid

PREFIX: Final = "WINGMAN_"
OTHERS: Final = 0o077
Address = Annotated[str, StringConstraints(pattern=r"^\S+:[0-9]{1,5}$")]
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
    anonymous_role: Literal["worker"] | None = None
    """What a caller without a key may do; for a port on loopback alone, and never in PRD."""

    token_lifetime: Annotated[int, Field(ge=5, le=300)] = 60
    """Seconds a capability is valid."""
    expiry_high: Annotated[int, Field(ge=60, le=7 * 86400)] = 900
    """Seconds a request of HIGH risk waits for people."""
    expiry: Annotated[int, Field(ge=60, le=7 * 86400)] = 3600
    """Seconds any other request waits."""
    drain: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Seconds that relayed output gets after SIGTERM; executions go on in the gateway."""
    otlp_endpoint: Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$")] = ""
    """Where traces go over OTLP/HTTP, such as ``http://collector:4318``; empty: nowhere."""

    @model_validator(mode="after")
    def _nobody_is_anonymous_in_prd(self) -> Self:
        if self.environment == "prd" and self.anonymous_role is not None:
            raise ValueError("WINGMAN_ANONYMOUS_ROLE is refused in PRD: every caller needs a key")
        return self

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

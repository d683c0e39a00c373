"""The gateway's settings, from ``WINGMAN_`` variables, and the key files they name.

Guarantees: no secret has a working default, a missing or unsafe value stops the process with one line that
names the variable, and a private key that others may read is not used.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from wingman_core.database_address import parse_address
from wingman_core.errors import Code, SettingInvalid

PREFIX: Final = "WINGMAN_"
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Address = Annotated[str, StringConstraints(pattern=r"^\S+:\d{1,5}$")]


def _usable(url: str) -> str:
    """Return an address that ``parse_address`` takes; raise ``ValueError``."""
    parse_address(url)
    return url


DatabaseUrl = Annotated[str, AfterValidator(_usable)]


class Settings(BaseSettings):
    """Everything the gateway is told from outside; frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    environment: Literal["test", "prd"]
    gateway_listen: Address
    """``host:port``; port 0 takes a free one."""
    gateway_id: Name | None = None
    """Which gateway this is among those that share one log; without it, its journal's own id."""
    docker_host: str = "unix:///var/run/docker.sock"
    database_url: DatabaseUrl
    db_password: Annotated[SecretStr, Field(validation_alias="DB_PASSWORD", min_length=1)]
    tls_cert: Path
    tls_key: Path
    tls_ca: Path
    token_keys: Path
    """A directory of public keys, one ``<kid>.pem`` each; several while keys rotate."""
    checkpoint_key: Path
    """The Ed25519 key (PKCS 8, PEM) that signs checkpoints."""
    log_id: Name
    policy_dir: Path
    journal: Path
    compose_projects: Path | None = None
    """The registry of projects for ``docker compose up`` and ``pull``: TOML; unset: none."""
    compose_binary: Path = Path("/usr/local/bin/docker-compose")
    health_file: Path | None = None
    """Written at every look that finds the gateway fit, for a supervisor without a certificate."""

    boundary_project: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{0,64}$")] = ""
    """The compose project whose privilege boundary is watched; empty: none, as where there are no containers."""
    boundary_interval: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Seconds between two looks at it."""
    boundary_stops: bool = False
    """Whether nothing is executed while it is violated."""

    output_limit: Annotated[int, Field(ge=1024, le=64 << 20)] = 1 << 20
    """Bytes of output that are streamed; the digest covers all of it."""
    excerpt_limit: Annotated[int, Field(ge=0, le=64 << 10)] = 4096
    """Bytes of output that are kept in the audit record."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 128
    """Calls in flight per caller."""
    rate: Annotated[float, Field(gt=0, le=100_000)] = 100.0
    """Calls per second per caller, after a burst of four seconds' worth."""
    target_wait: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Seconds to wait for another execution on the same target."""
    drain: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Seconds that running mutations get after SIGTERM; whoever kills a gateway that does not end waits 45 s more."""
    otlp_endpoint: Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$")] = ""
    """Where traces go over OTLP/HTTP, such as ``http://collector:4318``; empty: nowhere."""
    target_queue: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Executions that may wait for one target."""
    probe_interval: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Seconds between two looks at engine and database, and at files that may have changed."""

    @property
    def origin(self) -> str:
        """The checkpoint origin of the log this gateway appends to."""
        return f"wingman/{self.environment}/{self.log_id}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's own signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the arguments of the constructor alone: ``load`` says where they come from."""
        return (init_settings,)


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``environ``; raise ``SettingInvalid`` naming the first bad variable."""
    values = {name.removeprefix(PREFIX).lower(): value for name, value in environ.items() if name.startswith(PREFIX)}
    if "DB_PASSWORD" in environ:
        values["DB_PASSWORD"] = environ["DB_PASSWORD"]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = str(first["loc"][0])
        name = field if field.isupper() else f"{PREFIX}{field.upper()}"
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"{name}: {first['msg'].lower()}",
            hint=f"set {name} in the environment",
            setting=name,
        ) from error


def read_private(path: Path, setting: str) -> bytes:
    """Return the bytes of a private key file; raise ``SettingInvalid`` if others may read it or it is none."""
    try:
        # Not blocking: a pipe in the key's place must not hang the start.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            data = file.read() if stat.S_ISREG(status.st_mode) else None
    except OSError as error:
        raise _invalid(setting, f"{path} cannot be read: {error.strerror}", "name a readable file") from error
    if data is None:
        raise _invalid(setting, f"{path} is no regular file", "name the key's own file")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise _invalid(setting, f"{path} has mode {mode:04o}: others can reach the key", f"chmod 600 {path}")
    return data


def read_public(path: Path, setting: str) -> bytes:
    """Return the bytes of a file that is no secret; raise ``SettingInvalid`` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _invalid(setting, f"{path} cannot be read: {error.strerror}", "name a readable file") from error


def checkpoint_key(settings: Settings) -> ed25519.Ed25519PrivateKey:
    """Load the key that signs checkpoints."""
    name = "WINGMAN_CHECKPOINT_KEY"
    try:
        key = serialization.load_pem_private_key(read_private(settings.checkpoint_key, name), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _invalid(name, "the file is no unencrypted PKCS 8 key in PEM", "make one with wingman pki") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _invalid(name, "the key is not Ed25519", "make one with wingman pki")
    return key


def token_keys(settings: Settings) -> dict[str, str]:
    """Load the public keys that capability tokens are verified with, by ``kid``; at least one, P-256 each."""
    name = "WINGMAN_TOKEN_KEYS"
    keys: dict[str, str] = {}
    for path in sorted(settings.token_keys.glob("*.pem")):
        try:
            pem = read_public(path, name).decode("ascii")
            key = serialization.load_pem_public_key(pem.encode("ascii"))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _invalid(name, f"{path.name} is no public key in PEM", "keep only <kid>.pem public keys") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise _invalid(name, f"{path.name} is no ECDSA P-256 key", "tokens are signed with ES256")
        keys[path.stem] = pem
    if not keys:
        raise _invalid(name, f"{settings.token_keys} holds no <kid>.pem", "put the API's public key there")
    return keys


def tls_files(settings: Settings) -> tuple[bytes, bytes, bytes]:
    """Return private key, certificate chain and CA, in PEM.

    Only an ECDSA certificate is served: no TLS 1.2 suite that the process offers works with one, so that
    every handshake is TLS 1.3 (``docs/decisions/0002-tls-1-3-only.md``).
    """
    key = read_private(settings.tls_key, "WINGMAN_TLS_KEY")
    chain = read_public(settings.tls_cert, "WINGMAN_TLS_CERT")
    authority = read_public(settings.tls_ca, "WINGMAN_TLS_CA")
    try:
        leaf = x509.load_pem_x509_certificate(chain)
        private = serialization.load_pem_private_key(key, password=None)
        x509.load_pem_x509_certificate(authority)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _invalid("WINGMAN_TLS_CERT", "certificate, key or CA is no PEM", "issue one with wingman pki") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise _invalid("WINGMAN_TLS_KEY", "the key is not ECDSA: TLS 1.2 would be possible", "issue a P-256 one")
    if leaf.public_key() != private.public_key():
        raise _invalid("WINGMAN_TLS_KEY", "the key is not the certificate's", "name a pair")
    return key, chain, authority


def _invalid(setting: str, message: str, hint: str) -> SettingInvalid:
    return SettingInvalid(Code.SETTING_INVALID, f"{setting}: {message}", hint=hint, setting=setting)

"""A missing or unsafe setting stops the gateway with one line that names it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from wingman_cli.pki import Authority, create_checkpoint_key, create_token_key
from wingman_core.errors import SettingInvalid
from wingman_gateway.settings import Settings, checkpoint_key, load, tls_files, token_keys


@pytest.fixture
def environ(tmp_path: Path, pki: Authority) -> dict[str, str]:
    """A complete environment."""
    create_checkpoint_key(tmp_path / "checkpoint.key")
    create_token_key(tmp_path / "token.key", tmp_path / "keys")
    gateway = pki.leaf("gateway")
    return {
        "WINGMAN_ENVIRONMENT": "test",
        "WINGMAN_GATEWAY_LISTEN": "127.0.0.1:0",
        "WINGMAN_DATABASE_URL": "postgresql://wingman_gateway@/wingman?host=/run/pg",
        "DB_PASSWORD": "secret",
        "WINGMAN_TLS_CERT": str(gateway.certificate),
        "WINGMAN_TLS_KEY": str(gateway.key),
        "WINGMAN_TLS_CA": str(pki.certificate),
        "WINGMAN_TOKEN_KEYS": str(tmp_path / "keys"),
        "WINGMAN_CHECKPOINT_KEY": str(tmp_path / "checkpoint.key"),
        "WINGMAN_LOG_ID": "log1",
        "WINGMAN_POLICY_DIR": str(tmp_path / "policies"),
        "WINGMAN_JOURNAL": str(tmp_path / "journal"),
        "WINGMAN_API_LISTEN": "of another process",
    }


def test_a_complete_environment_loads_with_safe_limits(environ: dict[str, str]):
    settings = load(environ)
    assert settings.origin == "wingman/test/log1"
    assert settings.output_limit == 1 << 20
    assert settings.docker_host == "unix:///var/run/docker.sock"
    assert settings.db_password.get_secret_value() == "secret"
    assert "secret" not in repr(settings)
    assert isinstance(checkpoint_key(settings), ed25519.Ed25519PrivateKey)
    (kid,) = token_keys(settings)
    assert token_keys(settings)[kid].startswith("-----BEGIN PUBLIC KEY-----")
    key, chain, authority = tls_files(settings)
    assert b"PRIVATE KEY" in key
    assert b"CERTIFICATE" in chain
    assert b"CERTIFICATE" in authority


@pytest.mark.parametrize(
    "name",
    [
        "WINGMAN_ENVIRONMENT",
        "WINGMAN_GATEWAY_LISTEN",
        "WINGMAN_DATABASE_URL",
        "DB_PASSWORD",
        "WINGMAN_TLS_CERT",
        "WINGMAN_TLS_KEY",
        "WINGMAN_TLS_CA",
        "WINGMAN_TOKEN_KEYS",
        "WINGMAN_CHECKPOINT_KEY",
        "WINGMAN_LOG_ID",
        "WINGMAN_POLICY_DIR",
        "WINGMAN_JOURNAL",
    ],
)
def test_a_missing_setting_is_named(environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch):
    # Only the environment that was handed over counts.
    monkeypatch.setenv(name, environ[name])
    del environ[name]
    with pytest.raises(SettingInvalid) as refused:
        load(environ)
    assert str(refused.value) == f"SETTING_INVALID: {name}: field required (set {name} in the environment)"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WINGMAN_ENVIRONMENT", "staging"),
        ("WINGMAN_ENVIRONMENT", "TEST"),
        ("WINGMAN_GATEWAY_LISTEN", "127.0.0.1"),
        ("WINGMAN_GATEWAY_LISTEN", "127.0.0.1:7\n"),
        ("WINGMAN_LOG_ID", "a/b"),
        ("WINGMAN_LOG_ID", ""),
        ("WINGMAN_GATEWAY_ID", "Gateway"),
        ("WINGMAN_OUTPUT_LIMIT", "12"),
        ("WINGMAN_CONCURRENCY", "0"),
        ("WINGMAN_RATE", "none"),
        ("WINGMAN_DRAIN", "-1"),
        ("DB_PASSWORD", ""),
        ("WINGMAN_DATABASE_URL", "localhost"),
        ("WINGMAN_DATABASE_URL", "postgresql://wingman_gateway@/wingman"),
        ("WINGMAN_DATABASE_URL", "postgresql://wingman_gateway:hunter2@db/wingman"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(environ: dict[str, str], name: str, value: str):
    environ[name] = value
    with pytest.raises(SettingInvalid) as refused:
        load(environ)
    assert str(refused.value).startswith(f"SETTING_INVALID: {name}: ")
    assert "\n" not in str(refused.value)


def test_settings_do_not_change(environ: dict[str, str]):
    with pytest.raises(ValueError, match="frozen"):
        load(environ).environment = "prd"  # type: ignore[misc]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
@pytest.mark.parametrize("name", ["WINGMAN_CHECKPOINT_KEY", "WINGMAN_TLS_KEY"])
def test_a_key_that_others_can_reach_is_not_used(environ: dict[str, str], tmp_path: Path, name: str, mode: int):
    loose = tmp_path / "loose.key"
    loose.write_bytes(Path(environ[name]).read_bytes())
    loose.chmod(mode)
    environ[name] = str(loose)
    readers: dict[str, Callable[[Settings], object]] = {
        "WINGMAN_CHECKPOINT_KEY": checkpoint_key,
        "WINGMAN_TLS_KEY": tls_files,
    }
    with pytest.raises(SettingInvalid, match=f"{name}: .*has mode {mode:04o}"):
        readers[name](load(environ))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _private(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    path.chmod(0o600)
    return str(path)


def test_a_checkpoint_key_is_an_ed25519_key(environ: dict[str, str], tmp_path: Path):
    for data, said in (
        (b"garbage", "no unencrypted PKCS 8"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "not Ed25519"),
    ):
        environ["WINGMAN_CHECKPOINT_KEY"] = _private(tmp_path / "other.key", data)
        with pytest.raises(SettingInvalid, match=f"WINGMAN_CHECKPOINT_KEY: .*{said}"):
            checkpoint_key(load(environ))


def test_a_key_file_must_be_a_file_that_is_there(environ: dict[str, str], tmp_path: Path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, said in (
        (tmp_path, "cannot be read"),
        (tmp_path / "gone", "cannot be read"),
        (tmp_path / "pipe", "no regular file"),
    ):
        environ["WINGMAN_CHECKPOINT_KEY"] = str(path)
        with pytest.raises(SettingInvalid, match=f"WINGMAN_CHECKPOINT_KEY: .*{said}"):
            checkpoint_key(load(environ))


def test_token_keys_are_p256_public_keys_and_at_least_one(environ: dict[str, str], tmp_path: Path):
    keys = tmp_path / "other-keys"
    keys.mkdir()
    environ["WINGMAN_TOKEN_KEYS"] = str(keys)
    with pytest.raises(SettingInvalid, match=r"WINGMAN_TOKEN_KEYS: .*holds no"):
        token_keys(load(environ))
    (keys / "a.pem").write_bytes(_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(SettingInvalid, match=r"WINGMAN_TOKEN_KEYS: a\.pem is no public key"):
        token_keys(load(environ))
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    (keys / "a.pem").write_bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(SettingInvalid, match=r"WINGMAN_TOKEN_KEYS: a\.pem is no ECDSA P-256 key"):
        token_keys(load(environ))


def test_only_an_ecdsa_certificate_with_its_own_key_is_served(environ: dict[str, str], tmp_path: Path):
    own = environ["WINGMAN_TLS_KEY"]
    for data, said in (
        (_pem(rsa.generate_private_key(65537, 2048)), "not ECDSA"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "not the certificate's"),
    ):
        environ["WINGMAN_TLS_KEY"] = _private(tmp_path / "other.key", data)
        with pytest.raises(SettingInvalid, match=f"WINGMAN_TLS_KEY: .*{said}"):
            tls_files(load(environ))
    environ["WINGMAN_TLS_KEY"] = own
    environ["WINGMAN_TLS_CA"] = _private(tmp_path / "ca.crt", b"garbage")
    with pytest.raises(SettingInvalid, match=r"WINGMAN_TLS_CERT: .*no PEM"):
        tls_files(load(environ))
    environ["WINGMAN_TLS_CERT"] = str(tmp_path / "gone.crt")
    with pytest.raises(SettingInvalid, match=r"WINGMAN_TLS_CERT: .*cannot be read"):
        tls_files(load(environ))

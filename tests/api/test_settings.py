"""Settings: nothing unsafe starts, and one line says why."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.conftest import of_an_unknown_curve
from wingman_api.settings import load, thumbprint, tls_files, token_key
from wingman_cli.pki import Authority
from wingman_core.errors import SettingInvalid


def test_a_full_environment_loads(environ: dict[str, str]):
    settings = load(environ)
    assert (settings.environment, settings.anonymous_role) == ("test", "worker")
    assert (settings.token_lifetime, settings.expiry_high, settings.expiry) == (60, 900, 3600)
    assert environ["DB_PASSWORD"] not in repr(settings)
    environ["WINGMAN_ANONYMOUS_ROLE"] = ""
    assert load(environ).anonymous_role is None


REQUIRED = [
    "WINGMAN_ENVIRONMENT",
    "WINGMAN_API_LISTEN",
    "WINGMAN_DATABASE_URL",
    "DB_PASSWORD",
    "WINGMAN_GATEWAY_ADDRESS",
    "WINGMAN_TLS_CERT",
    "WINGMAN_TLS_KEY",
    "WINGMAN_TLS_CA",
    "WINGMAN_TOKEN_KEY",
    "WINGMAN_TOKEN_KID",
]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named(environ: dict[str, str], name: str):
    del environ[name]
    with pytest.raises(SettingInvalid) as refused:
        load(environ)
    assert refused.value.details == {"setting": name}
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WINGMAN_ENVIRONMENT", "TEST"),
        ("WINGMAN_ENVIRONMENT", "dev"),
        ("WINGMAN_API_LISTEN", "8100"),
        ("WINGMAN_API_LISTEN", "127.0.0.1:8100\n"),
        ("WINGMAN_GATEWAY_ADDRESS", "gateway"),
        ("WINGMAN_ANONYMOUS_ROLE", "operator"),
        ("WINGMAN_TOKEN_KID", "a b"),
        ("WINGMAN_TOKEN_LIFETIME", "301"),
        ("WINGMAN_TOKEN_LIFETIME", "x"),
        ("WINGMAN_EXPIRY", "1"),
        ("DB_PASSWORD", ""),
        ("WINGMAN_DATABASE_URL", ""),
        ("WINGMAN_DATABASE_URL", "localhost"),
        ("WINGMAN_DATABASE_URL", "mysql://api@db/wingman"),
        ("WINGMAN_DATABASE_URL", "postgresql://api@/wingman"),
        ("WINGMAN_DATABASE_URL", "postgresql://api@db/"),
        ("WINGMAN_DATABASE_URL", "postgresql://api:hunter2@db/wingman"),
    ],
)
def test_a_bad_value_is_named_and_not_shown(environ: dict[str, str], name: str, value: str):
    environ[name] = value
    with pytest.raises(SettingInvalid) as refused:
        load(environ)
    assert refused.value.details == {"setting": name}
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nobody_is_anonymous_in_prd(environ: dict[str, str]):
    environ["WINGMAN_ENVIRONMENT"] = "prd"
    with pytest.raises(SettingInvalid, match="WINGMAN_ANONYMOUS_ROLE is refused in PRD"):
        load(environ)
    del environ["WINGMAN_ANONYMOUS_ROLE"]
    assert load(environ).environment == "prd"


def test_the_thumbprint_is_the_certificates(environ: dict[str, str], pki: Authority):
    _, chain, _ = tls_files(load(environ))
    assert thumbprint(chain) == pki.leaf("api").thumbprint


@pytest.mark.parametrize("name", ["WINGMAN_TLS_KEY", "WINGMAN_TOKEN_KEY"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_private_key_that_others_reach_is_not_used(environ: dict[str, str], tmp_path: Path, name: str, mode: int):
    copy = tmp_path / "copy.key"
    copy.write_bytes(Path(environ[name]).read_bytes())
    copy.chmod(mode)
    environ[name] = str(copy)
    with pytest.raises(SettingInvalid, match="others can reach the key") as refused:
        read(environ)
    assert refused.value.hint == f"chmod 600 {copy}"


@pytest.mark.parametrize("name", ["WINGMAN_TLS_KEY", "WINGMAN_TOKEN_KEY", "WINGMAN_TLS_CERT", "WINGMAN_TLS_CA"])
def test_a_file_that_is_missing_no_file_or_garbage_is_named(environ: dict[str, str], tmp_path: Path, name: str):
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"-----BEGIN NOTHING-----")
    garbage.chmod(0o600)
    for place in (tmp_path / "missing", tmp_path, garbage):
        environ[name] = str(place)
        with pytest.raises(SettingInvalid) as refused:
            read(environ)
        assert refused.value.details == {"setting": name}


def test_keys_of_another_kind_are_refused(environ: dict[str, str], tmp_path: Path):
    others = (
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    )
    for key in others:
        write(tmp_path / "other.key", key)
        for name in ("WINGMAN_TLS_KEY", "WINGMAN_TOKEN_KEY"):
            with pytest.raises(SettingInvalid, match="not ECDSA P-256"):
                read({**environ, name: str(tmp_path / "other.key")})


@pytest.mark.parametrize("name", ["WINGMAN_TLS_KEY", "WINGMAN_TOKEN_KEY", "WINGMAN_TLS_CERT", "WINGMAN_TLS_CA"])
def test_what_is_on_a_curve_that_is_not_known_is_named(environ: dict[str, str], tmp_path: Path, name: str):
    (tmp_path / "sm2.pem").write_bytes(of_an_unknown_curve(Path(environ[name]).read_bytes()))
    (tmp_path / "sm2.pem").chmod(0o600)
    environ[name] = str(tmp_path / "sm2.pem")
    with pytest.raises(SettingInvalid) as refused:
        read(environ)
    assert refused.value.details == {"setting": name}


def test_a_key_of_another_certificate_is_refused(environ: dict[str, str], tmp_path: Path):
    write(tmp_path / "other.key", ec.generate_private_key(ec.SECP256R1()))
    environ["WINGMAN_TLS_KEY"] = str(tmp_path / "other.key")
    with pytest.raises(SettingInvalid, match="not the certificate's"):
        read(environ)


def read(environ: dict[str, str]) -> None:
    settings = load(environ)
    tls_files(settings)
    token_key(settings)


def write(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> None:
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path.chmod(0o600)

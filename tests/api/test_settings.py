"""Settings: nothing unsafe starts, and one line says why."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.conftest import of_an_unknown_curve
from wingman_api.claims.probes.hosts import Host
from wingman_api.settings import load, thumbprint, tls_files, token_key
from wingman_cli.pki import Authority
from wingman_core.errors import SettingInvalid


def test_a_full_environment_loads(environ: dict[str, str]):
    settings = load(environ)
    assert (settings.environment, settings.anonymous_role) == ("test", "worker")
    assert (settings.token_lifetime, settings.expiry_high, settings.expiry) == (60, 900, 3600)
    assert (settings.event_retention, settings.event_streams, settings.checkpoint_every) == (30, 32, 3600)
    assert environ["DB_PASSWORD"] not in repr(settings)
    assert (settings.consensus_enabled, settings.high_risk_people) == (True, 1)
    assert not load({**environ, "WINGMAN_CONSENSUS_ENABLED": "0"}).consensus_enabled
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
    "WINGMAN_CLAIMS_LEDGER",
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
        ("WINGMAN_CONSENSUS_ENABLED", "maybe"),
        ("WINGMAN_HIGH_RISK_PEOPLE", "0"),
        ("WINGMAN_HIGH_RISK_PEOPLE", "10"),
        ("WINGMAN_EVENT_RETENTION", "0"),
        ("WINGMAN_EVENT_STREAMS", "0"),
        ("WINGMAN_CHECKPOINT_EVERY", "59"),
        ("WINGMAN_STALL", "0"),
        ("WINGMAN_PUBLISHED_ON_LOOPBACK", "perhaps"),
        ("WINGMAN_RATE_LIMIT_READS", "0/60"),
        ("WINGMAN_RATE_LIMIT_WRITES", "600"),
        ("WINGMAN_RATE_LIMIT_ANONYMOUS", "600/86400"),
        ("WINGMAN_RATE_LIMIT_FAILURES", ""),
        ("WINGMAN_CLAIM_ROOTS", "tmp"),
        ("WINGMAN_CLAIM_ROOTS", "/srv:/a/../b"),
        ("WINGMAN_CLAIM_ROOTS", "/srv\0"),
        ("WINGMAN_CLAIM_HIDDEN", "."),
        ("WINGMAN_CLAIM_HOSTS", "http://example.org"),
        ("WINGMAN_CLAIM_HOSTS", "example.org,*"),
        ("WINGMAN_CLAIM_HOSTS", "127.1"),
        ("WINGMAN_CLAIM_MACHINE", "maybe"),
        ("DB_PASSWORD", ""),
        ("WINGMAN_DATABASE_URL", ""),
        ("WINGMAN_DATABASE_URL", "localhost"),
        ("WINGMAN_DATABASE_URL", "mysql://api@db/wingman"),
        ("WINGMAN_DATABASE_URL", "postgresql://api@/wingman"),
        ("WINGMAN_DATABASE_URL", "postgresql://api@db/"),
        ("WINGMAN_DATABASE_URL", "postgresql://api:hunter2@db/wingman"),
        ("WINGMAN_LLM_URL", "127.0.0.1:11434"),
        ("WINGMAN_LLM_TIMEOUT", "0"),
        ("WINGMAN_LLM_TIMEOUT", "31"),
        ("WINGMAN_TOKEN_LIFETIME", "301"),
        ("WINGMAN_TOKEN_LIFETIME", "x"),
        ("WINGMAN_EXPIRY", "1"),
    ],
)
def test_a_bad_value_is_named_and_not_shown(environ: dict[str, str], name: str, value: str):
    environ[name] = value
    with pytest.raises(SettingInvalid) as refused:
        load(environ)
    assert refused.value.details == {"setting": name}
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_claims_are_looked_at_nowhere_by_default_and_where_lists_say(environ: dict[str, str]):
    settings = load({name: value for name, value in environ.items() if not name.startswith("WINGMAN_CLAIM_")})
    assert (settings.root_directories, settings.hosts, settings.claim_machine) == ((), (), False)
    environ["WINGMAN_CLAIM_ROOTS"] = "/srv/a: /srv/b/ ::"
    environ["WINGMAN_CLAIM_HIDDEN"] = "/srv/a/keys"
    environ["WINGMAN_CLAIM_HOSTS"] = "Example.org., web:8080,"
    settings = load(environ)
    assert settings.root_directories == ("/srv/a", "/srv/b/")
    assert settings.hidden_directories == ("/srv/a/keys",)
    assert settings.hosts == (Host("example.org", None), Host("web", 8080))


def test_a_language_model_has_a_name_and_its_key_is_not_shown(environ: dict[str, str]):
    assert load(environ).llm_url == ""
    environ |= {"WINGMAN_LLM_URL": "http://127.0.0.1:11434/v1", "WINGMAN_LLM_KEY": "sesame"}
    with pytest.raises(SettingInvalid, match="a model's name is needed") as refused:
        load(environ)
    assert refused.value.details == {"setting": "WINGMAN_LLM_MODEL"}
    settings = load({**environ, "WINGMAN_LLM_MODEL": "small"})
    assert (settings.llm_model, settings.llm_key.get_secret_value()) == ("small", "sesame")
    assert "sesame" not in repr(settings)


def test_nobody_is_anonymous_in_prd(environ: dict[str, str]):
    environ["WINGMAN_ENVIRONMENT"] = "prd"
    with pytest.raises(SettingInvalid, match="WINGMAN_ANONYMOUS_ROLE is refused in PRD"):
        load(environ)
    del environ["WINGMAN_ANONYMOUS_ROLE"]
    assert load(environ).environment == "prd"


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:8100", "127.8.9.10:0", "[::1]:8100", "::1:8100", "localhost:8100", "[::1%lo]:1"]
)
def test_callers_without_a_key_are_let_in_on_loopback(environ: dict[str, str], listen: str):
    assert load(environ | {"WINGMAN_API_LISTEN": listen}).anonymous_role == "worker"


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:8100",
        "[::]:8100",
        "[]:8100",
        "192.0.2.1:8100",
        "[::ffff:127.0.0.1]:8100",
        "[fe80::1]:8100",
        "api:8100",
        "localhost.example.com:8100",
        "127.1:8100",
        "127.0.0.1.example.com:8100",
        "0177.0.0.1:8100",
    ],
)
def test_callers_without_a_key_are_refused_where_others_can_connect(environ: dict[str, str], listen: str):
    environ["WINGMAN_API_LISTEN"] = listen
    with pytest.raises(SettingInvalid, match="published on loopback alone") as refused:
        load(environ)
    assert refused.value.details == {"setting": "WINGMAN_ANONYMOUS_ROLE"}
    assert load(environ | {"WINGMAN_PUBLISHED_ON_LOOPBACK": "1"}).anonymous_role == "worker"
    assert load(environ | {"WINGMAN_ANONYMOUS_ROLE": ""}).anonymous_role is None
    with pytest.raises(SettingInvalid, match="refused in PRD"):
        load(environ | {"WINGMAN_PUBLISHED_ON_LOOPBACK": "1", "WINGMAN_ENVIRONMENT": "prd"})


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

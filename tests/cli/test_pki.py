"""Keys and certificates: roles in SANs, 0600 keys, nothing overwritten, another deployment not trusted."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.conftest import of_an_unknown_curve
from wingman_cli.pki import Authority, create_checkpoint_key, create_token_key
from wingman_core.errors import SettingInvalid

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_certificate_names_its_role_and_is_signed_by_the_deployments_ca(tmp_path: Path):
    authority = Authority(tmp_path / "pki", "prd", now=NOW)
    leaf = authority.issue("tool/deploy")
    certificate = load(leaf.certificate)
    certificate.verify_directly_issued_by(load(authority.certificate))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://wingman/prd/tool/deploy"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert authority.leaf("tool-deploy") == leaf
    assert len(leaf.thumbprint) == 64


def test_only_the_gateway_serves(tmp_path: Path):
    authority = Authority(tmp_path / "pki", "test", now=NOW)
    certificate = load(authority.issue("gateway", dns=["execution-gateway"], ips=["127.0.0.1"]).certificate)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert names.get_values_for_type(x509.DNSName) == ["execution-gateway"]


def test_private_keys_are_0600_and_no_half_written_file_stays(tmp_path: Path):
    authority = Authority(tmp_path / "pki", "test", now=NOW)
    authority.issue("api")
    kid = create_token_key(tmp_path / "keys" / "token.pem", tmp_path / "public")
    raw = create_checkpoint_key(tmp_path / "keys" / "checkpoint.pem")
    secret = [*tmp_path.glob("pki/*.key"), *tmp_path.glob("keys/*")]
    assert len(secret) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    assert not list(tmp_path.rglob("*.new"))
    assert len(raw) == 32
    public = serialization.load_pem_public_key((tmp_path / "public" / f"{kid}.pem").read_bytes())
    assert isinstance(public, ec.EllipticCurvePublicKey)


@pytest.mark.parametrize("role", ["", "root", "tool", "tool/", "tool/a b", "tool/../api", "API", "api\n", "tool/-x"])
def test_a_role_outside_the_list_gets_no_certificate(tmp_path: Path, role: str):
    with pytest.raises(SettingInvalid, match="not a role"):
        Authority(tmp_path, "test", now=NOW).issue(role)
    assert not list(tmp_path.glob("*.crt")) or [path.name for path in tmp_path.glob("*.crt")] == ["ca.crt"]


def test_nothing_is_overwritten_unless_asked(tmp_path: Path):
    authority = Authority(tmp_path, "test", now=NOW)
    first = authority.issue("api")
    with pytest.raises(SettingInvalid, match="exists"):
        authority.issue("api")
    assert authority.issue("api", replace=True).thumbprint != first.thumbprint


def test_a_second_start_keeps_the_ca_and_caps_lifetimes_at_its_end(tmp_path: Path):
    first = Authority(tmp_path, "test", now=NOW)
    ca = first.certificate.read_bytes()
    late = Authority(tmp_path, "test", now=NOW + timedelta(days=3600))
    assert late.certificate.read_bytes() == ca
    leaf = load(late.issue("api").certificate)
    assert leaf.not_valid_after_utc == load(late.certificate).not_valid_after_utc


def test_a_missing_leaf_and_a_foreign_ca_key_are_said(tmp_path: Path):
    authority = Authority(tmp_path, "test", now=NOW)
    with pytest.raises(SettingInvalid, match="no certificate named"):
        authority.leaf("api")
    create_checkpoint_key(tmp_path / "ca.key")
    with pytest.raises(SettingInvalid, match=r"ca\.key"):
        authority.issue("api")


BROKEN: dict[str, Callable[[Path], object]] = {
    "moved away": lambda path: path.unlink(),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "garbage": lambda path: path.write_bytes(b"-----BEGIN NOTHING-----"),
    "encrypted": lambda path: path.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()), b"secret")),
    "of a curve that is not known": lambda path: path.write_bytes(of_an_unknown_curve(path.read_bytes())),
    "another CA's": lambda path: path.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()))),
}


def pem(key: ec.EllipticCurvePrivateKey, secret: bytes = b"") -> bytes:
    kept = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_ca_key_that_cannot_be_used_is_said_with_a_way_out(tmp_path: Path, broken: Callable[[Path], object]):
    Authority(tmp_path, "test", now=NOW)
    broken(tmp_path / "ca.key")
    with pytest.raises(SettingInvalid, match=r"ca\.key") as refused:
        Authority(tmp_path, "test", now=NOW).issue("api")
    assert refused.value.hint
    assert not (tmp_path / "api.crt").exists()
    assert not (tmp_path / "api.key").exists()


def test_a_ca_certificate_that_is_none_is_said(tmp_path: Path):
    Authority(tmp_path, "test", now=NOW).certificate.write_text("no")
    with pytest.raises(SettingInvalid, match=r"ca\.crt"):
        Authority(tmp_path, "test", now=NOW)


def test_no_certificate_outlives_its_ca(tmp_path: Path):
    authority = Authority(tmp_path, "test", now=NOW)
    leaf = load(authority.issue("api", not_after=NOW + timedelta(days=4000)).certificate)
    assert leaf.not_valid_after_utc == load(authority.certificate).not_valid_after_utc


def test_a_pair_is_whole_where_key_and_certificate_fit(tmp_path: Path):
    authority = Authority(tmp_path, "test", now=NOW)
    assert not authority.holds("api")
    leaf = authority.issue("api")
    assert authority.holds("api")
    for path, data in (
        (leaf.key, pem(ec.generate_private_key(ec.SECP256R1()))),
        (leaf.certificate, b"half"),
        (leaf.certificate, of_an_unknown_curve(leaf.certificate.read_bytes())),
    ):
        before = path.read_bytes()
        path.write_bytes(data)
        assert not authority.holds("api")
        path.write_bytes(before)
    assert authority.holds("api")
    leaf.key.unlink()
    assert not authority.holds("api")

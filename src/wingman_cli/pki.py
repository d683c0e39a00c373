"""Keys and certificates of one deployment: its own CA, ECDSA P-256 certificates, token and checkpoint keys.

Guarantees: every private key is a file of mode 0600, written whole or not at all; a certificate names its
role as a SPIFFE id in its URI SAN; nothing that exists is overwritten unless asked.
Does not: keep the CA's key anywhere but in the directory it is given (move it off the host after set-up).
"""

import hashlib
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from wingman_core.errors import Code, SettingInvalid

CA_LIFETIME: Final = timedelta(days=3650)
LEAF_LIFETIME: Final = timedelta(days=365)
BACKDATE: Final = timedelta(minutes=5)

ROLE: Final = re.compile(r"(?:api|gateway|postgres|(?:tool|auditor)/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)", re.ASCII)

SERVERS: Final = ("gateway", "postgres")
"""Roles that are connected to, by name or address; the others connect."""

UNUSABLE: Final = (OSError, ValueError, TypeError, UnsupportedAlgorithm)
"""What reading a key or certificate raises."""

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Leaf:
    """One issued certificate: where its key and chain are, and the RFC 8705 thumbprint that tokens name."""

    certificate: Path
    key: Path
    thumbprint: str
    """Lowercase hex SHA-256 of the DER certificate (64 characters)."""


class Authority:
    """The deployment's CA in ``directory``: ``ca.crt``, ``ca.key``, and what it issued."""

    def __init__(self, directory: Path, environment: str, *, now: datetime) -> None:
        """Load the CA of ``directory``, or make one; ``now`` is an aware time."""
        self._directory = directory
        self._environment = environment
        self._now = now
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        if not self.certificate.exists():
            self._create()
        try:
            self._ca = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise _unusable(self.certificate, "no certificate in PEM") from error

    @property
    def certificate(self) -> Path:
        """The CA's own certificate, which both sides trust."""
        return self._directory / "ca.crt"

    def issue(  # noqa: PLR0913 - each is one property of a certificate
        self,
        role: str,
        *,
        name: str = "",
        dns: Sequence[str] = ("localhost",),
        ips: Sequence[str] = ("127.0.0.1", "::1"),
        environment: str = "",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        replace: bool = False,
    ) -> Leaf:
        """Issue a certificate for ``api``, ``gateway``, ``postgres``, ``tool/<name>`` or ``auditor/<name>``.

        ``name`` is the files' stem (the role with ``-`` for ``/`` where empty). Raises ``SettingInvalid``
        for another role, and where the files exist and ``replace`` is false.
        """
        if not ROLE.fullmatch(role):
            raise SettingInvalid(
                Code.SETTING_INVALID,
                f"{role!a} is not a role that certificates carry",
                hint="use api, gateway, postgres, tool/<name> or auditor/<name>, names in a-z, 0-9 and -",
            )
        stem = name or role.replace("/", "-")
        if (self._directory / f"{stem}.crt").exists() and not replace:
            raise SettingInvalid(
                Code.SETTING_INVALID, f"a certificate named {stem} exists", hint="ask to replace it, or choose a name"
            )
        authority, key = self._key(), ec.generate_private_key(ec.SECP256R1())
        uri = f"spiffe://wingman/{environment or self._environment}/{role}"
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if role in SERVERS:
            names += [x509.DNSName(value) for value in dns]
            names += [x509.IPAddress(ipaddress.ip_address(value)) for value in ips]
            usages = [ExtendedKeyUsageOID.SERVER_AUTH]
        signed = (
            _builder(role, self._ca.subject, key, not_before or self._now - BACKDATE, self._end(not_after))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
            .sign(authority, hashes.SHA256())
        )
        return self._kept(stem, signed, key)

    def _kept(self, stem: str, signed: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Leaf:
        certificate, key_path = self._directory / f"{stem}.crt", self._directory / f"{stem}.key"
        write_private(key_path, _pem(key))
        write_atomically(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)
        return Leaf(certificate, key_path, thumbprint(signed))

    def reissue(self, old: x509.Certificate, stem: str) -> Leaf:
        """Issue a certificate for the names, role and uses of ``old``, whoever signed that, with a key of its own."""
        authority, key = self._key(), ec.generate_private_key(ec.SECP256R1())
        builder = _builder("", self._ca.subject, key, self._now - BACKDATE, self._end(None)).subject_name(old.subject)
        for extension in old.extensions:
            if extension.oid != ExtensionOID.AUTHORITY_KEY_IDENTIFIER:
                builder = builder.add_extension(extension.value, critical=extension.critical)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
        return self._kept(stem, builder.add_extension(issuer, critical=False).sign(authority, hashes.SHA256()), key)

    def leaf(self, stem: str) -> Leaf:
        """Return the issued certificate of that stem, or raise ``SettingInvalid``."""
        path = self._directory / f"{stem}.crt"
        if not path.exists():
            raise SettingInvalid(Code.SETTING_INVALID, f"no certificate named {stem}", hint="issue it first")
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        return Leaf(path, self._directory / f"{stem}.key", thumbprint(certificate))

    def holds(self, stem: str) -> bool:
        """Return whether certificate and private key of that stem are there, and fit together."""
        try:
            certificate = x509.load_pem_x509_certificate((self._directory / f"{stem}.crt").read_bytes())
            key = serialization.load_pem_private_key((self._directory / f"{stem}.key").read_bytes(), password=None)
            return certificate.public_key() == key.public_key()
        except UNUSABLE:
            return False

    def _end(self, wanted: datetime | None) -> datetime:
        return min(wanted or self._now + LEAF_LIFETIME, self._ca.not_valid_after_utc)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        path = self._directory / "ca.key"
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except UNUSABLE as error:
            raise _unusable(path, "no unencrypted private key in PEM, or cannot be read") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise _unusable(path, "no ECDSA key")
        if key.public_key() != self._ca.public_key():
            raise _unusable(path, "not the key of ca.crt")
        return key

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"Wingman {self._environment} CA")
        certificate = (
            _builder("", subject, key, self._now - BACKDATE, self._now + CA_LIFETIME)
            .subject_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(self._directory / "ca.key", _pem(key))
        write_atomically(self.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def create_token_key(private: Path, public_directory: Path) -> str:
    """Make the ES256 pair that mints capabilities; return its ``kid``, the stem of the public file."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    kid = hashlib.sha256(public).hexdigest()[:16]
    public_directory.mkdir(parents=True, exist_ok=True)
    write_atomically(public_directory / f"{kid}.pem", public, 0o644)
    write_private(private, _pem(key))
    return kid


def create_checkpoint_key(private: Path) -> bytes:
    """Make the Ed25519 key that signs checkpoints; return the raw public key (32 bytes)."""
    key = ed25519.Ed25519PrivateKey.generate()
    write_private(private, _pem(key))
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def thumbprint(certificate: x509.Certificate) -> str:
    """Return the lowercase hex SHA-256 of the DER certificate (RFC 8705 section 3.1, in hex)."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def certificate_thumbprint(path: Path) -> str:
    """Return the thumbprint of a certificate's PEM file."""
    return thumbprint(x509.load_pem_x509_certificate(path.read_bytes()))


def write_private(path: Path, data: bytes) -> None:
    """Write a secret file of mode 0600, whole or not at all."""
    write_atomically(path, data, 0o600)


def write_atomically(path: Path, data: bytes, mode: int) -> None:
    """Write through a temporary file of ``mode`` in the same directory, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


def _unusable(path: Path, what: str) -> SettingInvalid:
    return SettingInvalid(
        Code.SETTING_INVALID,
        f"{path} is {what}",
        hint="bring it back from where it is kept; without it no certificate can be issued",
    )


def _builder(
    role: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    return builder.subject_name(_subject(role)) if role else builder


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Wingman"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

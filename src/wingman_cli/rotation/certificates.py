"""A new CA and new certificates for everybody, in three steps between which everybody trusts everybody.

Guarantees: at no step does a certificate meet a process that does not trust it; each step can be repeated, and one that
was cut off goes on where it was; after the last step no certificate of the old CA opens anything, whoever has one.
"""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wingman_cli.instance import Instance
from wingman_cli.pki import Authority, write_atomically, write_private

NEXT: Final = "next"
WHOLE: Final = "whole"
"""In the directory of the next certificates once all of them are there."""


def stage(instance: Instance, now: datetime) -> None:
    """Make the next CA, and of it one certificate for each that there is, beside those in use."""
    place = instance.pki / NEXT
    if (place / WHOLE).exists():
        return
    shutil.rmtree(place, ignore_errors=True)
    authority = Authority(place, instance.environment, now=now)
    for stem in _stems(instance):
        authority.reissue(x509.load_pem_x509_certificate((instance.pki / f"{stem}.crt").read_bytes()), stem)
    (place / WHOLE).touch()


def trust_both(instance: Instance) -> None:
    """Have both CAs be trusted; the old one stays the first, and the one that issues."""
    coming = _certificates(instance.pki / NEXT / "ca.crt")
    known = [each for each in _certificates(instance.pki / "ca.crt") if each not in coming]
    _write_authorities(instance, known + coming)


def use_new(instance: Instance) -> None:
    """Have everybody show the certificate of the new CA."""
    for stem in _stems(instance):
        for suffix, mode in (("key", 0o600), ("crt", 0o644)):
            coming = instance.pki / NEXT / f"{stem}.{suffix}"
            if coming.exists():  # else it was issued meanwhile, by the old CA
                write_atomically(instance.pki / f"{stem}.{suffix}", coming.read_bytes(), mode)


def trust_new(instance: Instance) -> None:
    """Have the new CA alone be trusted, and issue."""
    write_private(instance.pki / "ca.key", (instance.pki / NEXT / "ca.key").read_bytes())
    _write_authorities(instance, _certificates(instance.pki / NEXT / "ca.crt"))
    (instance.pki / NEXT / WHOLE).unlink()  # first: what is left of a removal that is cut off is not whole
    shutil.rmtree(instance.pki / NEXT)


def _stems(instance: Instance) -> list[str]:
    return sorted(path.stem for path in instance.pki.glob("*.crt") if path.stem != "ca")


def _certificates(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def _write_authorities(instance: Instance, authorities: list[x509.Certificate]) -> None:
    text = b"".join(each.public_bytes(Encoding.PEM) for each in authorities)
    write_atomically(instance.pki / "ca.crt", text, 0o644)

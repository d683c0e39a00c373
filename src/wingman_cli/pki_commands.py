"""``wingman pki issue | show``: certificates of the data directory's own CA."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from wingman_cli.options import Json
from wingman_cli.screen import Screen
from wingman_cli.session import Session
from wingman_core.errors import Code, SettingInvalid


def issue(
    context: typer.Context,
    role: Annotated[str, typer.Argument(help="api, gateway, tool/<name> or auditor/<name>.")],
    *,
    days: Annotated[int, typer.Option(help="For how long it is valid.", min=1, max=3650)] = 365,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the certificate of that role.")] = False,
    as_json: Json = False,
) -> None:
    """Issue a certificate and its private key (0600), for mutual TLS with the gateway."""
    from wingman_cli.pki import Authority

    session: Session = context.obj
    instance = session.instance
    if not (instance.pki / "ca.crt").exists():
        raise SettingInvalid(
            Code.SETTING_INVALID, f"there is no CA in {instance.pki}", hint="wingman up makes one on its first start"
        )
    now = datetime.now(UTC)
    authority = Authority(instance.pki, instance.environment, now=now)
    leaf = authority.issue(role, not_after=now + timedelta(days=days), replace=replace)
    screen = Screen(as_json=as_json)
    if as_json:
        document = {"certificate": leaf.certificate, "key": leaf.key, "ca": authority.certificate}
        screen.document({name: str(path) for name, path in document.items()} | {"thumbprint": leaf.thumbprint})
        return
    screen.say(f"certificate  {leaf.certificate}")
    screen.say(f"key          {leaf.key}")
    screen.say(f"CA           {authority.certificate}")
    screen.say(f"thumbprint   {leaf.thumbprint}")


def show(context: typer.Context, *, as_json: Json = False) -> None:
    """List the certificates with role, end and thumbprint."""
    from rich.table import Column, Table

    session: Session = context.obj
    found = [_described(path) for path in sorted(session.instance.pki.glob("*.crt"))]
    screen = Screen(as_json=as_json)
    if as_json:
        screen.document(found)
        return
    table = Table("file", Column("role", overflow="fold"), "until (UTC)", Column("thumbprint", overflow="fold"))
    for entry in found:
        table.add_row(entry["file"], entry["role"], entry["until"][:16].replace("T", " "), entry["thumbprint"])
    screen.out.print(table if found else f"There are no certificates in {session.instance.pki}.")


def _described(path: Path) -> dict[str, str]:
    from cryptography import x509

    from wingman_cli.pki import thumbprint

    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise SettingInvalid(Code.SETTING_INVALID, f"{path} is no certificate in PEM", hint="remove it") from error
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        role = ", ".join(names.get_values_for_type(x509.UniformResourceIdentifier))
    except x509.ExtensionNotFound:
        role = certificate.subject.rfc4514_string()
    return {
        "file": path.name,
        "role": role,
        "until": certificate.not_valid_after_utc.isoformat(),
        "thumbprint": thumbprint(certificate),
    }

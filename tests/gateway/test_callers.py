"""A caller is a certificate of this environment with one known role, now."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wingman_cli.pki import Authority
from wingman_core.errors import CallerRefused, Code
from wingman_gateway import callers as module
from wingman_gateway.callers import METHOD_ROLES, Callers, Role
from wingman_rpc.v1 import gateway_pb2

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def _certificate(*names: x509.GeneralName) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _uri(text: str) -> bytes:
    return _certificate(x509.UniformResourceIdentifier(text))


def _callers(now: Callable[[], datetime] = lambda: NOW) -> Callers:
    return Callers("test", now=now)


@pytest.mark.parametrize(
    ("uri", "role"),
    [
        ("spiffe://wingman/test/api", Role.API),
        ("spiffe://wingman/test/tool/deploy", Role.TOOL),
        ("spiffe://wingman/test/tool/a-1", Role.TOOL),
        ("spiffe://wingman/test/auditor/alice", Role.AUDITOR),
    ],
)
def test_a_role_is_read_from_the_uri(uri: str, role: Role):
    caller = _callers().identify(_uri(uri))
    assert (caller.identity, caller.role) == (uri, role)


def test_the_thumbprint_is_the_one_that_tokens_name(pki: Authority):
    leaf = pki.leaf("api")
    caller = _callers(lambda: datetime.now(UTC)).identify(leaf.certificate.read_bytes())
    assert caller.thumbprint == leaf.thumbprint


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://wingman/test/gateway",
        "spiffe://wingman/test/tool",
        "spiffe://wingman/test/tool/",
        "spiffe://wingman/test/api/x",
        "spiffe://wingman/test/auditor/Alice",
        "spiffe://wingman/test/tool/a/b",
        "spiffe://other/test/api",
        "https://wingman/test/api",
        "spiffe://wingman/test/api?x",
        "xspiffe://wingman/test/api",
    ],
)
def test_any_other_uri_is_nobody(uri: str):
    with pytest.raises(CallerRefused, match="names no known role") as refused:
        _callers().identify(_uri(uri))
    assert refused.value.code is Code.CALLER_UNKNOWN


def test_another_environments_certificate_is_nobody():
    with pytest.raises(CallerRefused, match="another environment than test"):
        _callers().identify(_uri("spiffe://wingman/prd/api"))


def test_two_ids_no_id_and_no_certificate_are_nobody():
    api = x509.UniformResourceIdentifier("spiffe://wingman/test/api")
    tool = x509.UniformResourceIdentifier("spiffe://wingman/test/tool/x")
    for certificate in (_certificate(api, tool), _certificate(x509.DNSName("api"))):
        with pytest.raises(CallerRefused, match="names no known role"):
            _callers().identify(certificate)
    for certificate in (_certificate(), b"", b"garbage"):
        with pytest.raises(CallerRefused, match="no readable client certificate"):
            _callers().identify(certificate)


@pytest.mark.parametrize("days", [-2, 2])
def test_a_connection_does_not_outlive_its_certificate(days: int):
    moment = [NOW]
    callers = _callers(lambda: moment[0])
    certificate = _uri("spiffe://wingman/test/api")
    assert callers.identify(certificate).role is Role.API
    moment[0] = NOW + timedelta(days=days)
    with pytest.raises(CallerRefused, match="not valid at this time"):
        callers.identify(certificate)


def test_the_memory_of_certificates_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CACHE_SIZE", 2)
    callers = _callers()
    certificates = [_uri(f"spiffe://wingman/test/tool/{name}") for name in "abc"]
    for certificate in certificates:
        callers.identify(certificate)
    assert len(callers._known) == 2
    assert callers.identify(certificates[0]).identity == "spiffe://wingman/test/tool/a"


def test_each_method_of_the_contract_lists_its_roles():
    services = gateway_pb2.DESCRIPTOR.services_by_name.values()
    methods = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
    assert methods == {name for name in METHOD_ROLES if name.startswith("/wingman_rpc.")}


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("api", True), ("tool/deploy", True), ("auditor/alice", False)],
)
def test_auditors_neither_preview_nor_execute(role: str, *, allowed: bool):
    caller = _callers().identify(_uri(f"spiffe://wingman/test/{role}"))
    caller.require("/grpc.health.v1.Health/Check")
    for method in ("Preview", "Execute"):
        name = f"/wingman_rpc.v1.ExecutionGateway/{method}"
        if allowed:
            caller.require(name)
        else:
            with pytest.raises(CallerRefused, match="the role auditor may not call") as refused:
                caller.require(name)
            assert refused.value.code is Code.CALLER_ROLE


def test_a_method_without_a_row_serves_nobody():
    caller = _callers().identify(_uri("spiffe://wingman/test/api"))
    with pytest.raises(CallerRefused):
        caller.require("/wingman_rpc.v1.ExecutionGateway/Other")

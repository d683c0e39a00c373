"""Which hosts and addresses are reached: plain spellings alone, and no private address that is not listed."""

from ipaddress import ip_address

import pytest

from wingman_api.claims.probes.hosts import Host, Hosts, plain_host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.org", Host("example.org", None)),
        ("EXAMPLE.org.", Host("example.org", None)),
        ("web:8080", Host("web", 8080)),
        ("my_service:80", Host("my_service", 80)),
        ("xn--bcher-kva.example", Host("xn--bcher-kva.example", None)),
        ("127.0.0.1:8000", Host("127.0.0.1", 8000)),
        ("[::1]:80", Host("::1", 80)),
        ("[2001:DB8:0::1]", Host("2001:db8::1", None)),
    ],
)
def test_entries(text: str, host: Host):
    assert Host.read(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *("", ":80", "a:0", "a:65536", "a:", "a:b", "a b", "*.example.org", "http://a", "a/b", "u@a", "::1", "[a]"),
        *("2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5", "[127.0.0.1]", "[::1"),
        *("a..b", ".a", "-a", "a-", "a" * 64, ".".join(["a"] * 130), "bücher.example", "[fe80::1%eth0]", "a:000080"),
    ],
)
def test_what_is_no_entry(text: str):
    with pytest.raises(ValueError, match=r"no host|no port"):
        Host.read(text)


def test_a_port_that_is_not_named_is_the_schemes_own():
    hosts = Hosts([Host("example.org", None), Host("web", 8080)])
    assert hosts.allow("http", "example.org", 80)
    assert hosts.allow("https", "example.org", 443)
    assert hosts.allow("https", "web", 8080)
    for scheme, name, port in (
        ("http", "example.org", 443),
        ("http", "example.org", 8080),
        ("http", "web", 80),
        ("http", "sub.example.org", 80),
        ("http", "org", 80),
    ):
        assert not hosts.allow(scheme, name, port)


PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1"]
PRIVATE = ["127.0.0.1", "127.8.8.8", "::1", "10.0.0.1", "172.17.0.2", "192.168.1.1", "fd12::1", "100.64.0.1"]
PRIVATE += ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::1", "64:ff9b::7f00:1", "::7f00:1", "198.18.0.1"]
NEVER = ["169.254.169.254", "169.254.170.2", "::ffff:169.254.169.254", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe"]
NEVER += ["fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "::"]  # noqa: S104
NEVER += ["255.255.255.255", "224.0.0.1", "240.0.0.1", "fe80::1", "ff02::1", "::a9fe:a9fe", "fec0::1", "64:ff9b:1::1"]
NEVER += ["::ffff:0:7f00:1", "::ffff:0:a9fe:a9fe", "::ffff:0:8.8.8.8"]


@pytest.mark.parametrize(
    ("addresses", "with_domain", "single", "listed"),
    [(PUBLIC, True, True, True), (PRIVATE, False, True, True), (NEVER, False, False, False)],
    ids=["public", "private", "never"],
)
def test_addresses(addresses: list[str], *, with_domain: bool, single: bool, listed: bool):
    for text in addresses:
        address = ip_address(text)
        plain = {"::ffff:127.0.0.1": "127.0.0.1", "::ffff:10.0.0.1": "10.0.0.1"}.get(text, text)
        hosts = Hosts([Host("a.example", None), Host("web", None)])
        assert hosts.reach("http", "a.example", 80, address) is with_domain, text
        assert hosts.reach("http", "web", 80, address) is single, text
        if text in PRIVATE[:8] or text != plain or text in NEVER or text in PUBLIC:
            both = Hosts([Host("a.example", None), Host(plain, 80), Host(text, 80)])
            assert both.reach("http", "a.example", 80, address) is listed, text
            assert both.reach("http", "a.example", 81, address) is (text in PUBLIC), text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("localhost", "localhost"),
        ("LocalHost.", "localhost"),
        ("localhost..", None),
        ("127.0.0.1", "127.0.0.1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("::1", None),
        ("0x7f.0.0.1", None),
        ("0x", None),
        ("017700000001", None),
        ("exa%6dple.org", None),
        ("", None),
    ],
)
def test_plain_hosts(text: str, plain: str | None):
    assert plain_host(text) in {plain, str(ip_address("::ffff:127.0.0.1"))}
    if plain is None:
        assert plain_host(text) is None

"""Which URLs may be called, and which addresses may be connected to."""

from ipaddress import ip_address

import pytest

from valorem.core.delivery.targets import parse_target, refusal
from valorem.core.errors import InvalidInputError


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://10.0.0.1/",
        "https://172.16.3.4/",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://255.255.255.255/",
        "https://224.0.0.1/",
        "https://192.0.2.1/",
        "https://198.18.0.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[64:ff9b::808:808]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
        "https://[::7f00:1]/",
        "https://localhost/",
        "https://foo.localhost/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com:22/",
        "https://example.com:80/",
        "https://example.com:99999/",
        "https://example.com/#fragment",
        "https://exa mple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://exämple.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "javascript:alert(1)",
        "//example.com/",
        "https:///path",
        "https://",
        "",
    ],
)
def test_d5_what_is_refused_when_it_is_saved(url):
    with pytest.raises(InvalidInputError) as refused:
        parse_target(url)
    assert refused.value.field == "url"


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.com", "example.com", 443, "/"),
        ("https://hooks.example.com:8443/a/b?c=d", "hooks.example.com", 8443, "/a/b?c=d"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/"),
        ("https://[2606:4700::1111]/x", "2606:4700::1111", 443, "/x"),
    ],
)
def test_what_may_be_called(url, host, port, path):
    target = parse_target(url)
    assert (target.host, target.port, target.path) == (host, port, path)


def test_this_machine_may_be_called_where_that_is_allowed():
    assert parse_target("http://127.0.0.1:9000/x", loopback=True).port == 9000
    assert parse_target("http://localhost:9000/x", loopback=True).authority == "localhost:9000"
    for url in ("http://10.0.0.1:9000/", "http://example.com/", "https://10.0.0.1/"):
        with pytest.raises(InvalidInputError):
            parse_target(url, loopback=True)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::1", False),
        ("2002:0a00:0001::", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("192.88.99.1", False),
    ],
)
def test_d5_what_may_be_connected_to(address, allowed):
    assert (refusal(ip_address(address)) is None) is allowed


def test_loopback_opens_this_machine_and_nothing_else():
    assert refusal(ip_address("127.0.0.1"), loopback=True) is None
    assert refusal(ip_address("::1"), loopback=True) is None
    assert refusal(ip_address("10.0.0.1"), loopback=True) is not None

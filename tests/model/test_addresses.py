"""Which addresses may be dialled: a table, and what Python's own registry of addresses says."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model.addresses import DENIED, UNREADABLE, AddressPolicy, parse_networks

DEFAULT = AddressPolicy()

REFUSED = {
    "127.0.0.1": "a loopback address",
    "127.255.255.254": "a loopback address",
    "::1": "a loopback address",
    "169.254.169.254": "a link-local address",
    "fe80::1": "a link-local address",
    "fe80::1%2": "a link-local address",
    "febf::ffff": "a link-local address",
    "10.0.0.1": "a private address",
    "10.255.255.255": "a private address",
    "172.16.0.1": "a private address",
    "172.31.255.255": "a private address",
    "192.168.1.1": "a private address",
    "fd00:ec2::254": "a private address",
    "fc00::1": "a private address",
    "fec0::1": "a private address",
    "100.64.0.1": "a shared (carrier-grade NAT) address",
    "100.100.100.200": "a shared (carrier-grade NAT) address",
    "0.0.0.0": "an unspecified address",
    "0.1.2.3": "an unspecified address",
    "::": "an unspecified address",
    "224.0.0.1": "a multicast address",
    "ff02::1": "a multicast address",
    "192.0.2.1": "a documentation address",
    "2001:db8::1": "a documentation address",
    "3fff::1": "a documentation address",
    "168.63.129.16": "a cloud platform's own address",
    "240.0.0.1": "a reserved address",
    "255.255.255.255": "a reserved address",
    "198.18.0.1": "a reserved address",
    "192.0.0.192": "a reserved address",
    "64:ff9b:1::a00:1": "a reserved address",
    "100::1": "a reserved address",
    "4000::1": "a reserved address",
    "2001:10::1": "a reserved address",
    # IPv4 inside of IPv6
    "::ffff:127.0.0.1": "a loopback address",
    "::ffff:169.254.169.254": "a link-local address",
    "::127.0.0.1": "a loopback address",
    "::a00:1": "a private address",
    "::0.0.0.2": "an unspecified address",
    "64:ff9b::a9fe:a9fe": "a link-local address",
    "64:ff9b::7f00:1": "a loopback address",
    "2002:7f00:1::": "a loopback address",
    "2002:a9fe:a9fe::1": "a link-local address",
    "2001:0:808:808:0:0:80ff:fffe": "a loopback address",  # Teredo: the client, inverted
    "2001:0:a00:1::f7f7:f7f7": "a private address",  # Teredo: the server
    "2606:4700::5efe:a00:1": "a private address",  # ISATAP
    "2606:4700::200:5efe:7f00:1": "a loopback address",
}
PASSED = (
    "1.1.1.1",
    "8.8.8.8",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "128.0.0.1",
    "126.255.255.255",
    "169.253.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.167.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
)


@pytest.mark.parametrize(("address", "rule"), REFUSED.items())
def test_what_is_not_global_unicast_is_refused_by_its_rule(address: str, rule: str) -> None:
    """As text, and as a number."""
    assert DEFAULT.refusal(address) == rule
    assert DEFAULT.refusal(ip_address(address)) == rule


@pytest.mark.parametrize("address", PASSED)
def test_global_unicast_passes(address: str) -> None:
    """Also just beside the special ranges."""
    assert DEFAULT.refusal(address) is None


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "127.0.0.1:80", "[::1]", "1.2.3"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Nobody guesses what a library will make of it."""
    assert DEFAULT.refusal(text) == UNREADABLE


@given(st.ip_addresses())
def test_nothing_passes_that_python_knows_as_not_global(address: IPv4Address | IPv6Address) -> None:
    """Two registries that were written down by two people."""
    if DEFAULT.refusal(address) is None:
        carrying = isinstance(address, IPv6Address) and (
            address.ipv4_mapped or address.sixtofour or address in ip_network("64:ff9b::/96") or int(address) < 2**32
        )
        assert carrying or address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_in_another_form_is_judged_alike(address: IPv4Address) -> None:
    """Mapped, compatible, 6to4 and NAT64 lead to the same machine."""
    number, rule = int(address), DEFAULT.refusal(address)
    forms = [0xFFFF << 32 | number, 0x2002 << 112 | number << 80, 0x64FF9B << 96 | number]
    if number > 1:
        forms.append(number)
    assert [DEFAULT.refusal(IPv6Address(form)) for form in forms] == [rule] * len(forms)


class TestTheAdministratorsWord:
    def test_an_allowed_network_is_open_and_its_neighbours_are_not(self) -> None:
        """Also in its other forms."""
        policy = AddressPolicy(allowed=parse_networks(["10.1.0.0/16", "fd00::/64"]))
        assert policy.refusal("10.1.2.3") is policy.refusal("::ffff:10.1.2.3") is policy.refusal("fd00::5") is None
        assert policy.refusal("10.2.0.1") == policy.refusal("fd00:0:0:1::5") == "a private address"

    def test_a_denied_network_is_closed_whatever_is_allowed(self) -> None:
        """A cluster whose Services have public addresses, in every form."""
        policy = AddressPolicy(
            allowed=parse_networks(["0.0.0.0/0", "::/0"]), denied=parse_networks(["34.118.224.0/20", "10.0.0.0/8"])
        )
        for address in ("34.118.224.1", "::ffff:34.118.224.1", "64:ff9b::2276:e001", "2002:2276:e001::", "10.9.9.9"):
            assert policy.refusal(address) == DENIED
        assert policy.refusal("127.0.0.1") is None

    def test_networks_are_read_from_text(self) -> None:
        """Host bits may be there, and commas too many."""
        assert parse_networks(["", " 10.1.2.3/8 ", "::1"]) == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
        with pytest.raises(ValueError, match=r"'10\.0\.0/8' is not a network"):
            parse_networks(["10.0.0/8"])

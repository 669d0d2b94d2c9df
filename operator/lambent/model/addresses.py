"""Which addresses may be dialled on a tenant's word? Judged as numbers: the address that is really connected to.

A tenant's URL, endpoint or registry is fetched by the controller, which can reach what the tenant cannot: the API
server, cluster Services, pods, a cloud's metadata service. So only global unicast addresses pass, by IANA's registries
of special-purpose addresses, and an IPv6 form that carries an IPv4 address is judged by what it carries. The
administrator opens networks (`allowed`) and closes them (`denied`, always the last word).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED = "an address that this installation denies"
UNREADABLE = "an address that cannot be judged"

_SPECIAL: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a loopback address", ("127.0.0.0/8", "::1/128")),
    ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
    ("a private address", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("a shared (carrier-grade NAT) address", ("100.64.0.0/10",)),
    ("an unspecified address", ("0.0.0.0/8", "::/128")),
    ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
    (
        "a documentation address",
        ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    ),
    # A cloud's own, though it looks like anybody's: Azure's host channel, which hands out credentials.
    ("a cloud platform's own address", ("168.63.129.16/32",)),
    (
        "a reserved address",
        ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b:1::/48", "2001::/23"),
    ),
)
_RULES: tuple[tuple[str, tuple[Network, ...]], ...] = tuple(
    (rule, tuple(ip_network(network) for network in networks)) for rule, networks in _SPECIAL
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")

_COMPATIBLE, _NAT64 = IPv6Network("::/96"), IPv6Network("64:ff9b::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Third quarter of an interface identifier that carries an IPv4 address (RFC 5214)."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What may be dialled. The default lets only global unicast addresses pass."""

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()

    def refusal(self, address: Address | str) -> str | None:
        """The rule that forbids this address, as "a loopback address"; None when it may be dialled."""
        try:
            judged = ip_address(address)
        except ValueError:
            return UNREADABLE
        if isinstance(judged, IPv6Address) and judged.scope_id is not None:
            judged = IPv6Address(int(judged))
        carried = tuple(_carried(judged))
        if any(_within(one, self.denied) for one in (judged, *carried)):
            return DENIED
        if _within(judged, self.allowed):
            return None
        if not carried:
            return _special(judged)
        return next(filter(None, (self._carried_refusal(one) for one in carried)), None)

    def _carried_refusal(self, address: IPv4Address) -> str | None:
        return None if _within(address, self.allowed) else _special(address)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks of their CIDR texts; empty ones are skipped.

    Raises:
        ValueError: naming the text that is no network.
    """
    networks = []
    for text in filter(None, map(str.strip, texts)):
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError:
            raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8 or fd00::/8") from None
    return tuple(networks)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)  # another version's network contains nothing


def _special(address: Address) -> str | None:
    for rule, networks in _RULES:
        if _within(address, networks):
            return rule
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST_V6:
        return "a reserved address"
    return None


def _carried(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses inside of an IPv6 one, where packets to it may end."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    low = IPv4Address(number & 0xFFFF_FFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        yield low
    elif address in _COMPATIBLE:
        if number > 1:  # neither :: nor ::1, which have rules of their own
            yield low
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif (number >> 32) & 0xFFFF_FFFF in _ISATAP and address in _GLOBAL_UNICAST_V6:
        yield low

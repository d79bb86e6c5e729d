"""Where a webhook may go: names are resolved here, and only public addresses are passed on to be connected to."""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

NAT64 = ipaddress.ip_network("64:ff9b::/96")
LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")


class AddressRefused(Exception):
    """The name leads nowhere, or to where a webhook may not go."""


def resolve(host: str, port: int, *, private: bool) -> str:
    """One address of the host that may be connected to; AddressRefused.

    private: allow any address. When one address of a name is refused all are: such a name is no honest one.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused("the host's name leads nowhere") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not private and not all(is_public(address) for address in addresses):
        raise AddressRefused("the host's address is not public")
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether an address is of the public internet, also by the address that is wrapped in it."""
    address: IPv4Address | IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address in NAT64 or address in LOCAL_NAT64 or address.teredo is not None:
            return False
        wrapped = address.ipv4_mapped or address.sixtofour
        if wrapped is not None:
            address = wrapped
        elif address.is_site_local or int(address) < 1 << 32:
            return False  # outdated: fec0::/10, which Python takes for public, and ::a.b.c.d
    return address.is_global and not address.is_multicast and not address.is_reserved

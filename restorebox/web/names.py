"""Under which names a page is served: what a browser may have asked for when it reaches this server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """Under which names the page is served.

    Attributes:
        host: name or address that it listens at.
        port: of that.
        own: of this machine, for a page that listens at all its addresses.
        allowed: others, ``NAME`` or ``NAME:PORT`` as browsers send them: those of a proxy in front of it.
    """

    host: str
    port: int
    own: str = ''
    allowed: tuple[str, ...] = ()

    def serves(self, name: str, local: str) -> bool:
        """Whether a Host header names this page.

        Args:
            name: the header.
            local: address of this machine that the connection came to. It stands for every address of a machine with
                several: a foreign site can make a name of its own point here, but not an address.
        """
        name = name.lower()
        if name in self.allowed:
            return True
        names = {self.host.lower(), self.own.lower(), local}
        address = _address(local)
        if address is not None:
            names.add(str(address))
            if address.is_loopback:
                names |= {'localhost', '127.0.0.1', '::1'}
        names -= {'', '0.0.0.0', '::'}
        written = {f'[{each}]' if ':' in each else each for each in names}
        return any(name == f'{each}:{self.port}' or (self.port == 80 and name == each) for each in written)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition('%')[0])
    except ValueError:
        return None
    return getattr(address, 'ipv4_mapped', None) or address

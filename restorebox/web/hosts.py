"""Check of the HTTP Host header, against DNS rebinding."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class HostNames:
    """Host names under which the page is served.

    Attributes:
        host: name or address on which the server listens.
        port: its port.
        own: host name of this machine, if the server listens on all addresses; else empty.
        allowed: further names, ``NAME`` or ``NAME:PORT`` as browsers send them, for example of a reverse proxy.
    """

    host: str
    port: int
    own: str = ''
    allowed: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """URL of the server, without a path."""
        return f'http://{f"[{self.host}]" if ":" in self.host else self.host}:{self.port}'

    def serves(self, name: str, local: str) -> bool:
        """Return whether a Host header is allowed.

        Args:
            name: value of the header.
            local: local address of the connection. It is always allowed: another site can point its own host name to
                this machine, but can't use an address as its name.
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

"""Options of the commands that serve HTTP."""

from __future__ import annotations

import argparse
import re

from restorebox.cli.common import positive


def add_server_options(parser: argparse.ArgumentParser, port: int, waiting: int) -> None:
    """Add address, limits and device.

    Args:
        parser: parser of the command.
        port: default port.
        waiting: default length of the queue.
    """
    parser.add_argument(
        '--host', default='127.0.0.1', help='address; 0.0.0.0 serves the network (default: %(default)s)'
    )
    parser.add_argument('--port', type=int, default=port, help='port; 0 for any free one (default: %(default)s)')
    parser.add_argument(
        '--allow-host',
        action='append',
        default=[],
        metavar='NAME[:PORT]',
        help='further host name of the server, for example of a reverse proxy; may be given several times',
    )
    parser.add_argument('--max-megabytes', type=positive, default=32, help='largest file in MiB (default: %(default)s)')
    parser.add_argument('--max-megapixels', type=positive, default=50, help='largest picture (default: %(default)s)')
    parser.add_argument(
        '--max-waiting', type=positive, default=waiting, help='maximum queue length (default: %(default)s)'
    )
    parser.add_argument('--device', help='see restorebox restore')
    parser.add_argument(
        '--memory', type=positive, default=1024, metavar='MIB', help='see restorebox restore (default: %(default)s)'
    )


def check_server_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Check port and host names; ends the command with an error message."""
    if not 0 <= args.port < 2**16:
        parser.error(f'--port {args.port}: it must be from 0 to 65535')
    for name in args.allow_host:
        if not re.fullmatch(r'(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?', name):
            parser.error(f"--allow-host {name}: it must be NAME or NAME:PORT, as in a browser's address line")

"""A web page: drop a picture, see it before and after under one slider, download it. Serves this machine alone unless
told otherwise; nothing is kept.
"""

from __future__ import annotations

import argparse
import re

from restorebox.cli.common import positive


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``web``."""
    parser = argparse.ArgumentParser(prog='restorebox web', description=__doc__)
    parser.add_argument(
        '--model', help='a name, a file of weights or URL#sha256=DIGITS to offer first (default: weather)'
    )
    parser.add_argument('--host', default='127.0.0.1', help='0.0.0.0 serves the network (default: %(default)s)')
    parser.add_argument('--port', type=int, default=7860, help='0 for any that is free (default: %(default)s)')
    parser.add_argument(
        '--allow-host',
        action='append',
        default=[],
        metavar='NAME[:PORT]',
        help='another name that browsers reach the page by, that of a proxy in front of it; may be given several times',
    )
    parser.add_argument('--max-megabytes', type=positive, default=32, help='of a file (default: %(default)s)')
    parser.add_argument('--max-megapixels', type=positive, default=50, help='of a picture (default: %(default)s)')
    parser.add_argument('--max-waiting', type=positive, default=16, help='on each route (default: %(default)s)')
    parser.add_argument('--device', help='see restorebox restore')
    parser.add_argument(
        '--memory', type=positive, default=1024, metavar='MIB', help='see restorebox restore (default: %(default)s)'
    )
    args = parser.parse_args(argv)
    if not 0 <= args.port < 2**16:
        parser.error(f'--port {args.port}: it must be from 0 to 65535')
    for name in args.allow_host:
        if not re.fullmatch(r'(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?', name):
            parser.error(f"--allow-host {name}: it must be NAME or NAME:PORT, as in a browser's address line")
    return args


def main(argv: list[str]) -> None:
    """Serve until Ctrl-C."""
    args = parse(argv)
    from restorebox.inference.models import known_models
    from restorebox.web.desk import Desk, Limits, page_models
    from restorebox.web.server import serve

    ready = sorted((each.name for each in known_models().values() if each.weights), key=lambda name: name != 'weather')
    limits = Limits(args.max_megabytes, args.max_megapixels, args.max_waiting)
    desk = Desk(page_models(ready, args.model), limits, args.device, args.memory)
    allowed = tuple(name.lower() for name in args.allow_host)
    serve(desk, args.host, args.port, lambda at: print(f'restorebox web: {at} (Ctrl-C ends it)', flush=True), allowed)

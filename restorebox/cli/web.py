"""Serve a web page that restores pictures: upload, compare before and after with a slider, download.

By default only this machine can connect. Uploads and results are not kept.
"""

from __future__ import annotations

import argparse
import re

from restorebox.cli.common import positive


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``web``."""
    parser = argparse.ArgumentParser(prog='restorebox web', description=__doc__)
    parser.add_argument(
        '--model', help='model offered first: name, weights file or URL#sha256=DIGITS (default: weather)'
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address; 0.0.0.0 serves the network (default: %(default)s)'
    )
    parser.add_argument('--port', type=int, default=7860, help='port; 0 for any free one (default: %(default)s)')
    parser.add_argument(
        '--allow-host',
        action='append',
        default=[],
        metavar='NAME[:PORT]',
        help='further host name of the page, for example of a reverse proxy; may be given several times',
    )
    parser.add_argument('--max-megabytes', type=positive, default=32, help='largest file in MiB (default: %(default)s)')
    parser.add_argument('--max-megapixels', type=positive, default=50, help='largest picture (default: %(default)s)')
    parser.add_argument('--max-waiting', type=positive, default=16, help='maximum queue length (default: %(default)s)')
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
    from restorebox.web.server import serve
    from restorebox.web.service import Limits, RestorationService, page_models

    names = sorted((each.name for each in known_models().values() if each.weights), key=lambda name: name != 'weather')
    limits = Limits(args.max_megabytes, args.max_megapixels, args.max_waiting)
    service = RestorationService(page_models(names, args.model), limits, args.device, args.memory)
    allowed = tuple(name.lower() for name in args.allow_host)
    serve(
        service, args.host, args.port, lambda at: print(f'restorebox web: {at} (Ctrl-C ends it)', flush=True), allowed
    )

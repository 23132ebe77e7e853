"""Serve restoration by HTTP for other programs: POST a picture, get a picture. The web page is at /page.

curl --data-binary @rain.jpg -o clear.jpg http://127.0.0.1:8000/v1/restore

/docs describes the requests. By default only this machine can connect; there is no password.
"""

from __future__ import annotations

import argparse

from restorebox.cli.common import positive
from restorebox.cli.server_options import add_server_options, check_server_options
from restorebox.files import DEFAULT_MODEL


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``serve``."""
    parser = argparse.ArgumentParser(
        prog='restorebox serve', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--model',
        action='append',
        help='model offered: name, weights file, URL#sha256=DIGITS or hf://OWNER/NAME@REVISION; may be given several '
        f'times, the first is the default (default: all with weights, {DEFAULT_MODEL} first)',
    )
    add_server_options(parser, port=8000, waiting=64)
    parser.add_argument(
        '--max-seconds', type=positive, default=120, help='longest time of a request; jobs have none (default: 120)'
    )
    parser.add_argument(
        '--grace',
        type=positive,
        default=25,
        metavar='SECONDS',
        help='time after SIGTERM in which requests in progress are finished (default: %(default)s)',
    )
    args = parser.parse_args(argv)
    check_server_options(parser, args)
    return args


def main(argv: list[str]) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    args = parse(argv)
    from restorebox.web.service import Limits, RestorationService, served_models
    from restorebox.web.serving import check_packages, serve_api

    check_packages()
    limits = Limits(args.max_megabytes, args.max_megapixels, args.max_waiting, args.max_seconds)
    service = RestorationService(served_models(args.model), limits, args.device, args.memory)

    def ready(url: str, page: bool) -> None:
        where = f', page at {url}/page/' if page else ''
        print(f'restorebox serve: {url}{where}, requests at {url}/docs (Ctrl-C ends it)', flush=True)

    serve_api(service, args.host, args.port, ready, tuple(map(str.lower, args.allow_host)), args.grace)

"""Serve a web page that restores pictures: upload, compare before and after with a slider, download.

By default only this machine can connect. Uploads and results are not kept.
"""

from __future__ import annotations

import argparse

from restorebox.cli.server_options import add_server_options, check_server_options
from restorebox.files import DEFAULT_MODEL


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``web``."""
    parser = argparse.ArgumentParser(prog='restorebox web', description=__doc__)
    parser.add_argument(
        '--model',
        help='model offered first: name, weights file, URL#sha256=DIGITS or hf://OWNER/NAME '
        f'(default: {DEFAULT_MODEL})',
    )
    add_server_options(parser, port=7860, waiting=16)
    args = parser.parse_args(argv)
    check_server_options(parser, args)
    return args


def main(argv: list[str]) -> None:
    """Serve until Ctrl-C."""
    args = parse(argv)
    from restorebox.inference.models import models_with_weights
    from restorebox.web.server import serve
    from restorebox.web.service import Limits, RestorationService, page_models

    limits = Limits(args.max_megabytes, args.max_megapixels, args.max_waiting)
    models = page_models(models_with_weights(), args.model)
    service = RestorationService(models, limits, args.device, args.memory)
    allowed = tuple(name.lower() for name in args.allow_host)
    serve(
        service, args.host, args.port, lambda at: print(f'restorebox web: {at} (Ctrl-C ends it)', flush=True), allowed
    )

"""Make a small file for publication from a training checkpoint.

It contains the deployed weights (their moving average) and their metadata in the safetensors format, which can't
contain code.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``publish``."""
    parser = argparse.ArgumentParser(prog='restorebox publish', description=__doc__)
    parser.add_argument('checkpoint', help='a training checkpoint (.pth)')
    parser.add_argument('out', help='the file to write (.safetensors)')
    parser.add_argument('--scores', help='scores.json of a test of this checkpoint')
    parser.add_argument('--licence', required=True, help='of the weights, e.g. "non-commercial: trained on BSDS"')
    parser.add_argument('--limits', required=True, help='limits of the intended use, in a sentence')
    parser.add_argument('--half', action='store_true', help='store the weights in float16: half the size')
    parser.add_argument(
        '--to',
        metavar='hf://OWNER/NAME[@BRANCH]',
        help='also upload the file to the Hugging Face Hub, with a model card as README.md (extra `hub`; the token is '
        'that of HF_TOKEN or `hf auth login`); a missing repository is created',
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Write the file and upload it; prints its size, hash and name."""
    args = parse(argv)
    from restorebox.engine.checkpoint import sha256
    from restorebox.engine.hub import check_upload
    from restorebox.engine.publishing import publish_checkpoint, publish_to_hub

    out = Path(args.out)
    if args.to:
        check_upload(args.to, out.name)
    count = publish_checkpoint(args.checkpoint, out, args.licence, args.limits, args.scores, args.half)
    print(f'{out}: {count:,} weights, {out.stat().st_size / 2**20:.2f} MiB, sha256 {sha256(out)}')
    if args.to:
        print(f'uploaded: {publish_to_hub(out, args.to)}')

"""Score a folder of results by all variants of PSNR and SSIM, or without ground truth by NIQE and BRISQUE.

With --claimed or --published, says which variants give a published number, and what crop, luma, rounding, window and
averaging change. Writes score.json and score.csv. Exit code 1 if the scores are not of the whole set.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from restorebox.cli.common import positive
from restorebox.errors import ConfigError, printable
from restorebox.processes import usable_cores


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``score``."""
    parser = argparse.ArgumentParser(prog='restorebox score', description=__doc__)
    parser.add_argument('results', type=Path, help='folder of results, with sub-folders')
    parser.add_argument('--gt', type=Path, help='folder of the clean pictures; the same names, any suffix')
    parser.add_argument(
        '--claimed', nargs='+', default=[], metavar='NUMBER', help='published numbers: 33.16, .945 or 33.16/.945'
    )
    parser.add_argument('--published', metavar='SET/METHOD', help="a cell of the included tables: 'Rain100L/PromptIR'")
    parser.add_argument('--crop', nargs='+', type=positive, metavar='N', help='borders in pixels (default: 2 3 4 8)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/score'), help='folder for the files (%(default)s)')
    parser.add_argument('--threads', type=positive, help='pictures scored at the same time (default: one per core)')
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Score the folder, print the tables and write the files; exits with 1 if pictures or scores are missing.

    Raises:
        ConfigError: an option that needs --gt, a number that is none, or an unknown set or method.
    """
    args = parse(argv)
    if args.gt is None and (args.claimed or args.published or args.crop):
        raise ConfigError('--claimed, --published and --crop compare with clean pictures; add --gt FOLDER')
    from restorebox.files import json_bytes, write_whole
    from restorebox.metrics import audit_report
    from restorebox.metrics.audit import problems, score_alone, score_pairs
    from restorebox.metrics.published import parse_claim, published_claims
    from restorebox.metrics.variants import CROPS
    from restorebox.progress import Progress

    claims = [claim for text in args.claimed for claim in parse_claim(text)]
    claims += published_claims(args.published) if args.published else []
    threads = args.threads or usable_cores()
    with Progress(0, 'score') as progress:

        def advance(total: int) -> None:
            progress.total = total
            progress.advance()

        if args.gt is None:
            audit = score_alone(args.results, threads, advance)
        else:
            crops = tuple(sorted(set(args.crop or CROPS)))
            audit = score_pairs(args.results, args.gt, crops, threads, advance)
    gt = None if args.gt is None else str(args.gt)
    content = audit_report.as_json(audit, claims, str(args.results), gt)
    write_whole(args.out / 'score.json', json_bytes(content, indent=2))
    write_whole(args.out / 'score.csv', audit_report.as_csv(audit).encode(errors='backslashreplace'))
    lines = audit_report.score_lines(audit)
    if audit.protocols:
        lines += ['', *audit_report.effect_lines(audit)]
    for claim in claims:
        lines += ['', *audit_report.claim_lines(audit, claim)]
    lines += ['', *audit_report.note_lines(audit), f'files: {args.out / "score.json"}, {args.out / "score.csv"}']
    print('\n'.join(printable(line) for line in lines))
    if problems(audit):
        print('error: the scores are not those of the whole set, see above', file=sys.stderr)
        sys.exit(1)

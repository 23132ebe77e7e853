"""Make a small file to hand on from a training checkpoint.

It holds the deployed weights (their moving average) and what is known about them, as safetensors, which can't hold
code.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from restorebox.errors import CheckpointError, ConfigError


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``publish``."""
    parser = argparse.ArgumentParser(prog='restorebox publish', description=__doc__)
    parser.add_argument('checkpoint', help='a training checkpoint (.pth)')
    parser.add_argument('out', help='the file to write (.safetensors)')
    parser.add_argument('--scores', help='scores.json of a test of this checkpoint')
    parser.add_argument(
        '--licence', required=True, help='what may be done with the weights, e.g. "non-commercial: trained on BSDS"'
    )
    parser.add_argument('--limits', required=True, help='what the model was not made for, in a sentence')
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Publish; prints the file's size and hash."""
    args = parse(argv)
    from safetensors.torch import save

    from restorebox.engine.checkpoint import deployed_state, load_file, sha256, write_bytes
    from restorebox.engine.published import build_on_meta, check_deployed, stored_config
    from restorebox.version import __version__

    out = Path(args.out)
    if out.suffix != '.safetensors':
        raise CheckpointError(f'{out}: a published file is named *.safetensors')
    checkpoint = load_file(args.checkpoint)
    cfg = stored_config(checkpoint, args.checkpoint)
    restorer = build_on_meta(cfg['model'], args.checkpoint)
    check_deployed(checkpoint, restorer, args.checkpoint)
    if not args.licence.strip() or not args.limits.strip():
        raise ConfigError('--licence and --limits must say something: people will rely on them')
    roles = tuple(f'{role}.' for role in restorer.deployed)
    state = {k: v.contiguous() for k, v in deployed_state(checkpoint).items() if k.startswith(roles)}
    scores = None
    if args.scores:
        try:
            scores = json.loads(Path(args.scores).read_bytes())
            tested = scores['checkpoint']['sha256']
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"scores {args.scores}: can't be read as a scores.json: {error}") from error
        if tested != sha256(args.checkpoint):
            raise ConfigError(f'scores {args.scores}: are of another checkpoint than {args.checkpoint}')
        scores.pop('per_picture', None)
    facts = {
        'format': 'restorebox 1',
        'cfg_json': json.dumps(without_folders(cfg)),
        'source_sha256': sha256(args.checkpoint),
        'average': 'moving average' if 'ema_state_dict' in checkpoint else 'live weights',
        'compute': checkpoint['meta'].get('compute'),
        'licence': args.licence,
        'limits': args.limits,
        'scores': scores,
        'restorebox_version': __version__,
    }
    write_bytes(save(state, {key: json.dumps(value) for key, value in facts.items()}), out)
    count = sum(v.numel() for v in state.values())
    print(f'{out}: {count:,} weights, {out.stat().st_size / 2**20:.2f} MiB, sha256 {sha256(out)}')


def without_folders(value: object) -> object:
    """A config whose absolute paths are cut to their last part: those who get the file have no use for the rest."""
    if isinstance(value, dict):
        return {key: without_folders(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value

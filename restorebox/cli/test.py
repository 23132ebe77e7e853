"""Score a checkpoint on the test set of its config.

Exit code 1 if the scores are not of the whole set: a mean is NaN, or pictures are missing that were not listed as
skipped. All files are written in this case as well.
"""

from __future__ import annotations

import argparse

from restorebox.cli.common import add_config_options, prepare


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``test``."""
    parser = argparse.ArgumentParser(prog='restorebox test', description=__doc__)
    parser.add_argument('config', help='a config file, or its path below configs/')
    files = 'a training checkpoint (.pth), or a published file (.safetensors), its URL or hf:// name'
    parser.add_argument('checkpoint', help=f'{files}; or a name that `restorebox models` lists')
    parser.add_argument('--save-pictures', action='store_true', help='save the restored pictures in WORK_DIR/pictures')
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Test the checkpoint; writes ``scores.json`` into the work directory, and a copy beside a training checkpoint."""
    args = parse(argv)
    from restorebox.engine.running import keep_test, run_config
    from restorebox.inference.models import checkpoint_file

    cfg = keep_test(prepare(args), args.config, checkpoint_file(args.checkpoint))
    if args.save_pictures:
        cfg.default_hooks = {**(cfg.get('default_hooks') or {}), 'pictures': dict(type='SavePicturesHook')}
    run_config(cfg, 'test')

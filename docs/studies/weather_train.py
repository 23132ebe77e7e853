"""Train version 2 of the included model in the background, possibly for days, and publish its newest weights.

    python docs/studies/weather_train.py --data-root FOLDER --work-dir DIR [--keep FOLDER] [--minutes 30]
        [--row fast] [--stop-after MINUTES] [--start FILE]

Makes the initial weights of fdrnet/weather2.py with weather_start.py and trains it, or trains it again from the weights
that --start names. --row fast starts from its own load_from, the weights of version 1. Runs `restorebox train` on one
core at low priority. The same command resumes a run that was stopped by a reboot or by Ctrl-C. At regular intervals the
moving average of the newest checkpoint is published to KEEP/weather2.safetensors or weather2_ROW.safetensors, a few
megabytes that `restorebox restore --model` takes. Back up that file and the newest iter_*.pth.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from restorebox.cli.common import guarded, run_name

CONFIG = 'fdrnet/weather2.py'
LICENCE = 'non-commercial: trained on BSDS500, Urban100 and Sun-Hays 80'
LIMITS = 'in training: neither finished nor examined'


def minutes(text: str) -> float:
    """Return a number of minutes above 0."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} minutes; it must be above 0')
    return value


def publish(work_dir: Path, out: Path, done: str) -> str:
    """Publish the newest checkpoint as ``out`` unless it is ``done`` already; return its name."""
    from restorebox.cli.publish import main
    from restorebox.errors import RestoreboxError
    from restorebox.files import find_checkpoints

    found = find_checkpoints(work_dir)
    if not found or str(found[-1]) == done:
        return done
    checkpoint = found[-1]
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        main([str(checkpoint), str(out), '--licence', LICENCE, '--limits', LIMITS])
    except (RestoreboxError, OSError) as error:  # removed by the next one meanwhile, or no room: training goes on
        print(f'not published: {error}', flush=True)
        return done
    return str(checkpoint)


def main() -> int:
    """Train and publish until the training is complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True, help='folder with {train,test}/gt, see weather_data.py')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs'))
    parser.add_argument('--keep', type=Path, help='(default: WORK_DIR/keep)')
    parser.add_argument('--row', help='row of the config')
    parser.add_argument('--minutes', type=minutes, default=30, help='minutes between two published files')
    parser.add_argument('--nice', type=int, default=15, help='niceness, 0 to 19')
    parser.add_argument('--stop-after', type=minutes, metavar='MINUTES', help='save a checkpoint and stop')
    parser.add_argument('--start', type=Path, help='weights to continue from')
    parser.add_argument('--start-samples', type=int, default=400, help='of weather_start.py (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='as of restorebox train')
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.stop_after if args.stop_after else float('inf')
    out = (args.keep or args.work_dir / 'keep') / f'{run_name(CONFIG, args.row)}.safetensors'
    if hasattr(os, 'nice'):
        os.nice(args.nice)
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    made = args.work_dir / 'start' / 'weather2_start.pth'
    start = args.start or (None if args.row else made)
    if start == made and not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        script = Path(__file__).with_name('weather_start.py')
        make = [sys.executable, str(script), '--data-root', args.data_root, '--out', str(made)]
        make += ['--samples', str(args.start_samples)]
        subprocess.run(make, env=environment, check=True)
    command = [sys.executable, '-m', 'restorebox', 'train', CONFIG, '--resume', '--data-root', args.data_root]
    command += ['--row', args.row] if args.row else []
    changed = ([] if start is None else [f'load_from={start}']) + args.cfg_options
    options = ['--work-dir', str(args.work_dir), *(['--cfg-options', *changed] if changed else [])]
    training = subprocess.Popen([*command, *options], env=environment)
    # as Ctrl-C does: the training saves a checkpoint, which is published
    signal.signal(signal.SIGTERM, lambda *_: training.send_signal(signal.SIGTERM))
    done, stopped = '', False
    try:
        while training.poll() is None:
            try:
                training.wait(max(0.0, min(args.minutes * 60, end - time.monotonic())))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= end:
                    training.send_signal(signal.SIGTERM)  # it saves a checkpoint after the step in progress
                    training.wait()
                    stopped = True
                else:
                    done = publish(args.work_dir, out, done)
    except KeyboardInterrupt:
        training.wait()
    publish(args.work_dir, out, done)
    return 0 if stopped and training.returncode == 128 + signal.SIGTERM else training.returncode


if __name__ == '__main__':
    guarded(lambda: sys.exit(main()))

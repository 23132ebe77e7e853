"""Start the ranks of this machine with torchrun, and report a failed rank in one or two lines.

python -m restorebox.engine.launch [options of torchrun] SCRIPT ARGUMENTS
"""

from __future__ import annotations

import logging
import signal
import sys

# mmengine imports yapf, which writes a cache file at its first import; ranks that import it at the same time may read
# that file before it is complete and end with EOFError (github.com/google/yapf/issues/1204)
import mmengine  # noqa: F401
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun


def reason(exit_code: int) -> str:
    """Describe how a process ended: an exit code, or the negative number of a signal."""
    if exit_code >= 0:
        return f'ended with exit code {exit_code}; its message is above'
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f'signal {-exit_code}'
    if name == 'SIGKILL':
        return (
            'was killed (SIGKILL), probably by the kernel since memory was used up\n'
            'To need less memory: fewer ranks, a smaller crop or batch (with accumulative_counts), or '
            'activation_checkpointing; the log compares needed and free memory before the first step'
        )
    return f'was ended by {name}'


def main(arguments: list[str] | None = None) -> int:
    """Run torchrun; return 0, 1 after a failed rank, or 128 plus the number of the signal that ended the run."""
    logging.getLogger('torch.distributed.elastic').setLevel(logging.CRITICAL)  # it repeats the failure in 40 lines
    try:
        torchrun(arguments)
    except ChildFailedError as error:
        # other ranks fail after a killed one, since they lose their connection to it
        rank, failure = min(error.failures.items(), key=lambda each: (each[1].exitcode >= 0, each[1].timestamp))
        print(f'error: rank {rank} {reason(failure.exitcode)}', file=sys.stderr)
        return 1
    except SignalException as error:
        return 128 + error.sigval
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())

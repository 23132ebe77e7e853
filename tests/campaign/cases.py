"""One case of the campaign: a process that makes it and judges, and below it one for each verb that it runs.

A case is derived from its group and its seed alone. Verbs run in forked children, in which everything is imported
already, with a deadline that is far away: what does not end by then hangs.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import traceback
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.processes import messages

DEADLINE = 180  # seconds for a verb on a tiny input, that takes a fraction of one
MEMORY = 6 * 2**30  # bytes of address space that a verb may take besides what is imported
# what a mistake of our own leaves, one that was caught and made a line included
TRACES = re.compile(
    r'Traceback \(most recent|Exception ignored|terminate called|^(?!.*could not be built).*RESTOREBOX_TRACEBACK',
    re.MULTILINE,
)
OUTCOMES = ('right', 'warned', 'refused')
KINDS = {
    'traceback': 'a traceback',
    'crash': 'ended by a signal',
    'hang': f'not done after {DEADLINE} s',
    'silent': 'a wrong result and nothing said',
    'lost': 'what is good was refused, or what was done before is gone',
    'lines': 'an error without its line, or with several',
    'ran': 'something out of a file was run',
    'leftover': 'a file that should not be there',
    'campaign': 'the campaign itself failed',
}


@dataclass
class Ran:
    """What came of a verb: exit code (negative: the signal), and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of stderr that say something; progress is left out."""
        return [line for line in messages(self.err) if line.strip()]


@dataclass
class Result:
    """The judgement of a case."""

    group: str
    seed: int
    what: str = ''
    outcome: str = 'right'
    violations: list[list[str]] = field(default_factory=list)


class Case:
    """What a group's function gets: draws, an empty folder that is the current one, and a way to run verbs.

    Args:
        group: name of the group.
        seed: of the case.
        folder: an empty one.
        shared: what the group's ``prepare`` has made, read only.
        plant: called in each child before a verb: a test's fault in the project, which the oracle must find.
    """

    def __init__(
        self, group: str, seed: int, folder: Path, shared: Path, plant: Callable[[], None] | None = None
    ) -> None:
        self.plant = plant
        self.rng = random.Random(f'{group} {seed}')
        self.draws = np.random.default_rng([seed, *group.encode()])
        self.folder, self.shared = folder, shared
        self.result = Result(group, seed)

    def violation(self, kind: str, text: str) -> None:
        """Note something that must not be."""
        assert kind in KINDS
        text = re.sub(r'(?<![\w.])(/[\w.+-]+)+/', '.../', shown(text))  # results name no path of a machine
        self.result.violations.append([kind, text[-600:]])

    def verb(
        self, *argv: object, before: Callable[[], None] | None = None, judged: bool = True, tidy: bool = True
    ) -> Ran:
        """Run ``restorebox VERB ...`` in a child process.

        Args:
            *argv: the command line.
            before: called in the child first.
            judged: whether what no verb may do is noted.
            tidy: see :func:`fork`.
        """
        from restorebox.cli.main import main

        words = [os.fspath(word) if isinstance(word, Path) else str(word) for word in argv]

        def begin() -> None:
            for each in (self.plant, before):
                if each:
                    each()

        ran = fork(lambda: main(words), self.folder / '.output', begin, tidy)
        if judged:
            judge(self, words, ran)
        return ran


def judge(case: Case, words: list[str], ran: Ran) -> None:
    """What holds for every verb and every input."""
    command, text = words[0], f'{ran.out}\n{ran.err}'
    if ran.code == -signal.SIGALRM:
        case.violation('hang', f'{command}: {text[-200:]}')
    elif ran.code < 0:
        case.violation('crash', f'{command}: signal {-ran.code}: {text[-300:]}')
    elif TRACES.search(text):
        case.violation('traceback', f'{command}: {text[-500:]}')
    elif ran.code:
        errors = [line for line in ran.lines if re.match(r'(error|wrong|not restored)\b', line)]
        if not errors:
            case.violation('lines', f'{command}: exit code {ran.code} without a line: {text[-300:]}')
        elif (
            errors[0].startswith(('error', 'wrong'))
            and len(ran.lines) > 1
            and len(errors) + _logged(ran) != len(ran.lines)
        ):
            case.violation('lines', f'{command}: several lines: {ran.lines[:6]}')
        if any(len(line) > 4000 for line in errors):
            case.violation('lines', f'{command}: a line of {max(map(len, errors))} characters')
    odd = {c for c in text if unicodedata.category(c) in ('Cc', 'Cf', 'Cs') and c not in '\n\t'}
    if odd:
        where = next(line for line in re.split(r'\n', text) if odd & set(line))
        case.violation('lines', f'{command}: control characters {sorted(map(ascii, odd))} in {where[:200]!a}')


def _logged(ran: Ran) -> int:
    return sum(
        bool(re.match(r'\d\d/\d\d \d\d:\d\d:\d\d - |.*Warning: |\s+warnings?\.warn', line)) for line in ran.lines
    )


def shown(text: str) -> str:
    """A text that any terminal and any JSON can hold."""
    return ''.join(c if c.isprintable() or c == ' ' else ascii(c)[1:-1] for c in text)


def fork(run: Callable[[], None], output: Path, before: Callable[[], None] | None = None, tidy: bool = True) -> Ran:
    """Call a function in a child with its own session, deadline and output; exit codes are those of a program.

    Args:
        run: the function.
        output: a name beside which ``.out`` and ``.err`` are written.
        before: called in the child first.
        tidy: end what a child that was killed has left running.
    """
    paths = [output.with_suffix(suffix) for suffix in ('.out', '.err')]
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            _redirect(paths)
            _limit()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if before:
                before()
            run()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status and tidy:
        end_session(child)
    out, err = (path.read_bytes().decode('utf-8', 'backslashreplace') for path in paths)
    for path in paths:
        path.unlink()
    return Ran(os.waitstatus_to_exitcode(status), out, err)


def _redirect(paths: list[Path]) -> None:
    for path, to in zip(paths, (1, 2), strict=True):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, to)
        os.close(file)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    # as a program has them, whatever the parent has made of its own
    sys.stdout = open(1, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115
    sys.stderr = open(2, 'w', encoding='utf-8', errors='backslashreplace', closefd=False, buffering=1)  # noqa: SIM115


def _limit() -> None:
    import resource

    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends even what is deep in a library
    signal.alarm(DEADLINE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if Path('/proc/self/statm').is_file():
        pages = int(Path('/proc/self/statm').read_text().split()[0])
        most = pages * os.sysconf('SC_PAGE_SIZE') + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def end_session(leader: int) -> None:
    """End what a dead child has left running: the workers of a killed verb."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def run_case(
    group: str,
    function: Callable[[Case], str],
    seed: int,
    work: Path,
    shared: Path,
    plant: Callable[[], None] | None = None,
) -> Result:
    """Make and judge a case in a process of its own.

    Args:
        group: name of the group.
        function: of the group: plays the case, notes violations, returns one of :data:`OUTCOMES`.
        seed: of the case.
        work: where its folder is made, and removed again.
        shared: what the group's ``prepare`` has made.
        plant: see :class:`Case`.
    """
    folder = work / f'{group}-{seed}'
    folder.mkdir(parents=True)
    answer = work / f'{group}-{seed}.json'

    def play() -> None:
        signal.alarm(8 * DEADLINE)
        os.chdir(folder)
        case = Case(group, seed, folder, shared, plant)
        try:
            case.result.outcome = function(case)
            assert case.result.outcome in OUTCOMES
        except Exception:
            case.violation('campaign', traceback.format_exc()[-600:])
        answer.write_text(json.dumps(vars(case.result)))

    ran = fork(play, work / f'{group}-{seed}')
    try:
        result = Result(**json.loads(answer.read_text()))
    except (OSError, ValueError):
        result = Result(group, seed, '?', 'refused', [['campaign', f'exit code {ran.code}: {shown(ran.err[-300:])}']])
    answer.unlink(missing_ok=True)
    _unlock(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _unlock(folder: Path) -> None:
    for path, names, _ in os.walk(folder):
        for name in names:
            below = os.path.join(path, name)
            if not os.path.islink(below):
                os.chmod(below, 0o755)

"""Probes: short runs by which a stored result is kept valid when the code changed but computes the same.

A result is stale as soon as the text of its code has changed, also by a new name or a type. Its probe is a training of
a few steps at the budget ``tiny``, on synthetic pictures, with a test. If the present code gives the scores of the
probe again, and the resolved config is what it was, then the result is confirmed. On another machine rounding may give
other scores: then the probe of the code with which the result was valid is repeated there as well. A change that acts
only after many steps, or only on large pictures, is not seen by a probe; a result whose analysis changed has to be
computed again.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from restorebox.claims.ledger import Spec
from restorebox.claims.pictures import draw_pictures
from restorebox.claims.runs import last_checkpoint, train_and_test
from restorebox.errors import RestoreboxError

SEED = 0
TOLERANCE = 3e-5
"""Relative difference of scores that rounding on another machine explains.

On two Intel processors the same commit gave probes whose scores differed by up to 2e-5 (cclgan/no_intra). Trainings
that amplify rounding differ more (heavy_rain/none: 2 %); :func:`measure_probe_in` compares them on one machine.
"""
_ELSEWHERE = """
import json, os, sys
from pathlib import Path
from restorebox.claims.ledger import read_all
from restorebox.claims.probes import measure_probe
method, model, work = sys.argv[1:]
print(json.dumps(measure_probe(read_all()[method].spec(model, 'tiny'), Path(work), dict(os.environ))))
"""


def measure_probe(spec: Spec, work: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Train and test a spec of the budget ``tiny``; return its scores.

    Raises:
        RestoreboxError: training or testing failed.
    """
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='probe_', dir=work) as temporary:
        folder = Path(temporary)
        root = str(draw_pictures(folder / 'pictures'))

        def run(one: Spec, name: str) -> dict:
            more = {}
            if one.start:
                run(one.start, f'{name}_start')
                more = {'load_from': str(last_checkpoint(folder / f'{name}_start'))}
            return train_and_test(
                one.config,
                SEED,
                folder / name,
                data_root=root,
                row=one.row,
                overrides={**one.overrides, **more},
                environment=environment,
                analysis=one.analysis,
            )

        return run(spec, 'run')['mean']


def measure_probe_in(checkout: Path, method: str, model: str, work: Path, environment: Mapping[str, str]) -> dict:
    """Return the probe of a model as the code of another checkout computes it on this machine.

    Args:
        checkout: folder with ``restorebox`` and ``configs`` of another version.
        method: a ledger's method.
        model: a model of the ledger.
        work: folder for temporary files.
        environment: environment of the training.

    Raises:
        RestoreboxError: it failed, or that version has no such model or no probes.
    """
    work.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, '-P', '-c', _ELSEWHERE, method, model, str(work.resolve())]
    paths = {**environment, 'PYTHONPATH': str(checkout.resolve())}
    done = subprocess.run(words, env=paths, cwd=checkout, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        lines = done.stderr.strip().splitlines() or ['no output']
        raise RestoreboxError(f'{checkout}: the probe of {method}/{model} failed: {lines[-1][:200]}') from None


def probe_differences(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Return a text per score that differs, for example ``psnr_y 21.3 -> 21.4``; empty if the probes are equal."""
    names = sorted({*before, *after})
    return [
        f'{name} {before.get(name)} -> {after.get(name)}'
        for name in names
        if not _same(before.get(name), after.get(name))
    ]


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TOLERANCE) or (math.isnan(one) and math.isnan(other))

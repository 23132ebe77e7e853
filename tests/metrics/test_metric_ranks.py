"""Scores of two ranks that hold uneven shares are those of one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from restorebox.errors import WeightsError
from restorebox.metrics import RestorationMetric
from restorebox.metrics.fid import FID
from restorebox.metrics.picture_scores import PictureScores
from restorebox.processes import exit_at_once

NAMES = ['psnr_y', 'ssim_rgb', 'lpips_alex']


class Fails(RestorationMetric):
    """Raises on the rank that computes."""

    def process(self, data_batch, data_samples):
        self.results += [{'index': sample['index']} for sample in data_samples]

    def compute_metrics(self, results):
        raise WeightsError('only the first rank knows')


def score(samples: list[dict], shares: list[int], home: str, half_blind: bool) -> dict:
    """Metrics over the share of the set at hand, as an Evaluator calls them; one picture at a time."""
    os.environ['TORCH_HOME'] = home
    seven = PictureScores(NAMES[:2])
    five = PictureScores(NAMES)
    fid = FID(dims=64)
    for index in shares:
        seven.process(None, [samples[index]])
        if index < 5:
            five.process(None, [samples[index]])
            fid.process(None, [samples[index]])
    found = {'seven': seven.evaluate(7), 'seven_table': seven.table, 'five': five.evaluate(5), 'fid': fid.evaluate(5)}
    if half_blind:  # only one rank's machine has the weights file
        rank = torch.distributed.get_rank()
        os.environ['TORCH_HOME'] = home if rank == 0 else f'{home}/nowhere'
        blind = PictureScores(['psnr_y', 'lpips_alex'])
        for index in shares:
            blind.process(None, [samples[index]])
        found['blind'] = sorted(blind.evaluate(7))
        found['blind_unavailable'] = sorted(blind.unavailable)
        fails = Fails()
        fails.process(None, [samples[index] for index in shares])
        try:
            fails.evaluate(7)
        except WeightsError as error:
            found['error'] = str(error)
    return found


def worker(rank: int, folder: str, home: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    samples = torch.load(f'{folder}/samples.pth', weights_only=True)
    # uneven in what counts: the first rank repeats a picture that the second has too, as padding samplers do
    shares = ([0, 2, 4, 6, 1], [1, 3, 5])[rank]
    found = score(samples, shares, home, half_blind=True)
    Path(folder, f'rank_{rank}.json').write_text(json.dumps(found))
    torch.distributed.barrier()
    exit_at_once(0)


@pytest.mark.slow
def test_two_ranks_score_like_one(seven_samples, with_weights, tmp_path):
    torch.save(seven_samples, tmp_path / 'samples.pth')
    torch.multiprocessing.spawn(worker, (str(tmp_path), str(with_weights)), nprocs=2)
    first, second = (json.loads((tmp_path / f'rank_{rank}.json').read_text()) for rank in range(2))
    assert first == second
    alone = score(seven_samples, list(range(7)), str(with_weights), half_blind=False)
    assert len(alone['seven_table']) == 7
    assert first['seven'] == alone['seven']  # exactly
    assert first['seven_table'] == alone['seven_table']
    assert set(alone['five']) == {prefix + name for prefix in ('', 'input/') for name in NAMES}
    assert first['five'] == pytest.approx(alone['five'], rel=1e-5)
    assert set(alone['fid']) == {'fid', 'input/fid'}
    assert first['fid'] == pytest.approx(alone['fid'], rel=1e-4)
    assert first['blind'] == ['input/psnr_y', 'psnr_y']
    assert first['blind_unavailable'] == ['lpips_alex']
    assert first['error'] == 'only the first rank knows'

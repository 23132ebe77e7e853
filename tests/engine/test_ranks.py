"""Two ranks on a CPU are one run: gradients, one log, one checkpoint, the same scores, an end when one dies."""

import json
import logging
import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.optim import OptimWrapper, OptimWrapperDict

from restorebox.engine import RestorationRunner, load_file, ranks
from restorebox.errors import ConfigError
from restorebox.processes import exit_at_once
from tests.factories import random_inputs, restorer_names, small_restorer, write_pairs
from tests.processes import free_port, one_line_error, run, run_ranks, start, succeed, write_config

LOG = logging.getLogger('test_ranks')


class Recorder(OptimWrapper):
    """Keeps the gradients of a step instead of taking it."""

    def update_params(self, loss, step_kwargs=None, zero_kwargs=None):
        loss.backward()
        self.seen = [
            None if p.grad is None else p.grad.clone() for g in self.optimizer.param_groups for p in g['params']
        ]
        self.optimizer.zero_grad()


def gradients(name, inputs, world, rank):
    """Gradients of every role after one training step of a rank's share of the inputs."""
    torch.manual_seed(0)
    restorer = small_restorer(name).train().double()  # so that rounding, which norms amplify, is not what is compared
    for module in restorer.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # over a rank's own batch it is another function
    if world > 1:
        inputs = {role: x[rank::world] for role, x in inputs.items()}
        runner = SimpleNamespace(distributed=True, cfg={}, logger=logging.getLogger())
        RestorationRunner.wrap_model(runner, None, restorer)
    made = {
        step: Recorder(torch.optim.SGD([p for r in roles for p in getattr(restorer, r).parameters()], lr=0.1))
        for step, roles in restorer.steps.items()
    }
    wrapper = OptimWrapperDict(**made) if len(made) > 1 else next(iter(made.values()))
    for _ in range(2):  # twice: DDP complains at the second step about what the first left undone
        restorer.train_step(dict(inputs=inputs, data_samples=[]), wrapper)
    return {step: w.seen for step, w in made.items()}


def two_samples(name):
    return {role: x.double() for role, x in random_inputs(small_restorer(name), 2, 16).items()}


def worker(rank, world, port, folder):
    """All restorers one after the other in the same two processes, since starting them takes longest."""
    address = {'RANK': str(rank), 'WORLD_SIZE': str(world), 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}
    os.environ.update(address, LOCAL_RANK=str(rank))
    torch.distributed.init_process_group('gloo')
    for number, name in enumerate(restorer_names()):
        result = gradients(name, two_samples(name), world, rank)
        if rank == 0:
            torch.save(result, folder / f'{number}.pth')
    torch.distributed.barrier()
    exit_at_once(0)


@pytest.fixture(scope='module')
def of_two_ranks(tmp_path_factory):
    """A folder with the gradients of each restorer, made by two ranks."""
    folder = tmp_path_factory.mktemp('gradients')
    mp.start_processes(worker, (2, free_port(), folder), nprocs=2, start_method='forkserver')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('name', restorer_names())
def test_two_ranks_of_one_give_the_gradients_of_one_rank_of_two(name, of_two_ranks):
    alone = gradients(name, two_samples(name), 1, 0)
    together = torch.load(of_two_ranks / f'{restorer_names().index(name)}.pth', weights_only=True)
    assert alone.keys() == together.keys()
    for step in alone:
        assert len(alone[step]) == len(together[step]) > 0
        for a, b in zip(alone[step], together[step], strict=True):
            assert a is not None, f'{step}: a parameter without gradient'
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.fixture
def toy(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 6)
    write_pairs(tmp_path / 'data', 'test', 7)
    return tmp_path, write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=24)


def logs(work_dir: Path) -> list[Path]:
    return list(work_dir.glob('*/*.log'))


@pytest.mark.slow
def test_one_machine_and_two_give_one_log_one_checkpoint_and_the_same_scores(toy):
    folder, config = toy
    succeed(run('dist_train.sh', config, 2, '--work-dir', 'one', cwd=folder, PORT=free_port()))
    port, nodes = free_port(), []
    for rank in '01':
        (folder / rank).mkdir()
        nodes.append(
            start(
                'dist_train.sh',
                config,
                1,
                '--work-dir',
                folder / 'two',
                cwd=folder / rank,
                NNODES='2',
                NODE_RANK=rank,
                MASTER_ADDR='127.0.0.1',
                PORT=port,
            )
        )
    assert [node.wait(240) for node in nodes] == [0, 0], (folder / '0' / 'output.txt').read_text()[-2000:]
    for work_dir in (folder / 'one', folder / 'two'):
        assert len(logs(work_dir)) == 1
        assert sorted(p.name for p in work_dir.glob('iter_*')) == ['iter_3.pth', 'iter_6.pth']
    one, two = (load_file(folder / d / 'iter_6.pth')['state_dict'] for d in ('one', 'two'))
    assert all(torch.equal(one[k], two[k]) for k in one)

    checkpoint = folder / 'one' / 'iter_6.pth'
    succeed(run('test.py', config, checkpoint, '--work-dir', 't1', cwd=folder))
    succeed(run('dist_test.sh', config, checkpoint, 2, '--work-dir', 't2', cwd=folder, PORT=free_port()))
    alone, both = (json.loads((folder / d / 'scores.json').read_text()) for d in ('t1', 't2'))
    assert alone['count'] == both['count'] == 7
    assert set(alone['mean']) >= {'psnr_y', 'ssim_y', 'input/psnr_y'}
    for name, value in alone['mean'].items():
        assert abs(value - both['mean'][name]) < 1e-6
    assert [p['name'] for p in alone['per_picture']] == [p['name'] for p in both['per_picture']]


@pytest.mark.slow
def test_killing_a_rank_ends_the_job_with_a_message_and_a_loadable_checkpoint(toy):
    folder, config = toy
    config.write_text(
        config.read_text()
        .replace('max_samples=24', 'max_samples=400_000')
        .replace('24 // 2', '40')
        .replace('val_samples=24', 'val_samples=400_000')
    )
    job = start('dist_train.sh', config, 2, '--work-dir', 'w', cwd=folder, PORT=free_port())
    try:
        wait_until = time.time() + 600
        while not list((folder / 'w').glob('iter_*.pth')):
            assert time.time() < wait_until
            assert job.poll() is None, (folder / 'output.txt').read_text()[-3000:]
            time.sleep(0.2)
        children = subprocess.run(
            ['pgrep', '-P', str(job.pid), '-f', 'train.py'], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(children[-1]), signal.SIGKILL)
        assert job.wait(300) != 0
    finally:
        job.kill()
    text = (folder / 'output.txt').read_text()
    assert 'was killed (SIGKILL), probably by the kernel since memory was used up\nTo need less memory: fewer' in text
    assert text.count('Traceback') == 0
    for path in (folder / 'w').glob('iter_*.pth'):
        load_file(path)
    assert not list((folder / 'w').glob('.*.tmp')), (
        'a half-written file under its final name would be worse, but this is litter'
    )


@pytest.mark.slow
def test_synchronised_batch_norm_on_cpu_ranks_is_refused(toy):
    folder, config = toy
    options = ['model.generator.backbone.norm=batch', 'sync_bn=torch']
    for rank in run_ranks('train.py', config, '--work-dir', 'w', '--cfg-options', *options, ranks=2, cwd=folder):
        assert "batch norm can't be synchronised between ranks on a CPU" in one_line_error(rank)


BUFFERS = """
import torch
from restorebox.registry import HOOKS
from restorebox.restorers.supervised import SupervisedRestorer
from restorebox.registry import RESTORERS
from mmengine.hooks import Hook

@RESTORERS.register_module()
class Buffered(SupervisedRestorer):
    def __init__(self, generator, losses, statistics_window=None, data_preprocessor=None):
        super().__init__(generator, losses, statistics_window, data_preprocessor)
        self.generator.register_buffer('fourier', torch.randn(4), persistent=False)

@HOOKS.register_module()
class Tell(Hook):
    def before_train(self, runner):
        module = runner.restorer.role('generator')
        torch.save((module.fourier, torch.rand(1)), f'rank{runner.rank}.pt')
"""


@pytest.mark.slow
def test_ranks_start_with_the_same_buffers_and_draw_differently(toy):
    folder, config = toy
    (folder / 'buffers.py').write_text(BUFFERS)
    text = config.read_text().replace("type='SupervisedRestorer'", "type='Buffered'")
    text += "custom_imports = dict(imports=['buffers'])\ncustom_hooks = [dict(type='Tell')]\n"
    config.write_text(text)
    config.write_text(f'import sys\nsys.path.append({str(folder)!r})\n{config.read_text()}')
    for rank in run_ranks('train.py', config, '--work-dir', 'w', ranks=2, cwd=folder):
        succeed(rank)
    (first, draw_0), (second, draw_1) = (torch.load(folder / f'rank{r}.pt', weights_only=True) for r in '01')
    assert torch.equal(first, second)
    assert not torch.equal(draw_0, draw_1)


def test_options_of_ddp_reach_each_role(monkeypatch):
    given = {}
    monkeypatch.setattr(ranks, 'MMSeparateDistributedDataParallel', lambda model, **kwargs: given.update(kwargs))
    ranks.wrap_roles(small_restorer('SupervisedRestorer'), {'gradient_as_bucket_view': True, 'static_graph': True}, LOG)
    expected = {'gradient_as_bucket_view': True, 'static_graph': True, 'find_unused_parameters': False}
    assert expected.items() <= given.items()


def test_a_static_graph_is_refused_where_steps_freeze_each_others_networks():
    with pytest.raises(ConfigError, match='static_graph=True: CycleRestorer has the steps'):
        ranks.wrap_roles(small_restorer('CycleRestorer'), {'static_graph': True}, LOG)

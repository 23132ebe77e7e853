"""Scalars and sheets in MLflow and WandB (offline), which are no dependencies: tested where they are installed."""

import json

import pytest

from restorebox.cli.main import main
from tests.factories import write_pairs
from tests.processes import write_config

BACKENDS = """
_base_ = {base!r}
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), {backend}])
default_hooks = dict(checkpoint=dict(every_samples=4), logger=dict(interval=1))
"""


def train(folder, backend):
    write_pairs(folder, 'train', 4)
    write_pairs(folder, 'test', 2)
    base = write_config(folder / 'base.py', folder, samples=4)
    (folder / 'toy.py').write_text(BACKENDS.format(base=str(base), backend=backend))
    main(['train', str(folder / 'toy.py'), '--work-dir', str(folder / 'w'), '--no-data-check'])


def test_mlflow_has_losses_scores_and_sheets(tmp_path, monkeypatch):
    mlflow = pytest.importorskip('mlflow', reason='mlflow is not installed; it is no dependency')
    monkeypatch.chdir(tmp_path)
    store = (tmp_path / 'runs').as_uri()  # files: the database needs more than mlflow-skinny
    monkeypatch.setenv('MLFLOW_TRACKING_URI', store)
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
    train(tmp_path, f"dict(type='MLflowVisBackend', exp_name='toy', tracking_uri={store!r})")
    client = mlflow.tracking.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name('toy').experiment_id])
    assert run.data.metrics['loss'] > 0
    assert [point.step for point in client.get_metric_history(run.info.run_id, 'psnr_y')] == [2]
    assert [each.path for each in client.list_artifacts(run.info.run_id, 'sheets')] == ['sheets/val_2.png']


def test_wandb_offline_has_losses_scores_and_sheets(tmp_path, monkeypatch):
    pytest.importorskip('wandb', reason='wandb is not installed; it is no dependency')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('WANDB_MODE', 'offline')
    train(tmp_path, "dict(type='WandbVisBackend', init_kwargs=dict(project='toy', mode='offline'))")
    (folder,) = tmp_path.rglob('offline-run-*')
    assert [path.name.split('_')[0] for path in folder.rglob('*.png')]
    (record,) = folder.glob('run-*.wandb')
    stored = record.read_bytes()
    assert b'psnr_y' in stored
    assert b'loss' in stored
    summary = folder / 'files' / 'wandb-summary.json'
    assert not summary.is_file() or json.loads(summary.read_text())['psnr_y'] > 0

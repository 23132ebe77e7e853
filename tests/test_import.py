"""Side effects and time of importing the package."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.processes import environment

pytestmark = pytest.mark.slow

# In a process of its own. The libraries come first: what they change when they are imported is theirs.
SNAPSHOT = """
import importlib, json, logging, os, pkgutil, signal, sys, warnings
import cv2, lpips, mmcv.transforms, mmengine.dataset, mmengine.evaluator, mmengine.runner, mmengine.visualization
import pytorch_fid.inception, scipy.io, scipy.linalg, scipy.ndimage, scipy.signal, torch, torchvision
from mmengine.runner.checkpoint import CheckpointLoader
from PIL import Image, ImageCms, ImageFile
for name in ('gradio', 'starlette.datastructures', 'multipart', 'av', 'onnxruntime', 'matplotlib.figure'):
    try:
        importlib.import_module(name)
    except ImportError:
        pass

def state():
    return dict(
        loaders={scheme: str(loader) for scheme, loader in CheckpointLoader._schemes.items()},
        load=[str(each) for each in (torch.load, torch.save, mmengine.runner.load_checkpoint)],
        pickles=[str(each) for each in torch.serialization.get_safe_globals()],
        filters=[str(each) for each in warnings.filters],
        **{f'environment {key}': value for key, value in os.environ.items()},
        pillow=[Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, sorted(Image.OPEN)],
        logs=[(name, logging.getLogger(name).level, len(logging.getLogger(name).handlers))
              for name in ('root', 'PIL', 'torch', 'mmengine', 'matplotlib')],
        disabled=logging.root.manager.disable,
        torch=[torch.get_num_threads(), str(torch.get_default_dtype()), torch.is_grad_enabled(),
               torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
               torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32],
        random=torch.get_rng_state().tolist()[:8],
        cv2=cv2.getNumThreads(),
        signals=[str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM)],
        hooks=[str(each) for each in (sys.excepthook, sys.displayhook)],
        recursion=sys.getrecursionlimit(),
    )

before = state()
import restorebox
from restorebox import registry
for each in vars(registry).values():
    if isinstance(each, registry.Registry):
        each.import_from_location()
modules = [m.name for m in pkgutil.walk_packages(restorebox.__path__, 'restorebox.') if not m.name.endswith('__main__')]
for name in modules:
    importlib.import_module(name)
after = state()
changed = {key: [before.get(key), after.get(key)] for key in {**before, **after} if before.get(key) != after.get(key)}
print(json.dumps(dict(modules=len(modules), changed=changed)))
"""


def test_importing_every_module_changes_nothing_in_another_program():
    result = subprocess.run(
        [sys.executable, '-c', SNAPSHOT], env=environment(), capture_output=True, text=True, check=True
    )
    found = json.loads(result.stdout.splitlines()[-1])
    assert found['changed'] == {}
    assert found['modules'] > 100, 'the walk over the modules has lost its way'


# what restoring does not need and takes long to import: optimisers, compiler, exporters, plots, networks of others
UNUSED = {
    'lpips', 'matplotlib', 'mmengine.dataset', 'mmengine.hooks', 'mmengine.model', 'mmengine.optim', 'mmengine.runner',
    'mmengine.visualization', 'onnx', 'onnxruntime', 'pytorch_fid', 'scipy', 'sympy', 'torch._dynamo',
    'torch.distributed.fsdp', 'torchvision', 'transformers',
}  # fmt: skip
REPORT = """
import sys
from restorebox.cli.main import main
sys.argv[0] = 'restorebox'
main()
print('\\n' + ' '.join(sys.modules))
"""


@pytest.mark.parametrize('command', [('restore', 'a.png', '--out', 'out'), ('info', 'weather'), ('models',)])
def test_a_command_imports_only_what_it_needs(tmp_path, command):
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(tmp_path / 'a.png')
    result = subprocess.run(
        [sys.executable, '-c', REPORT, *command],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = set(result.stdout.splitlines()[-1].split())
    assert 'torch' in imported
    assert not imported & UNUSED

"""What tests of encoders share."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture(scope='session')
def clip(tmp_path_factory):
    """A random ViT-B/32 of open_clip's making, and files of its weights as OpenAI lays them out."""
    import open_clip  # slow

    folder = tmp_path_factory.mktemp('clip')
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = open_clip.create_model('ViT-B-32', force_quick_gelu=True).eval()
    visual = {key: value for key, value in net.state_dict().items() if key.startswith('visual.')}
    # most of a text tower is left out to keep the files small; what stays has keys and kinds of the real one's
    text = {
        'logit_scale': torch.tensor(4.6),
        'positional_embedding': torch.zeros(77, 512),
        'transformer.resblocks.0.ln_1.bias': torch.zeros(512),
        'input_resolution': torch.tensor(224),
    }
    torch.save(visual | text, folder / 'fp32.pth')
    torch.save({k: v.half() for k, v in (visual | text).items()}, folder / 'fp16.pth')
    torch.save({'epoch': 1, 'state_dict': {f'module.{k}': v for k, v in visual.items()}}, folder / 'trained.pt')
    save_file(visual | text, folder / 'file.safetensors')
    return SimpleNamespace(folder=folder, net=net.visual, visual=visual)


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    return folder

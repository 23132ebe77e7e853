"""CLIPVisual against open_clip's own forward pass, and every way in which its weights file can be wrong."""

from __future__ import annotations

import copy
import re
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from restorebox.encoders.clip import CLIP_MEAN, CLIP_STD
from restorebox.encoders.frozen import CLIP_FILE
from restorebox.encoders.semantic import CLIPVisual
from restorebox.errors import WeightsError

pytestmark = pytest.mark.slow

MEAN, STD = torch.tensor(CLIP_MEAN).view(3, 1, 1), torch.tensor(CLIP_STD).view(3, 1, 1)


def pictures(*size, seed=3):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('file', ['fp32.pth', 'fp16.pth', 'trained.pt', 'file.safetensors'])
def test_clip_is_open_clips_image_tower(file, clip):
    encoder = CLIPVisual(str(clip.folder / file))
    assert encoder.describe() == f'CLIPVisual ViT-B/32 ({file})'
    whole, wide = pictures(1, 3, 224, 224), pictures(2, 3, 60, 90)
    resized = F.interpolate(wide, (224, 224), mode='bicubic', antialias=True)
    reference = clip.net
    if file == 'fp16.pth':  # halving the weights rounds them, so the reference is rounded too
        reference = copy.deepcopy(clip.net)
        reference.load_state_dict({key: value.half().float() for key, value in clip.net.state_dict().items()})
    for x, prepared in ((whole, whole), (wide, resized)):
        with torch.no_grad():
            wanted = reference((prepared - MEAN) / STD)
        for given in (x, x.clone().requires_grad_()):  # with and without gradients attention is computed differently
            found = encoder(given)['embedding']
            assert found.shape == (len(x), 512)
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert wanted.std() > 0.1, 'the tolerance would say nothing'


def test_clip_with_the_exact_gelu(clip):
    encoder = CLIPVisual(str(clip.folder / 'fp32.pth'), quick_gelu=False)
    x = pictures(1, 3, 224, 224)
    exact = copy.deepcopy(clip.net)
    for block in exact.transformer.resblocks:
        block.mlp.gelu = nn.GELU()
    with torch.no_grad():
        wanted = exact((x - MEAN) / STD)
    torch.testing.assert_close(encoder(x)['embedding'], wanted, atol=1e-5, rtol=0)
    assert (wanted - clip.net((x - MEAN) / STD)).abs().max() > 1e-3
    assert 'exact GELU' in encoder.describe()


def test_a_missing_file_of_clip_is_named(torch_home, tmp_path, clip):
    encoder = CLIPVisual()
    reason = encoder.missing()
    assert f'{CLIP_FILE} is not in {torch_home}' in reason
    assert 'https://' in reason
    assert '\n' not in reason
    assert encoder.describe() == 'CLIPVisual ViT-B/32 (no weights)'
    with pytest.raises(WeightsError, match=re.escape(reason)):
        encoder(pictures(1, 3, 8, 8))
    own = CLIPVisual(str(tmp_path / 'mine.pth'))
    assert own.missing() == f'weights file {tmp_path}/mine.pth does not exist'
    with pytest.raises(WeightsError, match=r'mine\.pth does not exist'):
        own(pictures(1, 3, 8, 8))
    for name in ('ViT-B-32.pt', 'ViT-B-32.pth', CLIP_FILE):  # each is preferred to the one before
        (torch_home / name).symlink_to(clip.folder / ('file.safetensors' if name == CLIP_FILE else 'fp32.pth'))
        assert encoder.missing() is None
        assert encoder.describe() == f'CLIPVisual ViT-B/32 ({name})'
    assert encoder(pictures(1, 3, 8, 8))['embedding'].shape == (1, 512)


def test_clip_without_its_package(clip, monkeypatch):
    for module in ('open_clip', 'open_clip.transformer'):
        monkeypatch.setitem(sys.modules, module, None)
    encoder = CLIPVisual(str(clip.folder / 'file.safetensors'))
    assert "pip install 'restorebox[clip]'" in encoder.missing()
    with pytest.raises(WeightsError, match=r"pip install 'restorebox\[clip\]'"):
        encoder(pictures(1, 3, 8, 8))


class Archive(nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = nn.Linear(2, 2)

    def forward(self, x):
        return self.visual(x)


def test_a_torchscript_archive_is_refused_with_the_way_to_convert_it(torch_home):
    archive = torch_home / 'ViT-B-32.pt'
    torch.jit.script(Archive()).half().save(str(archive))
    encoder = CLIPVisual()
    reason = encoder.missing()
    assert f'{archive} is a TorchScript archive' in reason
    assert '\n' not in reason
    with pytest.raises(WeightsError, match='TorchScript'):
        encoder(pictures(1, 3, 8, 8))
    command = re.search(r'python -c "(.*)"$', reason)[1]
    exec(command, {})
    assert encoder.missing() is None
    assert encoder.describe() == 'CLIPVisual ViT-B/32 (ViT-B-32.pth)'
    with pytest.raises(WeightsError, match=r'visual\.class_embedding is missing'):  # read, but a toy
        encoder(pictures(1, 3, 8, 8))


class Evil:
    def __reduce__(self):
        return print, ('code from a weights file',)


@pytest.mark.parametrize(
    ('name', 'what', 'wrong'),
    [
        ('evil.pth', lambda visual: {'visual.proj': Evil()}, "can't be read as weights"),
        ('rubbish.pth', lambda visual: b'no weights at all', "can't be read as weights"),
        ('rubbish.safetensors', lambda visual: b'no weights at all', "can't be read as weights"),
        ('empty.safetensors', lambda visual: b'', "can't be read as weights"),
        ('other.pth', lambda visual: {'features.0.weight': torch.ones(1)}, r'no visual\.\* keys'),
        (
            'less.pth',
            lambda visual: {k: v for k, v in visual.items() if k != 'visual.proj'},
            r'visual\.proj is missing',
        ),
        (
            'patch16.pth',
            lambda visual: visual | {'visual.conv1.weight': torch.ones(768, 3, 16, 16)},
            r'visual\.conv1\.weight is \(768, 3, 16, 16\), not \(768, 3, 32, 32\)',
        ),
        ('number.pth', lambda visual: visual | {'visual.proj': 3}, r'visual\.proj is a int'),
        (
            'more.pth',
            lambda visual: visual | {'visual.attn_pool.query': torch.ones(1)},
            r'has visual\.attn_pool\.query',
        ),
    ],
)
def test_wrong_files_are_one_line(name, what, wrong, tmp_path, clip, capsys):
    # one number behind each expanded weight: shapes are right and the files small
    small = {key: torch.zeros(1).expand(value.shape) for key, value in clip.visual.items()}
    content = what(small)
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        torch.save(content, tmp_path / name)
    with pytest.raises(WeightsError, match=wrong) as caught:
        CLIPVisual(str(tmp_path / name))(pictures(1, 3, 8, 8))
    assert str(tmp_path / name) in str(caught.value)
    assert '\n' not in str(caught.value)
    assert 'code from' not in capsys.readouterr().out

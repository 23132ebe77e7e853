"""Components of other packages that fail in training are refused by check-config, in one line."""

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from torch import nn

from restorebox import registry
from restorebox.backbones import BaseBackbone, Needs
from restorebox.degradations import BaseDegradation
from restorebox.engine import trial
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError, WeightsError
from restorebox.files import configs_dir
from restorebox.heads.base import BaseHead
from restorebox.losses import BaseLoss
from restorebox.metrics import RestorationMetric
from restorebox.metrics.base import sample_index, scores_of


class Plain(BaseBackbone):
    """One convolution; correct."""

    def __init__(self, stride: int = 1, declared: int = 1, channels: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3, stride, 1)
        self.tap_channels = {'only': 8}
        self.out_channels, self.out_stride = 8, declared
        self.needs = Needs(stride=stride, min_size=1, in_channels=channels, value_range=(0.0, 1.0), receptive_field=3)

    def forward(self, x, taps=(), only_taps=False):
        kept = self.collect(taps, only_taps)
        y = self.conv(x)
        return kept.features if kept.last('only', y) else kept.end(y)


class Bare(Plain):
    def forward(self, x, taps=(), only_taps=False):
        return self.conv(x)


class Nameless(Plain):
    def forward(self, x, taps=(), only_taps=False):
        return {'features': self.conv(x)}


class Narrow(Plain):
    def forward(self, x, taps=(), only_taps=False):
        return {'out': self.conv(x)[:, :4]}


class Square(Plain):
    """Its rows and columns are exchanged."""

    def forward(self, x, taps=(), only_taps=False):
        return {'out': self.conv(x).transpose(2, 3)}


class OnlyOnCPU(Plain):
    """Correct, but the meta device has no values."""

    def forward(self, x, taps=(), only_taps=False):
        if float(x.mean()) > 2:
            raise ValueError
        return super().forward(x, taps, only_taps)


class Grey(BaseHead):
    output = 'picture'

    def __init__(self, in_channels, scale):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 1, 1)

    def forward(self, features, x):
        return self.conv(features['out'])


class Module(nn.Module):
    def forward(self, pred, target):
        return (pred - target).abs().mean()


class Headless(BaseLoss):
    def __init__(self, power: float = 1.0):
        self.power = power

    def compute(self, pred, target):
        return (pred - target).abs().mean()


class Detached(BaseLoss):
    def compute(self, pred, target):
        return (pred.detach() - target).abs().mean()


class PerPicture(BaseLoss):
    def compute(self, pred, target):
        return (pred - target).abs().mean((1, 2, 3))


class Halved(BaseLoss):
    def compute(self, pred, target):
        return (pred[..., ::2] - target).abs().mean()


class Levels(BaseTransform):
    def transform(self, results):
        return {**results, 'lq': results['lq'].astype('float32')}


class Function(BaseTransform):
    def __init__(self):
        self.of = lambda x: x

    def transform(self, results):
        return results


class Faulty(BaseDegradation):
    """Halves the brightness; the fault is chosen."""

    def __init__(self, fault: str = ''):
        self.fault = fault

    def sample(self, rng, shape):
        return {'number': 3, 'list': rng if self.fault == 'json' else [1]} if self.fault != 'parameters' else 3

    def apply(self, picture, parameters):
        if self.fault == 'source':
            picture[:] = 0
        half = picture.astype(np.float32) / 510
        results = {
            'array': half,
            'key': {'rainy': half},
            'grey': {'lq': half[..., 0]},
            'size': {'lq': half[::2]},
            'levels': {'lq': half * 510},
            'layer': {'lq': half, 'streak': half[:, ::2, :1]},
            'random': {'lq': np.random.default_rng().random(half.shape)},
        }
        return results.get(self.fault, {'lq': half, 'streak': half[..., :1]})


class Bias(RestorationMetric):
    """Mean error; the score's name can be wrong."""

    protocols = ('bias',)

    def __init__(self, fault: str = ''):
        super().__init__()
        self.fault = fault

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            row = {'index': sample_index(sample), 'name': sample['name']}
            assert data_batch['inputs']['gt'].shape[1:] == sample['gt'].shape
            value = float((sample['pred'] - sample['gt']).mean())
            row['deviation' if self.fault == 'name' else 'bias'] = value
            if self.fault == 'index':
                del row['index']
            if self.fault == 'key':
                value += sample['mask']
            if self.fault == 'weights':
                raise WeightsError('weights file x.pth is not here')
            self.results.append(row)

    def compute_metrics(self, results):
        if self.fault == 'other':
            return {'deviation': 0.0}
        if self.fault == 'text':
            return {'bias': '0.1'}
        self.table = [scores_of(row, self.protocols) for row in results]
        return self.means(self.table, self.protocols)


PLACES = {
    'BACKBONES': (Plain, Bare, Nameless, Narrow, Square, OnlyOnCPU),
    'HEADS': (Grey,),
    'LOSSES': (Module, Headless, Detached, PerPicture, Halved),
    'TRANSFORMS': (Levels, Function),
    'DEGRADATIONS': (Faulty,),
    'METRICS': (Bias,),
}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for place, classes in PLACES.items():
        each = getattr(registry, place)
        each.import_from_location()
        for cls in classes:
            monkeypatch.setitem(each._module_dict, cls.__name__, cls)


@pytest.fixture
def check(tmp_path):
    def run(text):
        config = tmp_path / 'c.py'
        config.write_text(f"_base_ = '{configs_dir() / 'unet' / 'unet5_paired.py'}'\n{text}\n")
        return check_config(str(config))

    return run


def backbone(text, head="type='PictureHead'"):
    return f'model = dict(generator=dict(backbone=dict(_delete_=True, {text}), head=dict(_delete_=True, {head})))'


def loss(kind):
    return f"model = dict(losses=dict(one=dict(type='{kind}')))"


def transform(kind):
    pipeline = (
        f"[dict(type='LoadPictures'), dict(type='{kind}'), dict(type='RandomWindow', size=64), dict(type='Pack')]"
    )
    return f'train_dataloader = dict(dataset=dict(pipeline={pipeline}))'


def degradation(fault):
    degrade = f"dict(type='Degrade', recipe=dict(type='Faulty', fault='{fault}'))"
    pipeline = f"[dict(type='LoadPictures'), dict(type='RandomWindow', size=64), {degrade}, dict(type='Pack')]"
    return f'train_dataloader = dict(dataset=dict(lq=None, pipeline={pipeline}))'


def metric(fault):
    return (
        f"val_evaluator = [dict(type='Bias', fault='{fault}')]\ndefault_hooks = dict(checkpoint=dict(save_best='bias'))"
    )


@pytest.mark.parametrize(
    'text',
    [
        backbone("type='Plain'"),
        backbone("type='Plain', stride=2, declared=2"),
        backbone("type='OnlyOnCPU'"),
        degradation(''),
        metric(''),
        metric('weights'),  # depends on this machine
    ],
)
def test_a_correct_component_passes(check, text):
    check(text)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (backbone("type='Bare'"), 'generator.backbone: Bare.forward returned Tensor; it must be a dict'),
        (backbone("type='Nameless'"), "Nameless.forward returned features; 'out' is missing"),
        (backbone("type='Narrow'"), "Narrow declares 8 channels of 'out' and returned 4"),
        (backbone("type='Plain', stride=2, declared=1"), "declares out_stride=1; of a picture of 32x34 (HxW) it "
                                                          "returned 'out' of 16x17, not 32x34"),
        (backbone("type='Square'"), "it returned 'out' of 33x32, not 32x33"),
        (backbone("type='Plain', channels=1"), 'its first network reads 1 channels; pictures have 3 (RGB)'),
        (backbone("type='Plain'", "type='Grey'"), 'it restores a picture of (1, 3, 32, 33) (N, C, H, W) to (1, 1, 32'),
        (backbone("type='Plain'", "type='PictureHead', residual=True, out_channels=1"), 'out_channels must be 3'),
        (loss('Module'), 'losses.one: Module is not derived from BaseLoss'),
        (loss('Headless'), 'Headless.__init__ does not call super().__init__()'),
        (loss('Detached'), "'loss_one' of the step 'generator' has no gradient for generator; does the loss detach"),
        (loss('PerPicture'), 'PerPicture.compute returned shape (1,); return a scalar'),
        (loss('Halved'), 'config, model: RuntimeError: The size of tensor a (128) must match'),
        (transform('Levels'), "pipeline.1: Levels made 'lq' float32 with values from 0 to 255; float pictures are in"),
        (transform('Function'), 'pipeline.1: Function cannot be pickled'),
        (degradation('parameters'), 'pipeline.2: Faulty.sample returned int; it must be a dict of the parameters'),
        (degradation('json'), 'Faulty.sample: its parameters cannot be stored as JSON'),
        (degradation('array'), "Faulty.apply returned ndarray; it must be a dict with 'lq'"),
        (degradation('key'), "Faulty.apply returned a dict with 'rainy'; it must be a dict with 'lq'"),
        (degradation('grey'), "'lq' is ndarray (64, 64); it must be an array (H, W, 3)"),
        (degradation('size'), "'lq' is 32x64 (HxW) for a picture of 64x64"),
        (degradation('levels'), "Faulty.apply: 'lq' is float32 with values from 0 to 255; float pictures are in [0"),
        (degradation('layer'), "'streak' is 64x32 (HxW) for a picture of 64x64"),
        (degradation('random'), "'lq' differs between two calls with the same parameters"),
        (degradation('source'), 'Faulty.apply changes the picture that it is given'),
        (metric('name'), "config, val_evaluator: Bias: its results have no score 'bias', only 'deviation'"),
        (metric('index'), "config, val_evaluator: Bias: a result has no 'index'; process() must append"),
        (metric('other'), "Bias declares the score 'bias' in protocols and gave 'deviation'"),
        (metric('text'), "Bias: the score 'bias' is str, not a number"),
        (metric('key'), "config, val_evaluator: KeyError: 'mask'"),
    ],
)  # fmt: skip
def test_a_fault_is_named(check, text, expected):
    with pytest.raises(ConfigError) as caught:
        check(text)
    assert expected in str(caught.value)
    assert '\n' not in str(caught.value)


def test_an_error_of_the_meta_device_alone_is_none():
    def run(model):
        if torch.empty(0).is_meta:
            raise RuntimeError('no such kernel')
        model.append('cpu')

    built = []
    state = torch.get_rng_state()
    trial.try_on_meta([], run, lambda: torch.rand(3) is None or built)
    assert built == ['cpu']
    assert torch.equal(torch.get_rng_state(), state)

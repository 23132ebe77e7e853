"""Public weights of other projects through restore, info, export, fine-tuning and test, by spandrel."""

import importlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from restorebox.backbones.spandrel_network import SpandrelNetwork
from restorebox.cli.main import main
from restorebox.datasets.reading import natural_key
from restorebox.engine import load_file
from restorebox.engine.zoo import _check_numbers, architecture_licences, with_config
from restorebox.errors import CheckpointError, ConfigError, MissingPackageError
from restorebox.inference.models import load_model
from tests.conftest import LONG
from tests.factories import write_pairs
from tests.processes import call, refused, succeed, write_config

spandrel = pytest.importorskip('spandrel', reason='spandrel (requirements/zoo.txt) is not installed')

# narrow networks of real architectures: (arguments, tiling discouraged)
NETWORKS = {
    'NAFNet': (dict(width=8, enc_blk_nums=[1, 1], middle_blk_num=1, dec_blk_nums=[1, 1]), False),
    'DnCNN': (dict(in_nc=3, out_nc=3, nc=8, nb=4), False),
    'SwinIR': (
        dict(
            img_size=64, window_size=8, embed_dim=12, depths=[2], num_heads=[2], upscale=1, upsampler='', img_range=1.0
        ),
        True,
    ),
    'SAFMN': (dict(dim=8, n_blocks=1, upscaling_factor=1), False),
    'FFTformer': (dict(dim=16, num_blocks=[1, 1, 1], num_refinement_blocks=1), False),
    'PLKSR': (dict(dim=8, n_blocks=1, upscaling_factor=1), False),
}
# images of 1.5 megapixels and slow networks with RESTOREBOX_LONG=1
LARGE, MEMORY = ((1000, 1500), '300') if LONG else ((330, 450), '40')


def network(name, **changes):
    module = importlib.import_module(f'spandrel.architectures.{name}')
    kind = getattr(module, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = kind(**{**NETWORKS[name][0], **changes}).eval()
        for p in net.parameters():  # scales that begin at zero would hide the network
            if p.abs().sum() == 0:
                torch.nn.init.normal_(p, 0, 0.1)
    return net


def save(path, net):
    torch.save({'params': net.state_dict()}, path)
    return str(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(path, height, width):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return str(path)


@pytest.mark.parametrize('name', NETWORKS)
def test_restored_as_spandrel_restores(name, here):
    file = save(here / 'public.pth', network(name))
    restorer = load_model(file)
    assert restorer.needs.tiling == ('discouraged' if NETWORKS[name][1] else 'spatial')
    reference = spandrel.ModelLoader().load_from_file(file).eval()
    sizes = reference.size_requirements
    assert restorer.needs.stride == sizes.multiple_of
    side = -(-max(sizes.minimum, 64) // sizes.multiple_of) * sizes.multiple_of
    x = torch.rand(1, 3, side, side + 2 * sizes.multiple_of, generator=torch.Generator().manual_seed(1))
    expected = reference(x).clone()
    assert (expected - x).abs().max() > 0.005, 'the network does something'
    torch.testing.assert_close(restorer.restore(x)['pred'], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS if LONG else [name for name in NETWORKS if name != 'FFTformer'])
def test_any_size_through_the_command(name, here, capsys):
    file = save(here / 'public.pth', network(name))
    for height, width in ((37, 53), LARGE):
        source = picture(here / f'{height}.png', height, width)
        main(['restore', source, '--model', file, '--out', 'out', '--device', 'cpu', '--memory', MEMORY])
        made = np.asarray(Image.open(here / 'out' / f'{height}.png'))
        assert made.shape == (height, width, 3)
        assert made.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS if LONG else ['DnCNN', 'SAFMN'])
def test_exported_or_refused_in_one_line(name, here, capsys):
    file = save(here / 'public.pth', network(name))
    try:
        main(['export', file, '--to', 'pt2', '--out', 'out.pt2'])
    except SystemExit:
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith('error: ')
        assert 'exported' in lines[0]
        assert not (here / 'out.pt2').exists()
        assert name != 'DnCNN', 'plain convolutions can be exported'
    else:
        assert 'of PyTorch on three sizes' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_fine_tuned_and_published(name, here, capsys):
    net = network(name)
    file = save(here / 'public.pth', net)
    write_pairs(here, 'train', 4, (64, 64))
    write_pairs(here, 'test', 2, (64, 64))
    main(['info', file])
    printed = capsys.readouterr().out
    backbone = printed.split('backbone', 1)[1].split('\n')[0].strip()
    write_config(here / 'base.py', here, samples=5)
    (here / 'tune.py').write_text(
        "_base_ = 'base.py'\n"
        f'load_from = {file!r}\n'
        f'model = dict(generator=dict(_delete_=True, backbone={backbone}, '
        "head=dict(type='IdentityHead', output='picture')))\n"
        'train_dataloader = dict(batch_size=1)\n'
        'default_hooks = dict(checkpoint=dict(every_samples=5), ema=None, sheets=None, curves=None)\n'
    )
    succeed(call('train.py', 'tune.py', '--work-dir', 'w', '--no-data-check', cwd=here))
    trained = load_file(here / 'w' / 'iter_5.pth')['state_dict']
    before, after = dict(net.named_parameters()), {key.split('network.', 1)[1]: value for key, value in trained.items()}
    assert set(net.state_dict()) == set(after)
    changed = [key for key, value in before.items() if not torch.equal(value.float(), after[key].float())]
    assert len(changed) > len(before) // 2
    # five steps of Adam at 1e-3 change no weight by more: training began at the public weights
    assert all((before[key].float() - after[key].float()).abs().max() < 2e-2 for key in changed)
    main(['publish', 'w/iter_5.pth', 'mine.safetensors', '--licence', 'CC0', '--limits', 'none'])
    assert load_model('mine.safetensors').needs.value_range == (0, 1)
    succeed(call('test.py', 'tune.py', file, '--work-dir', 't', cwd=here))
    assert json.loads((here / 't' / 'scores.json').read_text())['mean']['psnr_y'] > 0


def test_info_names_architecture_licence_and_tiling(here, capsys):
    main(['info', save(here / 'public.pth', network('SwinIR'))])
    printed = capsys.readouterr().out
    assert "dict(type='SpandrelNetwork', architecture='SwinIR'" in printed
    assert 'SwinIR: Apache-2.0 (code of the architecture); that of the weights is not in the file' in printed
    assert 'in tiles, which its authors discourage' in printed


def test_models_and_restore_show_the_licence_of_an_architecture(here, capsys):
    main(['models', '--all'])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['NAFNet', 'MIT', 'spandrel'] in lines
    assert ['AuraSR', 'CC-BY-SA-4.0', 'spandrel'] in lines
    file = save(here / 'public.pth', network('DnCNN'))
    main(['restore', picture(here / 'a.png', 16, 16), '--model', file, '--out', 'out', '--device', 'cpu'])
    assert 'DnCNN: MIT (code of the architecture)' in capsys.readouterr().out


def test_every_architecture_of_spandrel_has_a_known_licence():
    rows = architecture_licences()
    assert len(rows) >= 40
    assert not [row for row in rows if row[1].startswith('unknown')]
    assert [name for name, licence, package in rows if package == 'spandrel' and 'commercial' in licence] == []


def test_tiles_that_authors_discourage_are_warned_of_once(here, monkeypatch):
    from restorebox.inference import tiles
    from restorebox.inference.tiles import Tiler

    said: list[str] = []
    monkeypatch.setattr(tiles, 'print_log', lambda text, *_: said.append(text))

    tiler = Tiler(load_model(save(here / 'public.pth', network('SwinIR'))), memory=20)
    image = np.zeros((300, 320, 3), np.uint8)
    tiler(image), tiler(image)
    assert ['authors discourage' in text for text in said] == [True]


def test_square_pictures_where_the_network_needs_them():
    net = SpandrelNetwork('Uformer', dict(embed_dim=16, depths=[1] * 9)).eval()
    assert net.needs.stride == 128
    sizes = []
    net.network.register_forward_pre_hook(lambda module, args: sizes.append(args[0].shape[-2:]))
    with torch.no_grad():
        assert net(torch.rand(1, 3, 128, 256))['out'].shape == (1, 3, 128, 256)
    assert sizes == [(256, 256)]


def test_nothing_of_a_file_is_run(here, capsys):
    class Evil:
        def __reduce__(self):
            return (open, (str(here / 'written'), 'w'))

    torch.save({'params': network('DnCNN').state_dict(), 'x': Evil()}, here / 'evil.pth')
    assert 'it holds more than weights' in refused(lambda: main(['info', 'evil.pth']), capsys)
    assert not (here / 'written').exists()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: {**s, 'encoders.99999999.0.beta': torch.zeros(1)}, 'has a layer number above 1000'),
        (lambda s: {**s, 'encoders.999.0.beta': torch.zeros(1)}, "spandrel can't"),
        (lambda s: {key: value for key, value in s.items() if key != 'downs.1.weight'}, "spandrel can't"),
        (lambda s: {**s, 'intro.bias': torch.zeros(9)}, "spandrel can't"),
        (lambda s: {**s, 'intro.bias': torch.full((8,), float('nan'))}, 'NaN or infinite'),
        (lambda s: {**s, 'ending.weight': s['ending.weight'][:1]}, "spandrel can't"),
    ],
)
def test_a_forged_or_damaged_file_is_refused_in_one_line(change, message, here, capsys):
    torch.save(change(network('NAFNet').state_dict()), here / 'a.pth')
    assert message in refused(lambda: main(['info', 'a.pth']), capsys)


def test_super_resolution_is_refused(here):
    torch.save(network('SAFMN', upscaling_factor=4).state_dict(), here / 'a.pth')
    with pytest.raises(CheckpointError, match='this SAFMN enlarges pictures 4 times; restorebox keeps their size'):
        load_model(str(here / 'a.pth'))


def test_grey_networks_are_refused(here):
    torch.save(network('DnCNN', in_nc=1, out_nc=1).state_dict(), here / 'a.pth')
    with pytest.raises(CheckpointError, match='maps 1 to 1 channels; restorebox restores pictures of 3'):
        load_model(str(here / 'a.pth'))


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(architecture='NAFNett'), "no architecture 'NAFNett'; did you mean 'NAFNet'"),
        (dict(architecture='NAFNet', network='NAF'), "NAFNet has no network 'NAF'; network must be one of NAFNet"),
        (dict(architecture='NAFNet', hyperparameters=dict(widht=8)), "spandrel can't build the network: TypeError"),
        (dict(architecture='KBNet'), 'network must be one of KBNet_'),
    ],
)
def test_wrong_settings_are_one_line(given, message):
    with pytest.raises(ConfigError, match=message) as caught:
        SpandrelNetwork(**{'hyperparameters': {}, **given})
    assert '\n' not in str(caught.value)


def test_without_spandrel_the_extra_is_named(here, monkeypatch, capsys):
    file = save(here / 'public.pth', network('DnCNN'))
    monkeypatch.setitem(__import__('sys').modules, 'spandrel', None)
    assert "the extra 'zoo' recognises" in refused(lambda: main(['info', file]), capsys)
    with pytest.raises(MissingPackageError, match=r"pip install 'restorebox\[zoo\]'"):
        SpandrelNetwork('DnCNN', {})


def test_other_checkpoints_are_left_alone():
    own = {'state_dict': {'generator.backbone.x': torch.zeros(1)}, 'meta': {}}
    assert with_config(own, 'a') is own
    unknown = {'state_dict': {'x': torch.zeros(1)}, 'meta': {}}
    assert with_config(unknown, 'a') is unknown


def test_names_of_layers_with_odd_digits_are_only_names():
    """'²' is a digit to str.isdigit and no number to int, which refuses more than 4,300 digits, too."""
    _check_numbers({'body.²': torch.zeros(1)}, 'a.pth')
    with pytest.raises(CheckpointError, match='above'):
        _check_numbers({'body.' + '9' * 5000: torch.zeros(1)}, 'a.pth')
    names = ['a.10', 'a.9', 'a.²', f'a.{"9" * 5000}']
    assert sorted(names, key=natural_key) == ['a.9', 'a.10', f'a.{"9" * 5000}', 'a.²']

"""Public state dicts of NAFNet, Restormer, PromptIR, PReNet and gUNet become checkpoints of the same function.

tests/backbones/test_public_networks.py compares the outputs; here are the files, the command and the messages.
"""

import pytest
import torch

from restorebox.cli.convert_weights import main
from restorebox.engine import load_file
from restorebox.engine.conversion_networks import convert_by_rules
from restorebox.errors import CheckpointError
from restorebox.inference.models import load_model
from restorebox.restorers import Network
from tests import twins

PICTURE = dict(type='IdentityHead', output='picture')


def config(path, base, **backbone):
    path.write_text(
        f"_base_ = '{{{{$RESTOREBOX_CONFIGS:}}}}/{base}'\nmodel = dict(generator=dict(backbone={backbone}))\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ('kind', 'base', 'shapes', 'given', 'twin', 'wrap'),
    [
        (
            'restormer',
            'restormer/restormer_gopro.py',
            twins.restormer_shapes(8, (1, 1, 1, 1), 1, (1, 1, 1, 2)),
            dict(width=8, blocks=(1, 1, 1, 1), refinement=1, heads=(1, 1, 1, 2)),
            twins.restormer,
            lambda state: {'params': state},
        ),
        (
            'promptir',
            'promptir/promptir_paired.py',
            {
                **twins.restormer_shapes(8, (1, 1, 1, 1), 1, (1, 1, 1, 2), prompts=(2, (4, 4, 8), (4, 2, 1))),
                **twins.promptir_unused(8),
            },
            dict(
                width=8,
                blocks=(1, 1, 1, 1),
                refinement=1,
                heads=(1, 1, 1, 2),
                prompts=2,
                prompt_widths=(4, 4, 8),
                prompt_sizes=(4, 2, 1),
            ),
            twins.restormer,
            lambda state: {'state_dict': {f'net.{key}': value for key, value in state.items()}},
        ),
        (
            'prenet',
            'prenet/prenet_rain100h.py',
            twins.prenet_shapes(),
            {},
            lambda state, x: twins.prenet(state, x)[-1],
            dict,
        ),
        (
            'gunet',
            'gunet/gunet_its.py',
            twins.gunet_shapes(),
            {},
            twins.gunet,
            lambda state: {'state_dict': {f'module.{key}': value for key, value in state.items()}},
        ),
    ],
)
def test_a_converted_file_restores_as_the_public_network(kind, base, shapes, given, twin, wrap, tmp_path):
    state = twins.drawn(shapes)
    torch.save(wrap(state), tmp_path / 'public.pth')
    cfg = config(tmp_path / 'c.py', base, **given)
    out = tmp_path / 'out.safetensors'
    main([kind, str(out), '--weights', f'generator={tmp_path / "public.pth"}', '--config', cfg])
    assert load_file(out)['meta']['converted_from']['generator']['kind'] == kind
    restorer = load_model(str(out))
    # no window of statistics on a picture within it; gUNet works on [-1, 1]
    x = torch.rand(1, 3, 48, 40, generator=torch.Generator().manual_seed(1))
    low, high = restorer.needs.value_range
    with torch.no_grad():
        expected = (twin(state, x * (high - low) + low) - low) / (high - low)
    torch.testing.assert_close(restorer.restore(x)['pred'], expected.clamp(0, 1), atol=3e-5, rtol=1e-4)


def test_nafnets_file_is_converted(tmp_path):
    architecture = pytest.importorskip('spandrel.architectures.NAFNet')
    twin = architecture.NAFNet(width=4, enc_blk_nums=[1, 1, 1, 2], middle_blk_num=1, dec_blk_nums=[1, 1, 1, 1]).eval()
    state = twins.drawn({name: tuple(value.shape) for name, value in twin.state_dict().items()})
    twin.load_state_dict(state)
    torch.save({'params': state}, tmp_path / 'public.pth')
    cfg = config(tmp_path / 'c.py', 'nafnet/nafnet_gopro.py', width=4, before=(1, 1, 1, 2))
    out = tmp_path / 'out.pth'
    main(['nafnet', str(out), '--weights', f'generator={tmp_path / "public.pth"}', '--config', cfg])
    x = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))  # multiples of 16: no padding
    with torch.no_grad():
        expected = twin(x).clamp(0, 1)
    torch.testing.assert_close(load_model(str(out)).restore(x)['pred'], expected, atol=3e-5, rtol=1e-4)


@pytest.fixture(scope='module')
def prenet():
    return Network(dict(type='PReNet', width=4), PICTURE), twins.drawn(twins.prenet_shapes(4))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('conv0.0.bias'), 'it lacks backbone.enter.bias of the config, and 0 more'),
        (lambda s: s.update(extra=torch.zeros(1)), 'its extra is not in the network of the config'),
        (lambda s: s.update({'res_conv6.0.bias': torch.zeros(4)}), 'its res_conv6.0.bias is not in the network'),
        (lambda s: s.update({'conv.0.bias': torch.zeros(4)}), 'its conv.0.bias is .4,., backbone.leave.bias .* .3,.'),
        (lambda s: s.pop('conv_g.0.bias'), 'it lacks conv_g.0.bias; is it a PReNet without LSTM'),
        (lambda s: s.update({'conv_i.0.weight': torch.zeros(4, 4, 3, 3)}), 'the shapes of its conv_i, .* differ'),
    ],
)
def test_another_network_is_refused_in_one_line(change, message, prenet):
    network, state = prenet
    state = dict(state)
    change(state)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert_by_rules(state, network, 'prenet')
    assert '\n' not in str(caught.value)


def test_a_last_layer_without_bias_gets_zeros():
    head = dict(type='PictureHead', residual=True, activation=False)
    given = dict(width=8, blocks=(1, 1, 1, 1), refinement=1, heads=(1, 1, 1, 1))
    network = Network(dict(type='Restormer', **given), head)
    state = twins.drawn(twins.restormer_shapes(8, (1, 1, 1, 1), 1, (1, 1, 1, 1)))
    assert (convert_by_rules(state, network, 'restormer')['head.conv.bias'] == 0).all()

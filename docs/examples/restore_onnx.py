"""Restore a picture with a file of `restorebox export --to onnx`: python restore_onnx.py weather.onnx in.png out.png"""

import argparse
import json
from collections.abc import Iterator

import numpy as np
import onnxruntime
from PIL import Image
from scene_statistics import scene_statistics  # beside this file

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('files', nargs=3, metavar=('MODEL', 'INPUT', 'OUTPUT'))
parser.add_argument('--core', type=int, default=512, help='pixels of a tile without its margins')
parser.add_argument('--batch', type=int, default=1, help='tiles in one pass')
parser.add_argument('--provider', default='CPU', help='CPU, CUDA, OpenVINO, CoreML or Dml (DirectML)')
args = parser.parse_args()
options = onnxruntime.SessionOptions()
options.log_severity_level = 3  # errors: it warns of the optional input, which looks like a constant
options.add_session_config_entry('session.record_ep_graph_assignment_info', '1')  # since onnxruntime 1.24
providers = dict.fromkeys([f'{args.provider}ExecutionProvider', 'CPUExecutionProvider'])
session = onnxruntime.InferenceSession(args.files[0], options, providers=[*providers])
nodes = [part.ep_name for part in session.get_provider_graph_assignment_info() for _ in part.get_nodes()]
print({name: nodes.count(name) for name in set(nodes)})  # without a driver the CPU takes over, which is no error
facts = json.loads(session.get_modelmeta().custom_metadata_map['restorebox'])
stride, field = facts['stride'], facts['receptive_field'] or 129
picture = np.asarray(Image.open(args.files[1]).convert('RGB'), np.float32).transpose(2, 0, 1) / 255
height, width = picture.shape[1:]
scene = scene_statistics(picture) if facts['global_statistics'] else None
sides = [-(-max(n, facts['min_size']) // stride) * stride for n in (height, width)]  # multiples of the stride
picture = np.pad(picture, [(0, 0), (0, sides[0] - height), (0, sides[1] - width)], 'reflect')  # bottom and right
margin, core = (-(-n // stride) * stride for n in (field // 2 + 64, args.core))  # 64 for layers below the statistics
tile = [min(n, core + 2 * margin) for n in sides]  # all of one size, moved inwards at the picture's borders
cores = [(y, x) for y in range(0, sides[0], core) for x in range(0, sides[1], core)]
starts = [[max(0, min(at - margin, n - t)) for at, n, t in zip(c, sides, tile, strict=True)] for c in cores]


def results(name: str, **means: np.ndarray) -> Iterator[tuple]:
    """Yield of each tile where its core and it start, and what the network gives."""
    for i in range(0, len(cores), args.batch):
        tiles = np.stack([picture[:, y : y + tile[0], x : x + tile[1]] for y, x in starts[i : i + args.batch]])
        inputs = {'picture': tiles, **({} if scene is None else {'scene': scene.repeat(len(tiles), 0)}), **means}
        yield from zip(cores[i:], starts[i:], session.run([name], inputs)[0], strict=False)


means = {}
for tap in facts.get('feature_means', ()):  # over the whole picture, by a first pass over its tiles
    total = 0.0
    for (y, x), (top, left), made in results(f'features_{tap}'):
        scale = tile[1] // made.shape[2]
        own = [slice((at - start) // scale, (at - start + core) // scale) for at, start in ((y, top), (x, left))]
        total += made[:, *own].sum((1, 2))
    means[tap] = (total * scale**2 / (sides[0] * sides[1])).astype(np.float32).reshape(1, -1, 1, 1)
restored = np.empty_like(picture)
for (y, x), (top, left), made in results('restored', **means):
    restored[:, y : y + core, x : x + core] = made[:, y - top : y - top + core, x - left : x - left + core]
Image.fromarray(np.rint(restored[:, :height, :width] * 255).astype(np.uint8).transpose(1, 2, 0)).save(args.files[2])

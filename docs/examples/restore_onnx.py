"""Restore a picture with a file of `restorebox export --to onnx`: python restore_onnx.py weather.onnx in.png out.png"""

import argparse
import collections
import json

import numpy as np
import onnxruntime
from PIL import Image

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('files', nargs=3, metavar=('MODEL', 'INPUT', 'OUTPUT'))
parser.add_argument('--core', type=int, default=512, help='pixels of a tile without its margins')
parser.add_argument('--batch', type=int, default=1, help='tiles in one pass')
parser.add_argument('--provider', default='CPU', help='CPU, CUDA, OpenVINO, CoreML or Dml (DirectML)')
args = parser.parse_args()
model, source, target = args.files

options = onnxruntime.SessionOptions()
options.add_session_config_entry('session.record_ep_graph_assignment_info', '1')  # since onnxruntime 1.24
options.add_session_config_entry('session.intra_op.allow_spinning', '0')
providers = dict.fromkeys([f'{args.provider}ExecutionProvider', 'CPUExecutionProvider'])
session = onnxruntime.InferenceSession(model, options, providers=list(providers))
parts = session.get_provider_graph_assignment_info()  # a missing driver is no error: the CPU takes over
print('nodes:', dict(collections.Counter(part.ep_name for part in parts for _ in part.get_nodes())))
facts = json.loads(session.get_modelmeta().custom_metadata_map['restorebox'])
stride, field = facts['stride'], facts['receptive_field'] or 129

picture = np.asarray(Image.open(source).convert('RGB'), np.float32).transpose(2, 0, 1) / 255
height, width = picture.shape[1:]
sides = [-(-max(n, facts['min_size']) // stride) * stride for n in (height, width)]  # multiples of the stride
picture = np.pad(picture, [(0, 0), (0, sides[0] - height), (0, sides[1] - width)], 'reflect')  # bottom and right
margin = -(-(field // 2) // stride) * stride  # what a pixel depends on, and its window of statistics
core = -(-max(args.core, margin) // stride) * stride
tile = [min(n, core + 2 * margin) for n in sides]  # all of one size, moved inwards at the picture's borders
cores = [(y, x) for y in range(0, sides[0], core) for x in range(0, sides[1], core)]
starts = [[max(0, min(at - margin, n - t)) for at, n, t in zip(c, sides, tile, strict=True)] for c in cores]
restored = np.empty_like(picture)
for i in range(0, len(cores), args.batch):
    tiles = np.stack([picture[:, y : y + tile[0], x : x + tile[1]] for y, x in starts[i : i + args.batch]])
    made = session.run(None, {'picture': tiles})[0]
    for (y, x), (top, left), each in zip(cores[i:], starts[i:], made, strict=False):
        restored[:, y : y + core, x : x + core] = each[:, y - top : y - top + core, x - left : x - left + core]
Image.fromarray(np.rint(restored[:, :height, :width] * 255).astype(np.uint8).transpose(1, 2, 0)).save(target)

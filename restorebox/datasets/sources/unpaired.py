"""Unpaired data sets in the layout of CycleGAN, drawn from a paired data set."""

from __future__ import annotations

from collections import defaultdict

from restorebox.datasets.sources.base import Scene, Selection, Source, normalise_key
from restorebox.datasets.sources.files import File
from restorebox.datasets.subsets import draw, rank

CCLGAN = 'Zhao et al., "Cycle contrastive adversarial learning for unsupervised image deraining", 2024'
AB_LAYOUT = (
    '{trainA,trainB,testA,testB}: A rainy, B clean. trainB contains each clean picture once, of backgrounds that are '
    'not in trainA; testA and testB are partners of the same name, for evaluation only'
)


def select_ab(source: Source, scenes: list[Scene], seed: int) -> Selection:
    """Draw trainA and trainB from the training pairs, testA and testB from the test pairs.

    Backgrounds are sorted by :func:`~restorebox.datasets.sources.base.rank`. The first half is used for trainA, the
    second for trainB. If the first half has too few rainy pictures, all backgrounds are used for both.
    """
    train = [scene for scene in scenes if scene.split == 'train']
    groups = defaultdict(list)
    for scene in train:
        groups[_view(scene)].append(scene)
    ordered = sorted(groups, key=lambda group: rank(seed, group))
    half = (len(ordered) + 1) // 2
    rainy = [scene for group in ordered[:half] for scene in groups[group]]
    others = [scene for group in ordered[half:] for scene in groups[group]]
    if len(rainy) < source.kept['trainA'] or not others:
        rainy = others = train
    rainy = _draw_scenes(rainy, source.kept['trainA'], seed)
    clean = _draw_clean(others, {_view(scene) for scene in rainy}, source.kept['trainB'], seed)
    test = _draw_scenes([scene for scene in scenes if scene.split == 'test'], source.kept['testA'], seed)
    selected = [Scene('trainA', s.name, {'trainA': s.files['train/lq']}, s.background) for s in rainy]
    selected += [Scene('trainB', name, {'trainB': file}) for name, file in clean]
    selected += [Scene('testA', s.name, {'testA': s.files['test/lq'], 'testB': s.files['test/gt']}) for s in test]
    return Selection(selected)


def _view(scene: Scene) -> str:
    """Return the view of a scene: the video of 'video_x_y', or all of 'city_sequence_frame'."""
    first = scene.background.split('_')[0]
    return normalise_key(first) if first.isdigit() else scene.background


def _draw_scenes(scenes: list[Scene], count: int, seed: int) -> list[Scene]:
    by_name = {scene.name: scene for scene in scenes}
    return [by_name[name] for name in draw(by_name, count, seed)]


def _draw_clean(scenes: list[Scene], excluded: set[str], count: int, seed: int) -> list[tuple[str, File]]:
    """Draw distinct clean pictures (name, file), of views that are not excluded; of all views if none remains."""
    clean: dict[str, tuple[Scene, File]] = {}
    for scene in scenes:
        file = scene.release_file('train/gt')
        clean[file.stem] = (scene, file)
    names = draw([name for name, (scene, _) in clean.items() if _view(scene) not in excluded], count, seed)
    if not names:
        names = draw(clean, count, seed)
    return [(name, clean[name][1]) for name in names]

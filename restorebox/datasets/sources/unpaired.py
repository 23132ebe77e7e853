"""Unpaired sets in CycleGAN's layout, drawn from a paired one."""

from __future__ import annotations

from collections import defaultdict

from restorebox.datasets.sources.base import Choice, Scene, Source, draw, plain, rank
from restorebox.datasets.sources.files import File

CCLGAN = 'Zhao et al., "Cycle contrastive adversarial learning for unsupervised image deraining", 2024'
AB_LAYOUT = (
    '{trainA,trainB,testA,testB}: A rainy, B clean. trainB holds each clean picture once, of backgrounds that are not '
    'in trainA; testA and testB are partners of the same name, for scoring only'
)


def choose_ab(source: Source, scenes: list[Scene], seed: int) -> Choice:
    """Draw trainA and trainB from the training pairs, testA and testB from the test pairs.

    Backgrounds are put in order by :func:`~restorebox.datasets.sources.base.rank`. The first half is trainA's, the
    other trainB's; where the first half has too few rainy pictures, all backgrounds serve both sides.
    """
    train = [scene for scene in scenes if scene.split == 'train']
    groups = defaultdict(list)
    for scene in train:
        groups[_place(scene)].append(scene)
    ordered = sorted(groups, key=lambda group: rank(seed, group))
    half = (len(ordered) + 1) // 2
    rainy = [scene for group in ordered[:half] for scene in groups[group]]
    others = [scene for group in ordered[half:] for scene in groups[group]]
    if len(rainy) < source.kept['trainA'] or not others:
        rainy = others = train
    rainy = _drawn(rainy, source.kept['trainA'], seed)
    clean = _clean_once(others, {_place(scene) for scene in rainy}, source.kept['trainB'], seed)
    tested = _drawn([scene for scene in scenes if scene.split == 'test'], source.kept['testA'], seed)
    chosen = [Scene('trainA', s.name, {'trainA': s.files['train/lq']}, s.background) for s in rainy]
    chosen += [Scene('trainB', name, {'trainB': file}) for name, file in clean]
    chosen += [Scene('testA', s.name, {'testA': s.files['test/lq'], 'testB': s.files['test/gt']}) for s in tested]
    return Choice(chosen)


def _place(scene: Scene) -> str:
    """What two scenes of one view share: of 'video_x_y' the video, of 'city_sequence_frame' all of it."""
    first = scene.background.split('_')[0]
    return plain(first) if first.isdigit() else scene.background


def _drawn(scenes: list[Scene], count: int, seed: int) -> list[Scene]:
    by_name = {scene.name: scene for scene in scenes}
    return [by_name[name] for name in draw(by_name, count, seed)]


def _clean_once(scenes: list[Scene], taken: set[str], count: int, seed: int) -> list[tuple[str, File]]:
    """Distinct clean pictures with their names, of backgrounds outside ``taken`` unless there are none."""
    clean = {scene.files['train/gt'].stem: scene for scene in scenes}
    free = [name for name, scene in clean.items() if _place(scene) not in taken]
    names = draw(free, count, seed)
    if not names:
        names = draw(clean, count, seed)
    return [(name, clean[name].files['train/gt']) for name in names]

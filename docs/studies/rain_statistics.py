"""Compare statistics of synthetic rain streaks with those of published pairs, on the same clean pictures.

The layer is S = clip(I - J, 0, 1), averaged over the channels, with the rainy picture I and the clean picture J. If J
is bright, less of the rain is visible. Our rain is therefore added to the same clean pictures, several times each, and
measured in the same way:

- mean: mean of S, which depends on density, size and brightness;
- p99: 99th percentile of S, the brightness of single streaks;
- spread: standard deviation of the local direction in degrees, weighted by the local contrast (structure tensor); short
  or crossing streaks and a textured background increase it;
- slope: slope of the local mean of I against that of J (Gaussian window of 12 pixels): 1 if rain is added to the scene,
  1 - c if it covers the scene by c on average, as a layer blended by 'screen' does.

Our recipe covers a published set if our smallest value is not above theirs and our largest not below. It is not too
broad if its interquartile range is at most twice theirs. Run it from the root of the repository:

    python docs/studies/rain_statistics.py DATA

DATA is a folder with rain_pairs_sirr, rain_pairs_ddn and rain_pairs_mfdnet3 (rain/ and clean/ in each) and
rain_pairs_didmdn (light/, medium/ and heavy/ with both side by side). It writes docs/results/rain_statistics.json and
docs/images/rain_statistics.png, without any picture of DATA.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from restorebox.cli.common import guarded
from restorebox.datasets.reading import read_picture
from restorebox.degradations import build_degradation
from restorebox.pixels import to_float

DOCS = Path(__file__).resolve().parents[1]
STATISTICS = ('mean', 'p99', 'spread', 'slope')
DENSE = 0.06  # a pair that no folder calls light or heavy is heavy from this mean of S on (pixels darker than DARK)
DARK = 0.6
DARKENED = 0.01  # the rain of a pair does not darken; where it does on average by more, something else was done
CONFUSED = 30.0  # degrees: the layer is no streaks
RENDERERS = {
    'light': ('light_rain', 'rain100l'),
    'heavy': ('heavy_rain', 'outdoor_rain', 'rain100h'),
    'screened': ('screen_rain', 'did_rain'),
}
SCREENED = ('rain_pairs_didmdn', 'rain_pairs_ddn')  # in whose pairs rain is blended by 'screen'
UNITS = {'spread': ' (degrees)', 'slope': ' of I on J'}
WINDOW = 12.0  # pixels, of local means
# Judged recipes and statistics: streaks that are added have slope 1. The other recipes are for comparison, most of them
# like sets that DATA lacks.
JUDGED = {'light_rain': STATISTICS[:3], 'heavy_rain': STATISTICS[:3], 'screen_rain': STATISTICS}


def layer(rainy: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Return S = clip(I - J, 0, 1), averaged over the channels: HW float32."""
    return np.clip(rainy - clear, 0, 1).mean(axis=2)


def statistics(rainy: np.ndarray, clear: np.ndarray) -> dict[str, float]:
    """Return the statistics of a pair, HWC float32."""
    streaks = layer(rainy, clear)
    soft = cv2.GaussianBlur(streaks, (0, 0), 1.0)
    dx, dy = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    # Local directions with doubled angles, so that opposite gradients of the two sides of a streak are one direction.
    real, imaginary = (cv2.GaussianBlur(part, (0, 0), 3.0) for part in (dx * dx - dy * dy, 2 * dx * dy))
    weight = float(np.hypot(real, imaginary).sum())
    order = float(np.hypot(real.sum(), imaginary.sum())) / weight if weight > 0 else 1.0
    spread = 0.5 * np.degrees(np.sqrt(-2 * np.log(min(max(order, 1e-9), 1.0))))
    seen, scene = (cv2.GaussianBlur(each.mean(axis=2), (0, 0), WINDOW) for each in (rainy, clear))
    variance = float(scene.var())
    slope = float(((seen - seen.mean()) * (scene - scene.mean())).mean()) / variance if variance > 0 else 1.0
    p99 = float(np.percentile(streaks, 99))
    return {'mean': float(streaks.mean()), 'p99': p99, 'spread': float(spread), 'slope': slope}


def pairs(data: Path) -> list[tuple[str, str | None, np.ndarray, np.ndarray]]:
    """Yield name, 'light' or 'heavy' if the folder gives it, rainy and clean picture (HWC float32) of all pairs."""
    found = []
    for folder in ('rain_pairs_sirr', 'rain_pairs_ddn', 'rain_pairs_mfdnet3'):
        for path in sorted((data / folder / 'rain').glob('*.*')):
            clear = next((data / folder / 'clean').glob(f'{path.stem}.*'))
            found.append((f'{folder}/{path.stem}', None, to_float(read_picture(path)), to_float(read_picture(clear))))
    for density in ('light', 'medium', 'heavy'):
        for path in sorted((data / 'rain_pairs_didmdn' / density).glob('*.*')):
            both = to_float(read_picture(path))
            half = both.shape[1] // 2
            group = 'light' if density == 'light' else 'heavy'
            found.append((f'rain_pairs_didmdn/{density}/{path.stem}', group, both[:, :half], both[:, half:]))
    return found


def measure_pairs(data: Path) -> tuple[dict[str, list[dict]], dict[str, str], dict[str, list[np.ndarray]]]:
    """Return statistics of the pairs by group, excluded pairs with the reason, and clean pictures by group."""
    left_out, measured, clears = {}, {group: [] for group in RENDERERS}, {group: [] for group in RENDERERS}
    for name, group, rainy, clear in pairs(data):
        streaks = layer(rainy, clear)
        values = statistics(rainy, clear)
        darkened = float(np.clip(clear - rainy, 0, 1).mean())
        if darkened > DARKENED:
            left_out[name] = f'darkened by {darkened:.3f} on average'
        elif values['spread'] > CONFUSED:
            left_out[name] = f'a veil rather than streaks: directions spread by {values["spread"]:.0f} degrees'
        else:
            if group is None:
                group = 'heavy' if streaks[clear.max(axis=2) < DARK].mean() >= DENSE else 'light'
            for each in (group, *(('screened',) if name.startswith(SCREENED) else ())):
                measured[each].append({'name': name, **values})
                clears[each].append(clear)
    return measured, left_out, clears


def without_veil(recipe: str, clear: np.ndarray, seed: int) -> np.ndarray:
    """Return a clean picture with our rain; for heavy rain only with the streaks."""
    degradation = build_degradation(recipe)
    rng = np.random.default_rng(seed)
    if recipe in ('heavy_rain', 'outdoor_rain'):
        parameters = {**degradation.sample(rng, clear.shape), 'beta': 0.0, 'softness': 0.0}
        return degradation.apply(clear, parameters)['lq']
    return degradation(clear, rng)['lq']


def measure_ours(recipe: str, clears: list[np.ndarray], draws: int, seed: int) -> list[dict]:
    """Return statistics of a recipe on clean pictures, with ``draws`` renders of each; ``seed`` is the first seed."""
    return [
        statistics(without_veil(recipe, clear, seed=seed + 1000 * number + draw), clear)
        for number, clear in enumerate(clears)
        for draw in range(draws)
    ]


def five_numbers(values: list[float]) -> dict[str, float]:
    """Return minimum, quartiles and maximum."""
    named = zip(('min', 'q1', 'median', 'q3', 'max'), np.percentile(values, (0, 25, 50, 75, 100)), strict=True)
    return {name: round(float(value), 4) for name, value in named}


def compare(theirs: list[dict], ours: list[dict]) -> dict[str, dict]:
    """Return per statistic: five numbers of both, whether ours covers theirs, and the ratio of interquartile ranges."""
    result = {}
    for name in STATISTICS:
        a, b = five_numbers([v[name] for v in theirs]), five_numbers([v[name] for v in ours])
        ratio = (b['q3'] - b['q1']) / (a['q3'] - a['q1'])
        covers = b['min'] <= a['min'] and b['max'] >= a['max']
        result[name] = {'pairs': a, 'ours': b, 'covers': covers, 'iqr_ratio': round(ratio, 3)}
    return result


def study(
    data: Path, draws: int, renderers: dict[str, tuple[str, ...]] = RENDERERS, seed: int = 0
) -> tuple[dict, dict]:
    """Run all comparisons; return the content of the JSON and the values for the plot."""
    measured, left_out, clears = measure_pairs(data)
    raw = {(group, 'pairs'): values for group, values in measured.items()}
    figures: dict = {'draws_per_picture': draws, 'first_seed': seed, 'left_out': left_out, 'groups': {}}
    for group, recipes in renderers.items():
        figures['groups'][group] = {'pairs': len(measured[group]), 'recipes': {}}
        for recipe in recipes:
            raw[group, recipe] = measure_ours(recipe, clears[group], draws, seed)
            figures['groups'][group]['recipes'][recipe] = {
                'judged': recipe in JUDGED,
                **compare(measured[group], raw[group, recipe]),
            }
    return figures, raw


def draw(raw: dict, path: Path) -> None:
    """Draw boxes of quartiles with whiskers to the extremes, one panel per group and statistic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.6), layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(RENDERERS), len(STATISTICS))
    for row, (group, recipes) in zip(panels, RENDERERS.items(), strict=True):
        names = ('pairs', *recipes)
        for axes, statistic in zip(row, STATISTICS, strict=True):
            values = [[each[statistic] for each in raw[group, name]] for name in names]
            axes.boxplot(values, whis=(0, 100), widths=0.6, medianprops={'color': 'tab:red'})
            axes.plot(np.ones(len(values[0])), values[0], '.', color='tab:blue', alpha=0.6)
            axes.set_xticks(range(1, len(names) + 1), names, fontsize=8)
            axes.set_title(f'{group}: {statistic}' + UNITS.get(statistic, ' of S'), fontsize=10)
            axes.grid(axis='y', alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('data', type=Path, help='folder with the rain_pairs_* folders')
    parser.add_argument('--draws', type=int, default=30, help='of ours per clear picture (default: 30)')
    parser.add_argument('--seed', type=int, default=0, help='of the first draw (default: 0)')
    parser.add_argument('--out', type=Path, default=DOCS, help='folder with images/ and results/ (default: docs)')
    options = parser.parse_args()
    cv2.setNumThreads(1)
    figures, raw = study(options.data, options.draws, seed=options.seed)
    for group, found in figures['groups'].items():
        print(f'{group}: {found["pairs"]} pairs')
        for recipe, compared in found['recipes'].items():
            for name in STATISTICS:
                c = compared[name]
                numbers = ' | '.join(' '.join(f'{v:7.3f}' for v in c[side].values()) for side in ('pairs', 'ours'))
                print(f'  {recipe:11} {name:6} {numbers}  covers {c["covers"]!s:5}  IQR x {c["iqr_ratio"]:.2f}')
    print('left out:', figures['left_out'])
    for folder in ('images', 'results'):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    (options.out / 'results' / 'rain_statistics.json').write_text(json.dumps(figures, indent=1) + '\n')
    draw(raw, options.out / 'images' / 'rain_statistics.png')


if __name__ == '__main__':
    guarded(main)

"""Checks of data sets: faults that are found, and correct sets without findings."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from restorebox.datasets.inspection import check, clean, duplicates, from_config, from_folder, pairs, save_findings
from restorebox.datasets.inspection import quick_check as quick
from restorebox.datasets.inspection.luminance import luminance
from restorebox.datasets.reading import read_picture
from restorebox.errors import DataError
from tests.factories import write_pairs


def texture(seed, size=(160, 200)):
    """Return HWC uint8 with detail of all scales that depends on the seed."""
    rng = np.random.default_rng(seed)
    plane = np.zeros(size, np.float32)
    for cells in (3, 6, 12, 25, 50, 100):
        coarse = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        plane += cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC) / cells**0.5
    plane = (plane - plane.mean()) / plane.std()
    return np.clip(np.stack([plane * 40 + 120, plane * 35 + 110, plane * 30 + 100], -1), 0, 255).astype(np.uint8)


def write(folder, pictures):
    for name, picture in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return folder


def kinds(report):
    return sorted((each.kind, each.severity) for each in report.findings)


# -- pairs


def test_degraded_pictures_match_their_partner_and_other_pictures_do_not():
    gt = luminance(texture(0))
    rng = np.random.default_rng(0)
    hazy = 0.2 * gt + 190
    noisy = gt + rng.normal(0, 60, gt.shape).astype(np.float32)
    blurred = cv2.GaussianBlur(gt, (0, 0), 3)
    for lq in (gt, hazy, noisy, blurred, np.clip(2 * gt, 0, 255)):
        result = pairs.compare(lq, gt)
        assert result.correlation > 0.6
        assert not result.is_shifted
    others = [pairs.compare(luminance(texture(seed)), gt).correlation for seed in range(1, 40)]
    assert max(others) < pairs.OTHER_SCENE


@pytest.mark.parametrize(('down', 'right'), [(0, 2), (3, 0), (-2, 5), (9, -9)])
def test_a_shift_is_measured(down, right):
    wide = luminance(texture(1, (260, 300)))
    gt, lq = wide[20:-20, 20:-20], wide[20 - down : -20 - down, 20 - right : -20 - right]
    noisy = lq + np.random.default_rng(0).normal(0, 20, lq.shape).astype(np.float32)
    result = pairs.compare(noisy, gt)
    assert result.is_shifted
    assert result.shift == pytest.approx((down, right), abs=0.3)


def test_flat_and_tiny_pictures_are_not_compared():
    flat = np.full((100, 100), 80, np.float32)
    assert pairs.compare(flat, luminance(texture(0))).correlation is None
    assert pairs.compare(luminance(texture(0))[:10, :10], luminance(texture(0))[:10, :10]).correlation is None
    assert duplicates.fingerprint(flat) is None
    assert clean.measure(flat[:20, :20]) is None


def test_published_pairs_have_no_findings(shared):
    """All available published pairs except those with camera noise."""
    data = shared / 'data'
    folders = [('rain_pairs_sirr', 'rain', 'clean'), ('rain_pairs_ddn', 'rain', 'clean')]
    folders += [('rain_pairs_mfdnet3', 'rain', 'clean'), ('haze_pairs_real_indoor', 'hazy', 'clean')]
    folders += [('render_heavy_veil', 'lq', 'gt'), ('render_hybrid_moderate', 'lq', 'gt')]
    loaders = {
        name: dict(type='PairedPictures', data_root=str(data / name), split='', lq=lq, gt=gt)
        for name, lq, gt in folders
    }
    its = dict(lq='hazy', gt='clean', pairing='template', template=dict(lq='{name}_*_*', gt='{name}'))
    loaders['its'] = dict(type='PairedPictures', data_root=str(data / 'haze_pairs_its'), split='', **its)
    for split in ('light', 'medium', 'heavy'):
        root = str(data / 'rain_pairs_didmdn')
        loaders[split] = dict(type='PairedPictures', data_root=root, split=split, pairing='side_by_side')
    subject = from_config({'train_dataloader': {'dataset': {'type': 'ConcatPictures', 'datasets': loaders}}}, 'real')
    report = check(subject)
    assert sum(report.pairs.values()) == 79
    assert set(report.pairs) == {f'train.{name}' for name in loaders}
    assert report.findings == []


def test_crops_of_one_scene_are_not_duplicates(shared, tmp_path):
    for k, path in enumerate(sorted((shared / 'data' / 'noise_pairs_polyu').glob('*comproom*_mean.JPG'))):
        for split in ('train', 'test'):
            (tmp_path / split / 'gt').mkdir(parents=True, exist_ok=True)
        (tmp_path / ('test' if k % 2 else 'train') / 'gt' / path.name).symlink_to(path)
    planes = [luminance(read_picture(path)) for path in sorted(tmp_path.rglob('*.JPG'))]
    assert len(planes) > 4
    for i, a in enumerate(planes):
        for b in planes[i + 1 :]:
            assert duplicates.similarity(a, b) < duplicates.MIN_SIMILARITY
    assert check(from_folder(tmp_path)).findings == []


# -- near-duplicates


@pytest.mark.parametrize('how', ['jpeg', 'resized', 'cropped', 'squeezed'])
def test_a_near_duplicate_is_found_in_either_order_of_the_sets(how, tmp_path):
    picture = texture(5)
    image = Image.fromarray(picture)
    if how == 'jpeg':
        image.save(tmp_path / 'x.jpg', quality=25)
        image = Image.open(tmp_path / 'x.jpg')
    elif how == 'resized':
        image = image.resize((90, 72))
    elif how == 'cropped':
        image = image.crop((8, 3, 195, 154))
    else:
        image = image.resize((230, 160)).crop((5, 5, 230, 160))
    copy, others = np.asarray(image), [texture(seed) for seed in range(20, 40)]
    first, _ = duplicates.stack_fingerprints([duplicates.fingerprint(luminance(p)) for p in [*others, picture]])
    second, _ = duplicates.stack_fingerprints([duplicates.fingerprint(luminance(p)) for p in [copy, *others[:3]]])
    assert {(m.first, m.second) for m in duplicates.candidates(first, second)} >= {(20, 0), (0, 1), (1, 2), (2, 3)}
    assert {(m.second, m.first) for m in duplicates.candidates(second, first)} >= {(20, 0), (0, 1)}
    assert duplicates.similarity(luminance(picture), luminance(copy)) > duplicates.MIN_SIMILARITY
    assert duplicates.similarity(luminance(copy), luminance(picture)) > duplicates.MIN_SIMILARITY
    assert max(duplicates.similarity(luminance(copy), luminance(other)) for other in others) < 0.5


def test_distances_do_not_depend_on_numpys_version(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2**63, (2, 50), dtype=np.uint64)
    before = duplicates._distance(a, b)
    monkeypatch.delattr(np, 'bitwise_count', raising=False)
    assert (duplicates._distance(a, b) == before).all()
    assert before[0] == bin(int(a[0]) ^ int(b[0])).count('1')


def test_nearly_flat_pictures_do_not_match_everything(tmp_path):
    """Sky: a gradient with weak noise."""
    rng = np.random.default_rng(0)
    gradient = np.linspace(100, 180, 160)[:, None, None] + np.zeros((1, 200, 3))
    for k in range(6):
        sky = np.clip(gradient + rng.normal(0, 0.8, gradient.shape) + k, 0, 255).astype(np.uint8)
        write(tmp_path, {f'{"train" if k % 2 else "test"}/gt/{k}.png': sky})
    assert check(from_folder(tmp_path)).findings == []


# -- quality of clean pictures


def test_degraded_pictures_in_a_clean_set_are_found():
    def all_measures(pictures):
        return [clean.measure(luminance(picture)) for picture in pictures]

    pictures = [texture(seed, (192, 192)) for seed in range(14)]
    assert clean.outliers(all_measures(pictures)) == []
    rng = np.random.default_rng(0)
    pictures[2] = np.clip(pictures[2] + rng.normal(0, 25, pictures[2].shape), 0, 255).astype(np.uint8)
    pictures[5] = cv2.imdecode(cv2.imencode('.jpg', pictures[5], (cv2.IMWRITE_JPEG_QUALITY, 8))[1], cv2.IMREAD_COLOR)
    found = {(i, fault) for i, fault, _ in clean.outliers(all_measures(pictures))}
    assert {(2, 'noisy'), (5, 'blocky')} <= found
    assert {i for i, _ in found} == {2, 5}
    assert clean.outliers(all_measures(pictures[:6])) == [], 'six pictures are too few for a median'


# -- complete sets


def test_a_correct_set_has_no_findings_and_is_counted(tmp_path):
    for k in range(6):
        split = 'train' if k < 4 else 'test'
        write(tmp_path, {f'{split}/{role}/{k}.png': texture(k) for role in ('lq', 'gt')})
    report = check(from_folder(tmp_path), workers=2)
    assert report.findings == []
    assert report.pairs == {'train': 4, 'test': 2}
    assert report.counts['train', 'lq'].sizes == {(200, 160): 4}
    assert '12 of 12 pictures read' in report.table()
    assert '200x160' in report.table()
    assert not save_findings(report, tmp_path / 'sheet.png')
    assert not (tmp_path / 'sheet.png').exists()


def faulty_set(folder):
    """Write nine training pairs and three test pairs with one fault of each kind."""
    for k in range(12):
        split = 'train' if k < 9 else 'test'
        write(folder, {f'{split}/{role}/{k}.png': texture(k) for role in ('lq', 'gt')})
    lq = folder / 'train' / 'lq'
    kept = (lq / '0.png').read_bytes()
    (lq / '0.png').write_bytes((lq / '1.png').read_bytes())
    (lq / '1.png').write_bytes(kept)
    (lq / '2.png').write_bytes(b'nothing')
    write(lq, {'3.png': texture(3)[:100], '4.png': texture(4)[:, ::-1], '5.png': np.roll(texture(5), 4, axis=1)})
    for role in ('lq', 'gt'):
        write(folder / 'train' / role, {'6.png': texture(9)[3:157, 4:196]})
        (folder / 'test' / role / '11.png').unlink()
        (folder / 'test' / role / '11.png').symlink_to(folder / 'train' / role / '7.png')
    (folder / 'train' / 'gt' / '8.png').unlink()


def test_each_fault_is_found_once_and_reported(tmp_path):
    faulty_set(tmp_path / 'set')
    report = check(from_folder(tmp_path / 'set'))
    assert kinds(report) == sorted(
        [
            ('pairing', 'error'),
            ('unreadable', 'error'),
            ('size', 'error'),
            *[('wrong_partner', 'error')] * 3,
            ('misaligned', 'warning'),
            *[('same_file', 'error')] * 2,
            ('near_duplicate', 'error'),
        ]
    )
    texts = {each.kind: each.text for each in report.findings}
    assert 'mirrored left to right' in ' '.join(each.text for each in report.findings)
    assert '4.0 right' in texts['misaligned']
    assert 'train/lq/2.png' in texts['unreadable']
    assert '200x100' in texts['size']
    assert 'without a partner: lq/8.png' in texts['pairing']
    swapped = [each for each in report.findings if each.kind == 'wrong_partner' and each.files[0].endswith('/0.png')]
    assert swapped[0].text.endswith('train/gt/1.png')
    stored = json.loads(report.to_json())
    assert (stored['errors'], stored['warnings']) == (9, 1)
    assert all(set(each) == {'kind', 'severity', 'split', 'files', 'text', 'value'} for each in stored['findings'])
    table = report.table()
    assert all('\n' not in each.text and each.text in table for each in report.findings)
    assert save_findings(report, tmp_path / 'sheet.png')
    assert read_picture(tmp_path / 'sheet.png').shape[0] > 1000


def test_all_pairings_of_a_config_are_checked(tmp_path):
    write(tmp_path, {f'train/lq/{k}_{i}.png': texture(k) for k in range(3) for i in range(2)})
    write(tmp_path, {f'train/gt/{k}.png': texture(k) for k in range(3)})
    write(tmp_path, {f'side/{k}.png': np.hstack([texture(k), texture(k + 1 if k == 2 else k)]) for k in range(10, 14)})
    write(tmp_path, {f'side/{k}.png': np.hstack([texture(k), texture(k if k > 2 else 99)]) for k in range(2, 4)})
    (tmp_path / 'train' / 'pairs.txt').write_text('lq/0_0.png gt/0.png\nlq/1_0.png gt/2.png\n')
    paired = dict(type='PairedPictures', data_root=str(tmp_path))
    cfg = {
        'train_dataloader': {
            'dataset': dict(paired, pairing='template', template=dict(lq='{name}_*', gt='{name}'), limit=5)
        },
        'val_dataloader': {'dataset': dict(paired, split='side', pairing='side_by_side')},
        'test_dataloader': {'dataset': dict(paired, split='train', pairing='list_file', list_file='pairs.txt')},
    }
    report = check(from_config(cfg, 'cfg'))
    assert report.pairs == {'train': 5, 'val': 6, 'test': 2}
    wrong = [each for each in report.findings if each.kind == 'wrong_partner']
    assert [(each.split, each.files[0].split('/')[-1]) for each in wrong] == [('test', '1_0.png'), ('val', '2.png')]
    assert wrong[1].parts == ((0, 2), (1, 2))
    assert report.counts['train', 'gt'].files == 3


def test_unpaired_sets_clean_folders_and_shared_sets(tmp_path):
    write(tmp_path, {f'train{side}/{k}.png': texture(k + 50 * (side == 'B')) for k in range(5) for side in 'AB'})
    write(tmp_path, {f'test{side}/{k}.png': texture(k + 30) for k in range(2) for side in 'AB'})
    report = check(from_folder(tmp_path))
    assert report.findings == []
    assert report.pairs == {'test': 2}
    assert {key: count.files for key, count in report.counts.items()} == {
        ('train', 'lq'): 5,
        ('train', 'hq'): 5,
        ('test', 'lq'): 2,
        ('test', 'gt'): 2,
    }
    one = dict(type='UnpairedPictures', data_root=str(tmp_path), split='', lq=None, hq='trainB')
    test = dict(type='PairedPictures', data_root=str(tmp_path), split='', lq=None, gt='testB')
    loaders = {'train_dataloader': one, 'val_dataloader': dict(test, test_mode=True), 'test_dataloader': test}
    report = check(from_config({name: {'dataset': dataset} for name, dataset in loaders.items()}, 'cfg'))
    assert {key: count.read for key, count in report.counts.items()} == {
        ('train', 'scene'): 3,
        ('train', 'hq'): 2,
        ('val, test', 'gt'): 2,
    }


def test_a_folder_with_unknown_layout_is_an_error(tmp_path):
    with pytest.raises(DataError, match='no such folder'):
        from_folder(tmp_path / 'absent')
    (tmp_path / 'pictures').mkdir()
    with pytest.raises(DataError, match='none of the known layouts: train/ and test/'):
        from_folder(tmp_path)
    (tmp_path / 'train' / 'gt').mkdir(parents=True)
    assert kinds(check(from_folder(tmp_path))) == [('pairing', 'error')]


def test_the_quick_check_reads_only_a_few_files_of_each_set(tmp_path):
    write_pairs(tmp_path, 'train', 60)
    write_pairs(tmp_path, 'test', 30)
    report = quick(from_folder(tmp_path))
    assert report.findings == []
    assert report.pairs == {'train': 60, 'test': 30}
    assert sum(count.read for count in report.counts.values()) == 32
    (tmp_path / 'train' / 'lq' / '00.png').write_bytes(b'')
    (tmp_path / 'train' / 'lq' / '01.png').write_bytes(b'')
    report = quick(from_folder(tmp_path))
    assert [each.files[0][-6:] for each in report.findings] == ['00.png'], 'the first is read, the second is not'


def test_unreadable_files_are_warnings_if_they_are_to_be_skipped(tmp_path):
    write_pairs(tmp_path, 'train', 3)
    (tmp_path / 'train' / 'lq' / '00.png').write_bytes(b'')
    dataset = dict(type='PairedPictures', data_root=str(tmp_path), bad_picture='skip')
    report = quick(from_config({'train_dataloader': {'dataset': dataset}}, 'cfg'))
    assert kinds(report) == [('unreadable', 'warning')]


def test_a_data_set_without_files_is_noted(tmp_path):
    dataset = dict(type=type('Numbers', (), {}))
    report = quick(from_config({'train_dataloader': {'dataset': dataset}}, 'cfg'))
    assert 'Numbers does not list picture files' in report.table()

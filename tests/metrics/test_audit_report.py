"""Text, JSON and CSV of an audit."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import restorebox
from restorebox.files import json_bytes
from restorebox.metrics.audit import Audit
from restorebox.metrics.audit_report import as_csv, as_json, claim_lines, effect_lines, note_lines, score_lines
from restorebox.metrics.published import Claim
from restorebox.metrics.variants import variants

SCHEMA = json.loads((Path(restorebox.__file__).parent / 'schemas/audit-1.json').read_text())


@pytest.fixture
def audit():
    """Made-up means: 30 dB and 0.9, 0.5 dB more on Y, 0.25 dB less when pooled."""
    protocols = variants((4,))
    mean = {
        each.name: (30.0 if each.score == 'psnr' else 0.9) + 0.5 * (each.colour != 'rgb') - 0.25 * each.pooled
        for each in protocols
    }
    row = {'name': 'a,b', **{each.name: mean[each.name] for each in protocols if not each.pooled}}
    return Audit(protocols, [row], mean)


@pytest.mark.parametrize('gt', ['gt', None])
def test_json_follows_its_schema(audit, gt):
    claims = [Claim('30.50', 'psnr', 'a paper'), Claim('.945', 'ssim')]
    if gt is None:
        audit, claims = Audit(per_picture=[{'name': 'a', 'niqe': np.nan}], mean={'niqe': np.nan}), []
    content = json.loads(json_bytes(as_json(audit, claims, 'results', gt)))
    jsonschema.validate(content, SCHEMA, format_checker=jsonschema.FormatChecker())
    if gt is None:
        assert content['protocols'] == [{'name': 'niqe', 'mean': None}]
    else:
        assert content['protocols'][0] == {
            'name': 'psnr_rgb', 'score': 'psnr', 'colour': 'rgb', 'settings': [], 'mean': 30.0,
        }  # fmt: skip
        assert 'psnr_y' in content['claims'][0]['matches']
        assert content['claims'][1]['matches'] == []


def test_csv_has_a_line_per_picture_and_the_means(audit):
    first, mean = csv.DictReader(as_csv(audit).splitlines())
    assert (first['name'], mean['name']) == ('a,b', 'mean')
    assert (first['psnr_y'], first['psnr_y+pooled'], mean['psnr_y+pooled']) == ('30.5', '', '30.25')
    audit.per_picture[0]['ssim_rgb'] = float('nan')
    assert next(csv.DictReader(as_csv(audit).splitlines()))['ssim_rgb'] == ''


def test_tables(audit):
    lines = score_lines(audit)
    assert lines[0].split() == ['PSNR', 'rgb', 'y', 'y_u8', 'y_full', 'y_full_u8']
    assert lines[1].split() == ['(usual)', '30.000', '30.500', '30.500', '30.500', '30.500']
    assert next(line for line in lines if line.startswith('crop4 pooled')).split()[2:4] == ['29.750', '30.250']
    table = {line.split('  ')[0]: line.split()[2:] for line in effect_lines(audit)}
    assert table['mean: pooled'] == ['-0.250', '-0.250']
    assert table['colour: rgb'] == ['-0.500', '-0.5000']  # from y, of both scores
    audit.protocols = []
    assert score_lines(Audit(per_picture=[{'name': 'a', 'niqe': 3.25}], mean={'niqe': 3.25}))[1].split() == [
        'a',
        '3.250',
    ]


def test_claims_in_words(audit):
    lines = claim_lines(audit, Claim('30.2', 'psnr', 'a paper'))
    assert lines[0] == '30.2 (PSNR, a paper): 12 of 30 variants give it:'
    assert lines[1].split(' = ')[1] == 'psnr_rgb 30.000, colour +0.500, mean -0.250'
    assert 'does not tell them apart: y, y_full' in lines[-1]
    lines = claim_lines(audit, Claim('29.00', 'psnr'))
    assert lines[0] == '29.00 (PSNR): none of 30 variants gives it; the nearest:'
    assert lines[1] == '  psnr_rgb+pooled 29.750 (+0.750) = psnr_rgb 30.000, mean -0.250'
    assert len(lines) == 6


def test_notes(audit):
    assert note_lines(audit) == ['1 picture scored', 'all pictures have 8 bits: rounding them makes no difference']
    audit.surplus, audit.missing, audit.identical = ['a', 'b', 'c', 'd', 'e'], ['f'], ['a,b']
    text = '\n'.join(note_lines(audit))
    assert 'no clean picture has the name: a, b, c and 2 more' in text
    assert '1 clean pictures have no result: f' in text
    assert 'counted as 100 dB: a,b' in text

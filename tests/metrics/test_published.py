"""Published numbers: reading, rounding, and the papers' tables."""

from __future__ import annotations

import json

import pytest

from restorebox.errors import ConfigError
from restorebox.files import PUBLISHED
from restorebox.metrics.published import Claim, parse_claim, published_claims


def test_claims_are_read_with_their_decimals():
    assert parse_claim('33.16/.945') == [Claim('33.16', 'psnr'), Claim('.945', 'ssim')]
    assert parse_claim('0.9') == [Claim('0.9', 'ssim')]
    claim = Claim('33.16', 'psnr')
    assert claim.value == 33.16
    assert [claim.agrees(value) for value in (33.155, 33.1649, 33.154, 33.166, float('nan'))] == [
        True, True, False, False, False,
    ]  # fmt: skip
    for bad in ('33', 'x', '33.1/', '-3.1', '1e5'):
        with pytest.raises(ConfigError, match='is no score'):
            parse_claim(bad)


def test_tables_by_column_and_by_data():
    psnr, ssim = published_claims('rain100l/promptir')[:2]
    assert (psnr.text, ssim.text) == ('36.37', '.972')
    assert 'Three tasks' in psnr.source
    assert [claim.text for claim in published_claims('DID-MDN/RESCAN')] == ['29.95', '.884']  # columns: PSNR/SSIM
    assert [claim.text for claim in published_claims('J PSNR/input')] == ['11.30']


def test_unknown_names_are_suggested():
    with pytest.raises(ConfigError, match=r"set 'Rain100'.*'Rain100L'"):
        published_claims('Rain100/PromptIR')
    with pytest.raises(ConfigError, match=r"no published table has 'Prompt' on Rain100L.*'PromptIR'"):
        published_claims('rain100l/Prompt')
    with pytest.raises(ConfigError, match='SET/METHOD'):
        published_claims('Rain100L')
    for none in ('parameters (M)/AirNet', 'halvings/denoising', 'A error/none'):  # numbers, but no scores
        with pytest.raises(ConfigError, match='no published table has the set'):
            published_claims(none)


def test_a_broken_table_is_named(tmp_path):
    (tmp_path / 'a.json').write_text('{"tables": [{"table": "1"}]}')
    with pytest.raises(ConfigError, match=r"a\.json: it is no table.*'rows'"):
        published_claims('a/b', tmp_path)
    assert len([*PUBLISHED.glob('*.json')]) >= 6
    for file in PUBLISHED.glob('*.json'):
        for table in json.loads(file.read_text())['tables']:
            assert all(len(cells) == len(table['columns']) for cells in table['rows'].values()), file

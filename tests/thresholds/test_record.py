"""A threshold is written, read back, and says what it flags."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vae_anomaly.errors import CalibrationError, DataError
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.record import score_in_words

SCORES = np.linspace(0.0, 3.0, 300)
LABELS = np.repeat([0, 1], [250, 50])


@pytest.mark.parametrize(
    "threshold",
    [
        Threshold(value=2.0),
        Threshold.from_fpr(SCORES, 0.01),
        Threshold.from_max_alarms(SCORES, 5, 100, groups=np.arange(300) % 100),
        Threshold.from_tail(SCORES, 0.0001),
        Threshold.from_fdr(SCORES, 0.1),
        Threshold.from_labels(SCORES, LABELS, "f2"),
        Threshold.from_cost(SCORES, LABELS, cost_fp=1, cost_fn=5),
        Threshold.from_capacity(SCORES, 10),
    ],
    ids=["manual", "fpr", "max_alarms", "tail", "fdr", "f2", "cost", "capacity"],
)
def test_a_threshold_comes_back_from_json_as_it_was(threshold, tmp_path):
    threshold.save(tmp_path / "threshold.json")
    assert Threshold.load(tmp_path / "threshold.json") == threshold


def test_an_item_at_the_bound_is_normal_and_above_it_is_not():
    assert Threshold(value=2.0).flag([2.0, np.nextafter(2.0, 3.0)]).tolist() == [False, True]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_never_passed_as_normal(bad):
    with pytest.raises(CalibrationError, match="not finite"):
        Threshold(value=2.0).flag([0.0, bad])


def test_the_p_value_is_the_same_bound():
    assert Threshold(value=2.0).p_value == pytest.approx(0.01)
    assert Threshold(value=-1.0).p_value == 1.0


def test_the_hash_names_the_scores_that_chose_it():
    first, same, other = (Threshold.from_fpr(s, 0.01) for s in (SCORES, SCORES, SCORES[1:]))
    assert first.data_hash == same.data_hash != other.data_hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "Cannot read"),
        ('{"policy": "fpr"}', "value"),
        ('{"value": "high"}', "value"),
        ('{"value": 2.0, "colour": "red"}', "colour"),
        ("[]", "Not a threshold"),
    ],
    ids=["no json", "no value", "wrong type", "unknown field", "no object"],
)
def test_a_file_that_is_no_threshold_is_refused(text, message, tmp_path):
    path = tmp_path / "threshold.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        Threshold.load(path)


def test_a_missing_file_is_refused_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(DataError, match="vae-anomaly threshold tune"):
        Threshold.load(tmp_path / "absent.json")


def test_the_file_is_strict_json(tmp_path):
    Threshold.from_labels(SCORES, LABELS).save(tmp_path / "t.json")
    fields = json.loads((tmp_path / "t.json").read_text(), parse_constant=pytest.fail)
    assert fields["policy"] == "f_beta"


def test_describe_says_the_bound_the_rate_and_the_normals():
    text = Threshold.from_fpr(SCORES, 0.01).describe()
    assert "flag when score > " in text
    assert "from 300 normals" in text


def test_words_grow_with_strangeness_and_mark_extrapolation():
    assert "ordinary" in score_in_words(0.1, 0.8, 400)
    assert score_in_words(1.5, 0.03, 400, "rows") == "as strange as 1 in 31 normal rows"
    assert "; about 1 in 1,000,000,000 by" in score_in_words(9.0, 1 / 401, 400)
    assert "; fewer than 1 in 1,000,000,000 by" in score_in_words(26.0, 1 / 401, 400)

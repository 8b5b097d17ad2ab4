"""A policy is declared once, in one file, and known everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vae_anomaly.errors import ConfigError
from vae_anomaly.thresholds.catalogue import POLICIES, label_policy, policy_of
from vae_anomaly.thresholds.policy import Request, ScorePolicy

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
TOY = """
from vae_anomaly.thresholds.policy import SHARE, LabelPolicy, Option, Range, ScorePolicy


def above_mean(scores, factor, *, groups=None):
    from vae_anomaly.thresholds.record import ThresholdRecord

    return ThresholdRecord(
        value=factor * scores.mean(), policy="above_mean", parameters={"factor": factor}
    )


def _share_flagged(curve, request):
    flagged = curve.tp + curve.fp
    return int((flagged <= request["share_flagged"] * flagged[-1]).nonzero()[0][-1])


POLICIES = (
    ScorePolicy(
        "above_mean",
        (Option("above_mean", Range(1), "This many times the mean score.", "factor"),),
        make=above_mean,
    ),
    LabelPolicy(
        "share_flagged",
        (Option("share_flagged", SHARE, "Flag this share; needs labels."),),
        rule=_share_flagged,
    ),
)
"""
USE = """
import sys
import numpy as np
from vae_anomaly.thresholds import policies

policies.__path__.append(sys.argv[1])

from click.testing import CliRunner
from vae_anomaly.cli import cli
from vae_anomaly.evaluation import ScoredItems, tune
from vae_anomaly.thresholds import Threshold

scores, labels = np.linspace(0.0, 4.0, 401), np.arange(401) > 390
items = ScoredItems(np.arange(401).astype(object), scores, labels)
by_mean = tune(items, {"above_mean": 1.5}, volume=100)
assert by_mean.threshold.value == Threshold.from_above_mean(scores[~labels], 1.5).value
assert by_mean.table.loc[by_mean.table["chosen"], "policy"].item() == "above_mean 1.5"
assert by_mean.threshold.alarms_per_day(100) is None or by_mean.words

by_share = tune(items, {"share_flagged": 0.1})
assert by_share.threshold.policy == "share_flagged", by_share.threshold
assert by_share.threshold.flag(scores).sum() == 40
assert by_share.threshold == Threshold.from_labels(scores, labels, "share_flagged", target=0.1)
assert "share_flagged 0.1" in by_share.table["policy"].tolist()

help_ = CliRunner().invoke(cli, ["threshold", "tune", "--help"]).output
assert "--above-mean" in help_ and "This many times the mean score." in help_
assert "--share-flagged" in help_
"""


def test_a_policy_in_a_file_of_its_own_is_known_to_tune_table_words_and_command(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_policies_that_need_least_of_the_owner_come_first():
    demands = [
        policy.of_batch if isinstance(policy, ScorePolicy) else 2 for policy in POLICIES.values()
    ]
    assert demands == sorted(demands)


def test_no_option_belongs_to_two_policies_and_each_is_documented():
    options = [option for policy in POLICIES.values() for option in policy.options]
    assert len({option.name for option in options}) == len(options)
    page = PAGE.read_text(encoding="utf-8")
    page = page[
        page.index("## vae-anomaly threshold tune") : page.index("## vae-anomaly threshold c")
    ]
    assert [option.flag for option in options if option.flag not in page] == []


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"accuracy": 1.0}, "by accuracy. Choose one of: target_fpr"),
        ({}, "by nothing"),
        ({"quantile": 0.9, "youden": 1.0}, "got 2: --quantile, --youden. Keep one"),
        ({"cost_fn": 5.0}, "--cost-fp and --cost-fn go together; got --cost-fn alone"),
        ({"quantile": 1.5}, r"--quantile must be in \(0, 1\]; got 1.5. Try 0.9"),
        ({"f_beta": 0.0}, "--f-beta must be greater than 0; got 0"),
        ({"cost_fp": -1.0, "cost_fn": 1.0}, "--cost-fp must be 0 or more; got -1"),
        ({"target_fpr": float("nan")}, "--target-fpr must be in"),
    ],
)
def test_what_no_policy_can_follow_is_refused(numbers, message):
    with pytest.raises(ConfigError, match=message):
        policy_of(Request(numbers))


@pytest.mark.parametrize(
    ("name", "target", "numbers"),
    [
        ("f2", None, {"f_beta": 2.0}),
        ("f0.5", None, {"f_beta": 0.5}),
        ("f_beta", 3.0, {"f_beta": 3.0}),
        ("youden", None, {"youden": 1.0}),
        ("min_recall", 0.9, {"min_recall": 0.9}),
    ],
)
def test_a_policy_with_labels_is_known_by_its_name(name, target, numbers):
    assert label_policy(name, target)[1] == Request(numbers)

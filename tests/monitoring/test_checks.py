"""A quiet night is quiet; what moves is named in words that a person can act on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vae_anomaly.errors import DataError
from vae_anomaly.monitoring.baseline import (
    Baseline,
    category_variable,
    number_variable,
)
from vae_anomaly.monitoring.checks import Calibration, Check, Limits, check_night
from vae_anomaly.monitoring.looks import by_measure, image_baseline, look_of
from vae_anomaly.monitoring.tally import (
    GroupCounts,
    Tally,
    VariableCounts,
    count_measures,
    counted_scores,
    p_bins,
)


@pytest.fixture
def baseline(rng) -> Baseline:
    shops = rng.choice(["fuel", "books"], 2000, p=[0.9, 0.1]).tolist()
    columns = (
        number_variable("amount", rng.gamma(2.0, 6.0, 2000)),
        category_variable("shop", shops),
    )
    return Baseline(2000, columns)


CALIBRATION = Calibration((20.0,) * 20, 4.0, 400.0)


def night(rng, baseline: Baseline, amount=1.0, fuel=0.9, n=3000, p=None, empty=0) -> Tally:
    """A night of n rows."""
    numbers = np.append(rng.gamma(2.0, 6.0, n - empty) * amount, np.full(empty, np.nan))
    shop = baseline.variables[1]
    shops = rng.choice(["fuel", "books"], n, p=[fuel, 1 - fuel]).tolist()
    p_values = rng.random(n) if p is None else p
    whole = replace(
        counted_scores(p_values, p_values <= 0.01),
        variables={
            **count_measures(baseline.variables[:1], {"amount": numbers}),
            "shop": VariableCounts(tuple(shop.counted(shops).tolist())),
        },
    )
    return Tally(whole)


def alarms(checks: list[Check]) -> list[str]:
    return [check.text for check in checks if check.level == "alarm"]


def test_a_quiet_night_has_no_alarm_and_a_corrected_p_value_for_all_that_was_asked(rng, baseline):
    checks = check_night(night(rng, baseline), baseline, CALIBRATION)
    assert alarms(checks) == []
    assert {check.family for check in checks} == {"inputs", "scores", "flags"}
    assert all(check.p_value is not None for check in checks)


def test_moved_columns_are_named_with_what_they_were(rng, baseline):
    moved = night(rng, baseline, amount=3.0, fuel=0.4)
    amount, shop = sorted(alarms(check_night(moved, baseline, CALIBRATION)))
    assert amount.startswith("column 'amount': PSI ")
    assert amount.endswith(", median 29.6, was 9.97")
    assert shop.endswith("'fuel' 89% -> 40%")


def test_a_column_that_runs_dry_is_told_by_its_empty_cells(rng, baseline):
    (text,) = alarms(check_night(night(rng, baseline, empty=1500), baseline, CALIBRATION))
    assert "empty 0% -> 50%" in text


def test_millions_of_rows_do_not_alarm_on_nothing(rng, baseline):
    """A tenth more is found by every test of so many rows, and is no reason to get up."""
    checks = check_night(night(rng, baseline, amount=1.1, n=200_000), baseline, None)
    (amount,) = [check for check in checks if check.name == "amount"]
    assert amount.level == "quiet"
    assert amount.size < 0.1


def test_anomalies_in_the_tail_alone_leave_the_scores_quiet_and_raise_the_flags(rng, baseline):
    p = np.append(rng.random(2700), np.full(300, 0.002))
    checks = check_night(night(rng, baseline, p=p), baseline, CALIBRATION)
    assert [check.family for check in checks if check.level == "alarm"] == ["flags"]
    scores = next(check for check in checks if check.family == "scores")
    assert scores.p_value == 1.0


def test_scores_that_rise_as_a_whole_are_told(rng, baseline):
    checks = check_night(night(rng, baseline, p=rng.random(3000) ** 5), baseline, CALIBRATION)
    assert any("look more unusual than held-out normals" in text for text in alarms(checks))


def test_limits_of_the_user_take_the_place_of_the_test(rng, baseline):
    p = np.append(rng.random(2700), np.full(300, 0.002))
    tally = night(rng, baseline, p=p)
    assert alarms(check_night(tally, baseline, CALIBRATION, Limits(max_flag_rate=0.2))) == []
    told = alarms(
        check_night(
            tally, baseline, CALIBRATION, Limits(max_flag_rate=0.05, max_quarantine_rate=0.01),
            quarantined=100,
        )
    )  # fmt: skip
    assert told[0].startswith("3.23% of the items are in quarantine, and 1.00% are allowed")
    assert "and 5.00% are allowed" in told[1]


def image(rng, brightness: float) -> np.ndarray:
    level = brightness + rng.normal(0, 0.02)
    return (rng.normal(level, 0.05, (64, 64)).clip(0, 1) * 255).astype(np.uint8)


def test_a_camera_that_has_become_dark_is_named(rng):
    cameras = ["cam1", "cam2"] * 60
    looks = [look_of(image(rng, 0.5)) for _ in cameras]
    baseline = image_baseline(looks, cameras)
    groups = {}
    for name, brightness in {"cam1": 0.5, "cam2": 0.3}.items():
        own = by_measure([look_of(image(rng, brightness)) for _ in range(60)])
        counts = counted_scores(rng.random(60), np.zeros(60, bool))
        groups[name] = replace(counts, variables=count_measures(baseline.variables, own))
    tally = Tally(groups["cam1"] + groups["cam2"], groups)
    told = alarms(check_night(tally, baseline, None))
    (dark,) = [text for text in told if "darker" in text and "'cam2'" in text]
    assert dark.startswith("images of 'cam2' are darker than in training: median brightness 0.")
    assert not any("'cam1'" in text for text in told)


def groups_of(rng, **shares: float) -> Tally:
    """Groups of 400 items, and the share of each that is flagged."""
    groups = {
        name: counted_scores(rng.random(400), np.arange(400) < 400 * share)
        for name, share in shares.items()
    }
    return Tally(sum(groups.values(), GroupCounts()), groups)


def test_a_group_whose_items_are_flagged_more_than_before_is_an_alarm(rng):
    past = groups_of(rng, north=0.01, south=0.2)
    now = groups_of(rng, north=0.2, south=0.2)
    told = alarms(check_night(now, None, None, past=past))
    assert told == ["20.0% of the items of 'north' are flagged, 1.0% before"]


def test_a_group_without_a_past_that_differs_from_the_others_is_told_and_no_alarm(rng):
    checks = check_night(groups_of(rng, north=0.01, south=0.01, west=0.2), None, None)
    told = [check.text for check in checks if check.level == "moved"]
    assert told == ["20.0% of the items of 'west' are flagged, 1.0% of all others"]
    assert alarms(checks) == []


def with_lost(tally: Tally, **lost: int) -> Tally:
    """The same where so many items of some groups could not be scored."""
    groups = {
        name: replace(own, quarantined=lost.get(name, 0)) for name, own in tally.groups.items()
    }
    return Tally(sum(groups.values(), GroupCounts()), groups)


def test_a_group_of_which_more_cannot_be_scored_than_before_is_an_alarm(rng):
    quiet = groups_of(rng, north=0.01, south=0.01)
    now, past = with_lost(quiet, north=40, south=40), with_lost(quiet, south=40)
    told = alarms(check_night(now, None, None, past=past))
    assert told == [
        "9.1% of the items of 'north' could not be scored, 0.0% on earlier nights",
    ]
    checks = check_night(with_lost(quiet, north=40), None, None)
    assert alarms(checks) == []
    assert [check.text for check in checks if check.level == "moved"] == [
        "9.1% of the items of 'north' could not be scored, 0.0% of all others"
    ]


def test_a_group_of_which_nothing_can_be_scored_is_an_alarm(rng):
    past = groups_of(rng, north=0.01, south=0.01)
    now = Tally(past.whole, {"north": GroupCounts(quarantined=400), "south": past.groups["south"]})
    now = Tally(sum(now.groups.values(), GroupCounts()), now.groups)
    (told,) = alarms(check_night(now, None, None, past=past))
    assert told.startswith("100.0% of the items of 'north' could not be scored")


def test_counts_of_parts_add_up_to_those_of_the_night(rng, baseline):
    parts = [night(rng, baseline, n=n) for n in (100, 250)]
    whole = Tally.total(parts).whole
    assert whole.n == 350
    assert sum(whole.p_values) == 350
    assert sum(whole.variables["amount"].counts) == 350
    assert p_bins([0.05, 0.0500001, 1.0]).tolist() == [1, 1, *[0] * 17, 1]


@pytest.mark.parametrize(
    "change",
    [{"counts": [1, 2]}, {"edges": [3.0, 1.0]}, {"missing": -1}],
    ids=["too few counts", "edges that fall", "less than none missing"],
)
def test_a_baseline_that_does_not_fit_itself_is_refused(change):
    one = Baseline(4, (number_variable("x", [1.0, 2.0, 3.0, 4.0]),)).to_dict()
    one["variables"][0] |= change
    with pytest.raises(DataError):
        Baseline.from_dict(one)

"""False alarms of the monitor on quiet nights, and how soon it finds shifts of three sizes.

    python benchmarks/monitoring.py                  all of it: about 5 minutes on one core
    python benchmarks/monitoring.py --nights 40      faster, wider intervals

**Quiet nights.** Rows of ``simulate_transactions`` without its frauds, drawn at random: 5,000 train
a model (preset ``fast``), 3,000 others are a night, counted and compared as ``score table
--group-by merchant_category`` does, but for files, after five earlier nights. Ten nights share a
model and its past. Images: plates and
cloth of ``render_surfaces``, 200 train (two cameras), 100 are a night; their scores are normal
draws, ranked among 200 held-out ones. Stated: at most one quiet night in a hundred has an alarm.
An alarm takes a corrected p-value and a size; ``tests alone`` counts nights on which any corrected
p-value is at most 0.01, whatever the size.

**Shifts.** The same with every amount multiplied, more rows of one channel, scores raised, and one
of two cameras darker. ``alarm`` is the share of nights with one, and ``delay`` how many nights pass
up to and with the first: 1 where the first night has it, at most 20.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from vae_anomaly import TabularVAEDetector
from vae_anomaly.batch.drift.night import held_out_counts
from vae_anomaly.batch.drift.tallies import Tallying
from vae_anomaly.batch.plan import ScoringModel
from vae_anomaly.batch.review.models import scoring_facts
from vae_anomaly.data.synthetic import render_surfaces, simulate_transactions
from vae_anomaly.detectors.judged import judge_rows, row_faults
from vae_anomaly.jobs.baselines import keep_table_baseline
from vae_anomaly.metrics import proportion_interval
from vae_anomaly.monitoring.baseline import Baseline
from vae_anomaly.monitoring.checks import QUIET_ALARMS, Calibration, Check, check_night
from vae_anomaly.monitoring.looks import by_measure, image_baseline, look_of
from vae_anomaly.monitoring.tally import GroupCounts, Tally, count_measures, counted_scores
from vae_anomaly.scoring.conformal import ConformalCalibration

TRAIN, NIGHT, PAST, PER_MODEL, MOST = 5_000, 3_000, 5, 10, 20
IMAGES, IMAGES_A_NIGHT, HELD_OUT = 200, 100, 200
Rows = pd.DataFrame


@dataclass(frozen=True)
class Counted:
    """What nights of one kind gave."""

    name: str
    alarms: list[bool]
    tests: list[bool]

    def line(self) -> str:
        """Return it as a line of a table."""
        n, k, t = len(self.alarms), sum(self.alarms), sum(self.tests)
        share, alone = (proportion_interval(float(one), float(n)) for one in (k, t))
        return (
            f"| {self.name} | {n} | {k} | {share.estimate:.1%} [{share.low:.1%}, {share.high:.1%}] "
            f"| {t} | {alone.estimate:.1%} [{alone.low:.1%}, {alone.high:.1%}] |"
        )


def is_loud(checks: list[Check]) -> bool:
    return any(check.level == "alarm" for check in checks)


def is_rejected(checks: list[Check]) -> bool:
    return any(check.p_value is not None and check.p_value <= QUIET_ALARMS for check in checks)


# ------------------------------------------------------------------ tables


class TableWorld:
    """Rows of one law, and a model of some of them."""

    def __init__(self, rows: Rows, rng: np.random.Generator) -> None:
        self.rows, self.rng = rows, rng
        train = self.draw(TRAIN)
        self.detector = TabularVAEDetector(preset="fast", random_state=0).fit(train)
        keep_table_baseline(self.detector, train)
        model = ScoringModel("", "0" * 64, "tabular", "m", self.detector.threshold_.value)
        self.calibration = held_out_counts(scoring_facts(model, self.detector))
        self.past = self.tally(self.draw(PAST * NIGHT))

    def draw(self, n: int) -> Rows:
        """Draw rows, as independent as they come."""
        return self.rows.iloc[self.rng.choice(len(self.rows), n, replace=False)].reset_index(
            drop=True
        )

    def checks(self, n: int, change: Callable[[Rows], Rows] = lambda rows: rows) -> list[Check]:
        """Score a night and compare it; groups have five earlier nights."""
        tally = self.tally(change(self.draw(n)))
        return check_night(tally, self.detector.baseline_, self.calibration, past=self.past)

    def tally(self, night: Rows) -> Tally:
        """Score a night as a run does, but for files."""
        n, counted = len(night), Tallying(self.detector, "merchant_category")
        for start in range(0, n, 8192):
            piece = night.iloc[start : start + 8192]
            judged = judge_rows(self.detector, piece, row_faults(self.detector, piece))
            counted.take_rows(judged, piece)
        return counted.tally


def table_worlds(seed: int) -> Iterator[TableWorld]:
    rows = simulate_transactions(120_000, 30, random_state=seed)
    rows = rows[rows.is_fraud == 0].drop(columns=["is_fraud", "fraud_pattern", "transaction_id"])
    while True:
        seed += 1
        yield TableWorld(rows, np.random.default_rng(seed))


def louder(factor: float) -> Callable[[Rows], Rows]:
    return lambda rows: rows.assign(amount=rows.amount * factor)


def online(share: float) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        moved = np.arange(len(rows)) < share * len(rows)
        return rows.assign(channel=rows.channel.where(~moved, "online"))

    return change


# ------------------------------------------------------------------ images


class ImageWorld:
    """Good surfaces of two cameras, their baseline, and scores that are normal draws."""

    def __init__(self, looks: list[dict[str, float]], rng: np.random.Generator) -> None:
        self.looks, self.rng = looks, rng
        places = rng.choice(len(looks), IMAGES, replace=False)
        names = np.array(["cam1", "cam2"])[np.arange(IMAGES) % 2].tolist()
        self.baseline: Baseline = image_baseline([looks[i] for i in places], names)
        self.held_out = ConformalCalibration.fit(rng.normal(size=HELD_OUT))
        p = self.held_out.p_value(self.held_out.reference)
        self.calibration = Calibration(
            tuple(map(float, counted_scores(p, p < 0).p_values)), 1.0, float(HELD_OUT)
        )
        self.bound = 2 / (HELD_OUT + 1)

    def checks(self, darker: float = 0.0, score: float = 0.0) -> list[Check]:
        """Draw a night and compare it."""
        groups = {}
        for name in ("cam1", "cam2"):
            n = IMAGES_A_NIGHT // 2
            looks = [self.looks[i] for i in self.rng.choice(len(self.looks), n, replace=False)]
            if name == "cam2":
                looks = [{**look, "brightness": look["brightness"] - darker} for look in looks]
            p = self.held_out.p_value(self.rng.normal(score, 1.0, n))
            counts = counted_scores(p, p <= self.bound - 1e-9)
            measures = count_measures(self.baseline.variables, by_measure(looks))
            groups[name] = replace(counts, variables=measures)
        whole = sum(groups.values(), GroupCounts())
        return check_night(Tally(whole, groups), self.baseline, self.calibration)


def image_worlds(seed: int) -> Iterator[ImageWorld]:
    looks = [
        look_of(one.pixels)
        for one in render_surfaces(1200, 0, size=64, colour_share=0.0, random_state=seed)
    ]
    while True:
        seed += 1
        yield ImageWorld(looks, np.random.default_rng(seed))


# ------------------------------------------------------------------ what is printed


def quiet(name: str, nights: Iterator[list[Check]], n: int) -> Counted:
    found = [next(nights) for _ in range(n)]
    return Counted(name, [is_loud(one) for one in found], [is_rejected(one) for one in found])


def shifted(name: str, size: str, nights: Callable[[], list[Check]]) -> str:
    """Return a line of the table of shifts: 20 nights after each other."""
    found = [nights() for _ in range(MOST)]
    loud = [is_loud(one) for one in found]
    told = [any(check.level != "quiet" for check in one) for one in found]
    delay = str(loud.index(True) + 1) if any(loud) else f"more than {MOST}"
    return f"| {name} | {size} | {np.mean(loud):.0%} | {delay} | {np.mean(told):.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    tables, images = table_worlds(given.seed), image_worlds(given.seed)

    def table_nights() -> Iterator[list[Check]]:
        for world in tables:
            yield from (world.checks(NIGHT) for _ in range(PER_MODEL))

    def image_nights() -> Iterator[list[Check]]:
        for world in images:
            yield from (world.checks() for _ in range(PER_MODEL))

    print("| quiet nights | nights | with an alarm | share [95 %] | tests alone | share |")
    print("|---|---|---|---|---|---|")
    print(quiet("tables, 3,000 rows", table_nights(), given.nights).line(), flush=True)
    print(quiet("images, 2 x 50", image_nights(), given.nights).line(), flush=True)
    print("\n| shift | size | alarm | delay, nights | told |\n|---|---|---|---|---|")
    world, looks = next(tables), next(images)
    for n in (300, NIGHT):
        for factor in (1.2, 1.5, 2.5):
            nights = partial(world.checks, n, louder(factor))
            print(shifted(f"amounts, {n:,} rows", f"x {factor}", nights), flush=True)
        for share in (0.1, 0.3, 0.5):
            nights, size = partial(world.checks, n, online(share)), f"{share:.0%} become online"
            print(shifted(f"channel, {n:,} rows", size, nights), flush=True)
    for darker in (0.02, 0.05, 0.15):
        nights = partial(looks.checks, darker=darker)
        print(shifted("cam2 darker, 2 x 50 images", f"{darker:g}", nights), flush=True)
    for score in (0.25, 0.5, 1.0):
        nights = partial(looks.checks, score=score)
        print(shifted("scores, 2 x 50 images", f"{score:g} sd", nights), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

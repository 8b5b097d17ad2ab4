"""What a learner of verdicts finds on card transactions and on tables, night by night.

    python benchmarks/verdicts.py transactions DIR --seeds 4
    python benchmarks/verdicts.py tables DIR

``transactions``: DIR holds one parquet file a day (columns of the Fraud Detection Handbook). The
detector learns the normals of days 7 to 29, with each customer's history; days 30 on are ranked,
100 items and 15 audits a night are looked at, and the verdicts come a night later, or as a scenario
says. ``tables``: DIR holds ADBench's ``*.npz``; half of the normals train, the others and 3 % of
anomalies become 20 nights with 10 reviews and 2 audits each; figures are of nights 11 to 20. Sets
with fewer than 30 such anomalies are left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import average_precision_score
from transactions import FEATURES, TRAIN_DAYS, TRAIN_ROWS, read_days

from vae_anomaly import TabularVAEDetector
from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.verdicts.learner import VerdictLearner
from vae_anomaly.verdicts.ledger import ItemVerdict, NightItems

FIRST_DAY, TOP, AUDITS = 30, 100, 15
NIGHTS, FEW_REVIEWS, FEW_AUDITS, SHARE = 20, 10, 2, 0.03
LEAST_ANOMALIES = 30
WEEK = 7


@dataclass(frozen=True)
class Stream:
    """Nights of items with what they are."""

    nights: list[NightItems]
    anomalous: list[Bools]
    p_values: list[Floats]


@dataclass(frozen=True)
class Lived:
    """What came of a stream: surprise and combined p-value of each item, and who was looked at."""

    surprise: list[Floats]
    p_combined: list[Floats]
    orders: list[Ints]
    reviewed: list[Ints]
    learner: VerdictLearner
    seconds: float


def live(
    stream: Stream,
    learner: VerdictLearner,
    reviews: int,
    audits: int,
    delay: int = 1,
    wrong: float = 0.0,
) -> Lived:
    """Rank, review and learn, night by night."""
    rng, pending, began = np.random.default_rng(learner.random_state), list[ItemVerdict](), 0.0
    lived = Lived([], [], [], [], learner, 0.0)
    for items, truth, p in zip(stream.nights, stream.anomalous, stream.p_values, strict=True):
        start = time.process_time()
        learner.update(v for v in pending if v.arrived <= items.night)
        pending = [v for v in pending if v.arrived > items.night]
        ranked = learner.rank(items, p)
        chosen = learner.choose(ranked, reviews, audit=audits).places
        learner.keep(ranked, chosen)
        began += time.process_time() - start
        said = truth[chosen] ^ (rng.random(len(chosen)) < wrong)
        pending += [
            ItemVerdict(items.ids[i], bool(yes), items.night + delay, items.night)
            for i, yes in zip(chosen, said, strict=True)
        ]
        lived.surprise.append(ranked.judged.surprise)
        lived.p_combined.append(ranked.p_combined)
        lived.orders.append(ranked.order)
        lived.reviewed.append(chosen)
    return replace(lived, seconds=began)


# ------------------------------------------------------------------ card transactions


def card_stream(folder: Path) -> Stream:
    """Score the days from day 30 on by a detector of the days before."""
    every = read_days(folder)
    past = pd.concat([every[day] for day in TRAIN_DAYS], ignore_index=True)
    normal = past[past["TX_FRAUD"] == 0]
    columns = FEATURES + [name for name in every[0] if name.startswith("CUSTOMER_ID: ")]
    rows = np.sort(np.random.default_rng(0).permutation(len(normal))[:TRAIN_ROWS])
    detector = TabularVAEDetector(random_state=0).fit(normal.iloc[rows][columns])
    nights, anomalous, p_values = [], [], []
    for day, table in enumerate(every[FIRST_DAY:], start=FIRST_DAY):
        ids = [f"{day}-{row}" for row in range(len(table))]
        entities = {
            name: table[column].astype(str).tolist()
            for name, column in (("terminal", "TERMINAL_ID"), ("customer", "CUSTOMER_ID"))
        }
        nights.append(night_of(day, ids, detector, table[columns], entities))
        anomalous.append(table["TX_FRAUD"].to_numpy() == 1)
        p_values.append(detector.p_value(table[columns]))
    return Stream(nights, anomalous, p_values)


def night_of(
    night: int,
    ids: list[str],
    detector: TabularVAEDetector,
    rows: pd.DataFrame,
    entities: dict[str, list[str]],
) -> NightItems:
    """Return what the learner needs of scored rows: score, terms and encoded columns."""
    found = detector.examine(rows)
    features = np.column_stack([found.raw_score, *found.terms.values(), found.table.numbers])
    encoded = [f"encoded {i}" for i in range(found.table.numbers.shape[1])]
    names = ("score", *found.terms, *encoded)
    return NightItems(night, ids, features.astype(np.float64), names, entities)


def permuted(stream: Stream) -> Stream:
    """Return the stream with terminals that tell nothing."""
    rng = np.random.default_rng(99)
    nights = [
        replace(
            n, entities={**n.entities, "terminal": rng.permutation(n.entities["terminal"]).tolist()}
        )
        for n in stream.nights
    ]
    return replace(stream, nights=nights)


SCENARIOS: dict[str, tuple[Callable[[Stream], Stream], dict[str, float]]] = {
    "delay 1": (lambda s: s, {}),
    "delay 7": (lambda s: s, {"delay": 7}),
    "5 % wrong": (lambda s: s, {"wrong": 0.05}),
    "20 % wrong": (lambda s: s, {"wrong": 0.2}),
    "terminals permuted": (permuted, {}),
}


def transactions(folder: Path, seeds: int) -> None:
    stream = card_stream(folder)
    truth = np.concatenate(stream.anomalous)
    score = [night.features[:, 0] for night in stream.nights]
    base = [np.argsort(-one, kind="stable") for one in score]
    print(
        f"by score: AP {average_precision_score(truth, np.concatenate(score)):.3f}, "
        f"{first_found(base, stream):.2f} among the first {TOP}"
    )
    for name, (change, options) in SCENARIOS.items():
        some = change(stream)
        for seed in range(seeds):
            learner = VerdictLearner(entities=("terminal", "customer"), random_state=seed)
            lived = live(some, learner, TOP, AUDITS, **options)  # type: ignore[arg-type]
            ap = average_precision_score(truth, np.concatenate(lived.surprise))
            gains = {n: round(c.gain, 1) for n, c in learner.state_.entities.items()}
            print(
                f"{name}, seed {seed}: AP {ap:.3f}, {first_found(lived.orders, stream):.2f} among "
                f"the first {TOP}; gains in nats {gains}; "
                f"{lived.seconds / len(some.nights):.2f} CPU s a night; weeks within the band at "
                f"p .05 and .01: {weeks_within(lived, stream)}",
                flush=True,
            )


def first_found(orders: list[Ints], stream: Stream) -> float:
    """Return the mean number of frauds among the first hundred of a night."""
    return float(
        np.mean(
            [
                truth[order[:TOP]].sum()
                for order, truth in zip(orders, stream.anomalous, strict=True)
            ]
        )
    )


def weeks_within(lived: Lived, stream: Stream) -> list[str]:
    """Tell in how many weeks the rate on normals lies within its binomial 95 % band."""
    told = []
    for level in (0.05, 0.01):
        within = []
        starts = range(1, len(stream.nights) - WEEK + 1, WEEK)  # the first night has no verdicts
        for start in starts:
            week = range(start, start + WEEK)
            p = np.concatenate([lived.p_combined[n][~stream.anomalous[n]] for n in week])
            band = 1.96 * np.sqrt(level * (1 - level) / len(p))
            within.append(abs((p <= level).mean() - level) <= band)
        told.append(f"{sum(within)} of {len(within)}")
    return told


# ------------------------------------------------------------------ tables without entities


def tables(folder: Path) -> None:
    gains = []
    for path in sorted(folder.glob("*.npz")):
        stream = table_stream(path)
        if stream is None:
            continue
        lived = live(stream, VerdictLearner(), FEW_REVIEWS, FEW_AUDITS)
        late = range(NIGHTS // 2, NIGHTS)
        truth = np.concatenate([stream.anomalous[n] for n in late])
        base = average_precision_score(
            truth, np.concatenate([stream.nights[n].features[:, 0] for n in late])
        )
        learned = average_precision_score(truth, np.concatenate([lived.surprise[n] for n in late]))
        gains.append(learned - base)
        print(f"{path.stem:22} AP {base:.3f} -> {learned:.3f}  {learned - base:+.3f}", flush=True)
    print(f"mean of {len(gains)}: {np.mean(gains):+.3f}, worst {np.min(gains):+.3f}")


def table_stream(path: Path) -> Stream | None:
    """Return 20 nights of a set, None where it has too few anomalies."""
    with np.load(path, allow_pickle=False) as file:
        rows, labels = file["X"].astype(np.float64), file["y"].ravel() == 1
    rng = np.random.default_rng(0)
    normal, odd = (rng.permutation(np.flatnonzero(labels == one)) for one in (False, True))
    half = len(normal) // 2
    train, rest = normal[:half][:10_000], normal[half:][:10_000]
    n_odd = round(SHARE / (1 - SHARE) * len(rest))
    if n_odd < LEAST_ANOMALIES or len(odd) < n_odd:
        return None
    detector = TabularVAEDetector(random_state=0).fit(pd.DataFrame(rows[train]).add_prefix("x"))
    test = rng.permutation(np.concatenate([rest, odd[:n_odd]]))
    nights, anomalous, p_values = [], [], []
    for night, part in enumerate(np.array_split(test, NIGHTS), start=1):
        frame = pd.DataFrame(rows[part]).add_prefix("x")
        nights.append(night_of(night, [str(row) for row in part], detector, frame, {}))
        anomalous.append(labels[part])
        p_values.append(detector.p_value(frame))
    return Stream(nights, anomalous, p_values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["transactions", "tables"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "transactions":
        transactions(given.folder, given.seeds)
    else:
        tables(given.folder)


if __name__ == "__main__":
    main()

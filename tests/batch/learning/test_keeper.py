"""What is kept follows from the items alone: neither from batches, nor their order, nor files."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.batch.learning.keeper import JudgedItems, LearnKeeper
from vae_anomaly.batch.review.store import draw_of, draws_of
from vae_anomaly.verdicts.kept import KeptFacts, KeptItems

N, MOST, SAMPLE = 3_000, 20, 100
FACTS = KeptFacts(0, N, 0.0, "scale", "cards/1")


def items(n: int = N) -> JudgedItems:
    """Return items of which many have equal scores, so that ids decide."""
    rng = np.random.default_rng(0)
    raw = rng.exponential(size=n).round(1)
    ids = np.array([f"t{i}" for i in range(n)], object)
    codes = {"shop": np.array([f"{i % 7:016x}" for i in range(n)], object)}
    features = np.column_stack([raw, rng.normal(size=n)]).astype(np.float32)
    surprise = rng.exponential(size=n).round(2)
    return JudgedItems(ids, features, codes, raw, raw, raw, surprise, draws_of(ids))


def kept_of(pieces: list[JudgedItems]) -> KeptItems:
    keeper = LearnKeeper(MOST, SAMPLE)
    for piece in pieces:
        keeper.take(piece)
    kept = keeper.kept(FACTS, ("raw_score", "length"))
    assert kept is not None
    return kept


def rows_of(kept: KeptItems) -> list[tuple[object, ...]]:
    flags = kept.likely, kept.high, kept.drawn, kept.items.features[:, 0]
    return list(zip(kept.items.ids, *(array.tolist() for array in flags), strict=True))


def test_the_likeliest_the_highest_and_a_sample_are_kept():
    all_items, kept = items(), kept_of([items()])
    by_surprise = sorted(range(N), key=lambda i: (-all_items.surprise[i], all_items.ids[i]))
    by_score = sorted(range(N), key=lambda i: (-all_items.raw_score[i], all_items.ids[i]))
    ids = np.array(kept.items.ids)
    assert sorted(ids[kept.likely]) == sorted(all_items.ids[i] for i in by_surprise[:MOST])
    assert sorted(ids[kept.high]) == sorted(all_items.ids[i] for i in by_score[:MOST])
    assert sorted(ids[kept.drawn]) == sorted(sorted(all_items.ids, key=draw_of)[:SAMPLE])
    assert len(kept) <= 2 * MOST + SAMPLE
    assert kept.items.ids == sorted(kept.items.ids)


@pytest.mark.parametrize("size", [1, 37, 1_000])
def test_batches_and_their_order_change_nothing(size):
    all_items = items()
    order = np.random.default_rng(1).permutation(N)
    pieces = [all_items.take(order[start : start + size]) for start in range(0, N, size)]
    assert rows_of(kept_of(pieces)) == rows_of(kept_of([all_items]))


def test_of_a_night_in_files_the_same_is_kept_as_of_one_file():
    all_items = items()
    parts = [kept_of([all_items.take(np.arange(N) % 3 == k)]) for k in range(3)]
    merged = kept_of([JudgedItems.of(part) for part in parts])
    assert rows_of(merged) == rows_of(kept_of([all_items]))
    assert merged.items.entities == kept_of([all_items]).items.entities


def test_an_id_of_two_files_is_kept_once():
    few = items(50)
    twice = few.take(np.array([3, 4]))
    assert len(kept_of([few, twice])) == 50


def test_memory_is_bounded_whatever_the_night():
    keeper = LearnKeeper(MOST, SAMPLE)
    rng = np.random.default_rng(0)
    for number in range(60):
        ids = np.array([f"{number}-{i}" for i in range(200)], object)
        numbers = rng.random((5, 200))
        keeper.take(JudgedItems(ids, numbers[:1].T.astype(np.float32), {}, *numbers))
        assert keeper.n_held <= 2 * (2 * MOST + SAMPLE) + 200
    assert LearnKeeper().kept(FACTS, ("raw_score",)) is None

"""What is kept for reviewers depends on the items alone, and what is read back is checked."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.batch.review import ReviewKeeper, draw_of, read_review, review_path
from vae_anomaly.errors import DataError
from vae_anomaly.files import sha256_of
from vae_anomaly.reports.facts.items import ReviewItem, ShownImage

FEW = {"flagged": 4, "near_miss": 3, "audit": 3}
THRESHOLD = 2.0


def item(identifier: str, score: float, **fields: object) -> ReviewItem:
    flagged = score > THRESHOLD
    return ReviewItem(identifier, score, 10.0**-score, flagged, (), 0.0, **fields)


def shown(**fields: object) -> ShownImage:
    plain = ShownImage("", "/in/a.png", 8, 8, "UklGRg==", "iVBORw==", ((0.1, 0.2),), (), 3.0)
    return replace(plain, **fields)


def kept_of(scores: dict[str, float], sizes: list[int] | None = None) -> ReviewKeeper:
    """Offer items in batches of the sizes, and hand in those that are asked for."""
    keeper, names = ReviewKeeper(FEW), list(scores)
    for size in sizes or [len(names)]:
        batch, names = names[:size], names[size:]
        values = [scores[name] for name in batch]
        for place in keeper.offer(batch, values, [value > THRESHOLD for value in values]):
            keeper.keep(batch[place], item(batch[place], values[place]))
    return keeper


SCORES = st.dictionaries(
    st.text("abc", min_size=1, max_size=4), st.sampled_from([0.5, 1.0, 1.9, 2.5, 3.0]), min_size=1
)


@given(scores=SCORES, data=st.data())
def test_what_is_kept_depends_on_neither_order_nor_batches(scores, data):
    order = data.draw(st.permutations(list(scores)))
    sizes = data.draw(st.lists(st.integers(1, 5), max_size=len(order)))
    shuffled = {name: scores[name] for name in order}
    assert kept_of(shuffled, [*sizes, len(order)]).items() == kept_of(scores).items()


@given(scores=SCORES)
def test_roles_are_those_of_a_sort_of_all_items(scores):
    flagged = {name for name in scores if scores[name] > THRESHOLD}
    by_score = sorted(scores, key=lambda name: (-scores[name], name))
    by_draw = sorted(scores.keys() - flagged, key=lambda name: (draw_of(name), name))
    expected = {
        "flagged": [name for name in by_score if name in flagged][:4],
        "near_miss": [name for name in by_score if name not in flagged][:3],
        "audit": by_draw[:3],
    }
    items = kept_of(scores, [3] * len(scores)).items()
    for role, names in expected.items():
        assert {one.id for one in items if role in one.roles} == set(names)
    assert [one.id for one in items] == [one for one in by_score if one in {i.id for i in items}]


def test_no_more_is_asked_for_than_can_be_kept_and_what_is_pushed_out_is_dropped():
    keeper = ReviewKeeper(FEW)
    names = [f"item {i:03d}" for i in range(200)]
    assert len(keeper.offer(names, np.arange(200.0), [True] * 200)) == 4
    assert keeper.offer(["worse"], [500.0], [True]) == [0]
    keeper.keep("worse", item("worse", 500.0))
    for name in names[197:]:
        keeper.keep(name, item(name, float(name[-3:])))
    assert [one.id for one in keeper.items()] == ["worse", *names[:196:-1]]


def test_what_makes_an_item_is_called_for_those_that_are_kept_to_the_end():
    made = []
    keeper = ReviewKeeper({"flagged": 1, "near_miss": 1, "audit": 0})

    def make(identifier: str, score: float):
        made.append(identifier)
        return item(identifier, score)

    for identifier, score in (("first", 1.0), ("second", 1.5)):
        keeper.offer([identifier], [score], [False])
        keeper.keep(identifier, lambda one=(identifier, score): make(*one))
    assert [one.id for one in keeper.items()] == made == ["second"]


def test_audit_items_are_a_uniform_sample_whatever_the_scores():
    ids = [f"night/{i:05d}.png" for i in range(20_000)]
    draws = np.array([draw_of(name) for name in ids])
    counts, _ = np.histogram(draws, bins=20, range=(0.0, 1.0))
    assert abs(counts - 1000).max() < 4 * np.sqrt(1000 * 0.95)
    assert 0.0 <= draws.min() < draws.max() < 1.0
    chosen = np.argsort(draws)[:2000]  # of every part of the night the same share
    shares, _ = np.histogram(chosen, bins=10, range=(0, 20_000))
    assert abs(shares - 200).max() < 4 * np.sqrt(200 * 0.9)


def test_items_are_read_as_they_were_written(tmp_path):
    keeper = ReviewKeeper(FEW)
    keeper.offer(["a <b>\u2028.png"], [3.0], [True])
    keeper.keep("a <b>\u2028.png", item("a <b>\u2028.png", 3.0, image=shown(), reasons=("why",)))
    assert keeper.write(tmp_path, "night-0000") == ["review/night-0000.jsonl"]
    assert read_review(tmp_path, entry(tmp_path)) == keeper.items()


def entry(root, key: str = "night-0000") -> dict[str, object]:
    return {"key": key, "files": {review_path(key): sha256_of(root / review_path(key))}}


def test_a_partition_without_items_leaves_no_file_of_an_earlier_run(tmp_path):
    kept_of({"a": 3.0}).write(tmp_path, "night")
    assert ReviewKeeper().write(tmp_path, "night") == []
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_a_partition_of_an_earlier_version_has_kept_nothing(tmp_path):
    assert read_review(tmp_path, {"key": "night", "files": {"part-night.parquet": "0"}}) == []


GOOD = asdict(replace(item("a", 3.0), image=shown()))
HOSTILE = {
    "no JSON": ("{", "no item for reviewers"),
    "a list": ("[1]", "no item for reviewers"),
    "nested without end": ("[" * 100_000, "no item for reviewers"),
    "an unknown field": (GOOD | {"onload": "alert(1)"}, "none of its fields"),
    "another type": (GOOD | {"score": "high"}, "score"),
    "an unknown role": (GOOD | {"roles": ["boss"]}, "roles"),
    "an image that is markup": (
        GOOD | {"image": GOOD["image"] | {"thumbnail": '"><script>'}}, "not written in base64",
    ),
    "a file above the folder": (
        GOOD | {"image": GOOD["image"] | {"heatmap_file": "heatmaps/../../x.png"}}, "leads out",
    ),
    "a file elsewhere": (
        GOOD | {"image": GOOD["image"] | {"heatmap_file": "/etc/passwd"}}, "leads out",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_no_run_has_written_is_refused_with_its_line(line, words, tmp_path):
    text = line if isinstance(line, str) else json.dumps(line)
    (tmp_path / "review").mkdir()
    (tmp_path / "review" / "night-0000.jsonl").write_text(f"{json.dumps(GOOD)}\n{text}\n")
    with pytest.raises(DataError, match=words) as raised:
        read_review(tmp_path, entry(tmp_path))
    assert "line 2" in str(raised.value)
    assert "Score the input again" in str(raised.value)


def test_a_key_that_leads_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "night.jsonl").write_text(json.dumps(GOOD))
    out = tmp_path / "out"
    (out / "review").mkdir(parents=True)
    with pytest.raises(DataError, match="leads out"):
        read_review(out, entry(out, "../../night"))


def test_a_file_that_is_not_the_one_of_the_manifest_is_refused(tmp_path):
    kept_of({"a": 3.0}).write(tmp_path, "night-0000")
    listed = entry(tmp_path)
    path = tmp_path / review_path("night-0000")
    path.write_text(path.read_text() + "\n")
    with pytest.raises(DataError, match="SHA-256 differs"):
        read_review(tmp_path, listed)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_review(tmp_path, listed)

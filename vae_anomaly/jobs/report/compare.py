"""Two scored folders, or two models on the same input, as the facts of their comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.errors import DataError, ModelRefusedError
from vae_anomaly.jobs.report.scored_runs import (
    ReadItem,
    ScoredRun,
    matched,
    read_items,
    read_kept,
    read_scored_run,
)
from vae_anomaly.metrics.ranks import places, rank_correlation, shared_at_top
from vae_anomaly.reports.facts.compare import (
    MAX_MOVED,
    ComparedItem,
    ComparedRun,
    CompareFacts,
    Overlap,
    RankMap,
)
from vae_anomaly.reports.facts.items import ReviewItem
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.thresholds.compare import Sides
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.batch.plan import Source
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.progress import Progress

MAX_POINTS: Final = 1500
"""Items that are drawn one by one in the map of ranks."""
N_BINS: Final = 40
_MOST_ALONE = 5  # ids that are named of items on one side only
_TOP_SIZES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


def compare_runs(a: str | Path, b: str | Path, *, allow_failed: bool = False) -> CompareFacts:
    """Compare two finished runs over the same items.

    Parameters
    ----------
    a, b : str or Path
        Output folders. Items are matched by their ids; where ids repeat from partition to
        partition, by both.
    allow_failed : bool
        Take also a run that could not score a part of its input, without that part.

    Raises
    ------
    DataError
        If one is not finished or lacks a part, cannot be read or was changed since, or no item is
        in both.
    """
    runs = _read_both(a, b, keyed=False, allow_failed=allow_failed)
    notes: tuple[str, ...] = ()
    if any(run.repeats_ids() for run in runs):
        runs = _read_both(a, b, keyed=True, allow_failed=allow_failed)
        notes = (
            "Ids repeat from part to part of a run, so items are matched by part and id together.",
        )
    common = matched(*runs)
    if not len(common[0]):
        raise _nothing_in_common(*runs)
    return _Pair(*runs, *common).facts(_names(Path(on_disk(a)), Path(on_disk(b))), notes)


def _read_both(
    a: str | Path, b: str | Path, *, keyed: bool, allow_failed: bool
) -> tuple[ScoredRun, ScoredRun]:
    return (
        read_scored_run(a, keyed=keyed, allow_failed=allow_failed),
        read_scored_run(b, keyed=keyed, allow_failed=allow_failed),
    )


def compare_models(
    a: str | Path,
    b: str | Path,
    source: Source,
    *,
    uri: str | Path | None = None,
    follow_links: bool = False,
    reading: ImageReading | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CompareFacts:
    """Score the same input with two models, and compare what they say.

    Parameters
    ----------
    a, b : str or Path
        Models, as `score_tables` takes them.
    source : path, glob, folder, or list of these
        Tables, or images.
    uri : str or Path, optional
        MLflow store of the models.
    follow_links, reading, device
        Of images, as `score_images`.
    progress : callable, optional

    Raises
    ------
    ModelRefusedError
        If there is no such model, or one is of images and the other of tables.
    DataError
        If a file cannot be read.
    """
    from vae_anomaly.batch.run import score_images, score_tables
    from vae_anomaly.tracking import resolve

    kinds = [resolve(model, uri).kind for model in (a, b)]
    if kinds[0] != kinds[1]:
        raise ModelRefusedError(
            f"{a} is of kind {kinds[0]!r}, {b} of kind {kinds[1]!r}: they read different things. "
            "Give two models of images, or two of tables."
        )
    with TemporaryDirectory(prefix="vae-anomaly-") as folder:
        outs = [Path(folder, side) for side in "ab"]
        for model, out in zip((a, b), outs, strict=True):
            if kinds[0] == "image":
                score_images(
                    model, source, out, heatmaps="none", masks="none", max_bad_fraction=1.0,
                    device=device, follow_links=follow_links, reading=reading, uri=uri,
                    progress=progress,
                )  # fmt: skip
            else:
                score_tables(model, source, out, max_bad_fraction=1.0, uri=uri, progress=progress)
        facts = compare_runs(*outs)
    return replace(facts, a=replace(facts.a, name=str(a)), b=replace(facts.b, name=str(b)))


# ------------------------------------------------------------------ what both have


@dataclass(frozen=True)
class _Pair:
    """Two runs, and where the items that both have lie in each."""

    a: ScoredRun
    b: ScoredRun
    of_a: Ints
    of_b: Ints

    def facts(self, names: tuple[str, str], notes: tuple[str, ...]) -> CompareFacts:
        """Return everything that the page shows."""
        scores = self.a.scores[self.of_a], self.b.scores[self.of_b]
        flags = self.a.flags[self.of_a], self.b.flags[self.of_b]
        ids = self.a.first[self.of_a]
        ranks = places(scores[0], ids), places(scores[1], ids)
        n = len(ids)
        sizes = [k for k in _TOP_SIZES if k < n] or [n]
        shared = shared_at_top(*ranks, sizes)
        first = np.argsort(np.where(flags[0], ranks[0], ranks[1]), kind="stable")
        moved = [first[(mine & ~other)[first]][:MAX_MOVED] for mine, other in (flags, flags[::-1])]
        return CompareFacts(
            a=_side(self.a, self.of_a, names[0]),
            b=_side(self.b, self.of_b, names[1]),
            kind=self.a.kind,
            n_common=n,
            sides=Sides.of(*flags),
            correlation=rank_correlation(*scores),
            overlaps=tuple(
                Overlap(k, found, k * k / n) for k, found in zip(sizes, shared, strict=True)
            ),
            ranks=_rank_map(ranks, flags),
            moved_a=self._items(moved[0], scores, ranks),
            moved_b=self._items(moved[1], scores, ranks),
            notes=notes,
        )

    def _items(
        self, chosen: Ints, scores: tuple[Floats, Floats], ranks: tuple[Ints, Ints]
    ) -> tuple[ComparedItem, ...]:
        read_a = read_items(self.a, self.of_a[chosen])
        read_b = read_items(self.b, self.of_b[chosen])
        kept_a, kept_b = read_kept(self.a, read_a.values()), read_kept(self.b, read_b.values())
        items = []
        for i in chosen:
            mine, other = read_a[int(self.of_a[i])], read_b[int(self.of_b[i])]
            items.append(
                ComparedItem(
                    id=mine.id,
                    part=mine.part if self.a.keyed else "",
                    score_a=float(scores[0][i]),
                    score_b=float(scores[1][i]),
                    place_a=int(ranks[0][i]),
                    place_b=int(ranks[1][i]),
                    reasons_a=_reasons(mine, kept_a.get(mine)),
                    reasons_b=_reasons(other, kept_b.get(other)),
                    thumbnail=_thumbnail(kept_a.get(mine), kept_b.get(other)),
                )
            )
        return tuple(items)


def _reasons(item: ReadItem, kept: ReviewItem | None) -> tuple[str, ...]:
    """Say why an item was flagged; of images the run's own file does not say it."""
    return kept.reasons if kept is not None and kept.is_anomaly else item.reasons


def _thumbnail(*kept: ReviewItem | None) -> str:
    """Return the image of an item, of the first run that kept it."""
    images = (one.image for one in kept if one is not None)
    return next((image.thumbnail for image in images if image is not None), "")


def _side(run: ScoredRun, common: Ints, name: str) -> ComparedRun:
    alone = np.ones(len(run), dtype=np.bool_)
    alone[common] = False
    left = np.flatnonzero(alone)
    first = left[np.argsort(-run.scores[left], kind="stable")][:_MOST_ALONE]
    read = read_items(run, first)
    return ComparedRun(
        name=name,
        models=run.models,
        thresholds=run.thresholds,
        n_scored=len(run),
        n_flagged=int(run.flags.sum()),
        n_alone=len(left),
        flagged_alone=int(run.flags[left].sum()),
        examples_alone=tuple(read[int(place)].id for place in first),
    )


def _rank_map(ranks: tuple[Ints, Ints], flags: tuple[Bools, Bools]) -> RankMap:
    """Count places in bins that are even on a log axis, and choose what is drawn one by one."""
    n = len(ranks[0])
    edges = np.unique(np.rint(np.geomspace(1, n + 1, N_BINS + 1)).astype(np.int64))
    counts, _, _ = np.histogram2d(ranks[0], ranks[1], bins=(edges, edges))
    held = np.argwhere(counts > 0)
    who = flags[0] + 2 * flags[1].astype(np.int64)
    shown = np.arange(n) if n <= MAX_POINTS else np.flatnonzero(who)
    shown = shown[np.argsort(np.minimum(*ranks)[shown], kind="stable")][:MAX_POINTS]
    return RankMap(
        edges=tuple(float(edge) for edge in edges),
        cells=tuple((int(i), int(j), int(counts[i, j])) for i, j in held),
        points=tuple((int(ranks[0][i]), int(ranks[1][i]), int(who[i])) for i in shown),
        is_complete=n <= MAX_POINTS,
    )


# ------------------------------------------------------------------ words


def _names(a: Path, b: Path) -> tuple[str, str]:
    """Return what to call two folders: their own names, or as much of their paths as differs."""
    parts = [path.resolve().parts for path in (a, b)]
    for kept in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-kept:]) for part in parts]
        if names[0] != names[1]:
            return names[0], names[1]
    return str(a), str(b)


def _nothing_in_common(a: ScoredRun, b: ScoredRun) -> DataError:
    firsts = [read_items(run, range(min(len(run), 2))).values() for run in (a, b)]
    shown = [", ".join(repr(item.id) for item in items) for items in firsts]
    return DataError(
        f"No item is in both runs: {a.root} has {number_of(len(a), 'item')} ({shown[0]}, ...), "
        f"{b.root} has {number_of(len(b), 'item')} ({shown[1]}, ...). Items are matched by their "
        "ids: compare runs over the same input, or score the same with both models: "
        "vae-anomaly report --compare MODEL_A MODEL_B --input PATH"
    )

"""Is the planted cause named first? Columns of rows beside PyOD's ECOD, peaks of heatmaps.

    python benchmarks/attribution.py --seeds 3
    python benchmarks/attribution.py --seeds 3 --no-images

Rows: a model trains on payments without faults (``attribution_data.py``). In each of other normal
payments whose p-value is above 0.1 one fault is planted; of those that are flagged then, counted is
how often the planted column has the largest contribution, and is the first column of the first
reason. ECOD, where it is installed (``pip install pyod``), gets the same training rows in the same
encoding and explains the same rows: a column's part is the sum of its features' tail probabilities,
-log p. Where the correlation of two columns is broken, either of them is right.

Images: plates and cloth of the demo with scratches, holes and stains. A map is a grid of
cells, each of them a square of the image, and does not tell where inside its cell the heat lies. So
counted is how often the hottest cell of a flagged image touches the defect's mask, beside the share
of all cells that do, which is what chance would reach; more strictly, how often the peak that is
told and marked (``Region.peak_x``, ``peak_y``), which reads between the cells, lies in the mask;
and how often the hottest pixel of the map as it is drawn does: the centre of a cell, wherever the
defect crosses it.
"""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from attribution_data import (
    CARD_FAULT,
    FAULTS,
    card_payments,
    payments,
    with_jumps,
)

from vae_anomaly import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.arrays import Bools, Floats32
from vae_anomaly.data.synthetic import render_surfaces
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.detectors.images.heatmaps import find_regions, resize_heat
from vae_anomaly.detectors.tabular.reasons import explained

ORDINARY = 0.1  # p-value from which on a row is no suspect before its fault
LIMIT = 300  # flagged rows of a fault that are explained
MATERIALS = {"plates": 0.0, "cloth": 1.0}  # share of cloth


def table_results(
    n: int,
    seed: int,
    preset: str,
    asked: int = 1_000,
    faults: Sequence[str] = (*FAULTS, CARD_FAULT),
) -> Iterator[dict[str, Any]]:
    """Plant every fault in rows of their own, and yield who names it first."""
    train = payments(n, seed)
    detector = TabularVAEDetector(preset=preset, random_state=seed).fit(train)
    normal = payments(asked, seed + 100)
    normal = normal[(detector.p_value(normal) > ORDINARY)].reset_index(drop=True)
    for name, fault in ((name, FAULTS[name]) for name in faults if name in FAULTS):
        rows = normal[fault.applies(normal)].reset_index(drop=True)
        planted = fault.plant(rows, np.random.default_rng(seed))
        yield {"fault": name, "seed": seed} | shares(detector, train, planted, fault.columns)
    if CARD_FAULT in faults:
        yield {"fault": CARD_FAULT, "seed": seed} | card_result(n, seed, preset)


def card_result(n: int, seed: int, preset: str) -> dict[str, Any]:
    """Let one payment of each card jump, on a later day."""
    histories = EntityHistories(EntityColumns(("card",), "at", "euro"))
    train = histories.extend(card_payments(n, seed)).drop(columns="card")
    detector = TabularVAEDetector(preset=preset, random_state=seed).fit(train)
    detector.entities_ = histories
    later = card_payments(n, seed + 100, after=True)
    jumping, rows = with_jumps(later, np.random.default_rng(seed))
    planted = histories.copy().extend(rows)[jumping].drop(columns="card")
    right = ("euro", "card: amount / usual", "card: amount z", "euro beside the usual of this card")
    return shares(detector, train, planted, right)


def shares(
    detector: TabularVAEDetector, train: pd.DataFrame, planted: pd.DataFrame, right: Sequence[str]
) -> dict[str, Any]:
    """Return how many planted rows are flagged, and of these how often a right column is first."""
    flags = detector.assess(planted)["is_anomaly"].to_numpy()
    found = planted[flags].head(LIMIT)
    counted = {"planted": len(planted), "flagged": int(flags.sum())}
    if found.empty:
        return counted
    told = explained(detector.examine(found), np.ones(len(found), dtype=bool))
    names = detector.model_.encoder.names
    first = [one.parts[0].column for one in told]
    said = [first_named(one.reasons[0], [*names, *right]) for one in told]
    sums = [abs(sum(part.nats for part in one.parts) + one.rest - one.score) for one in told]
    ecod = ecod_columns(detector, train, found)
    return counted | {
        "contribution": np.isin(first, right).mean(),
        "reason": np.isin(said, right).mean(),
        "sum off by": max(sums),
        "ECOD": np.nan if ecod is None else np.isin(ecod, right).mean(),
    }


def first_named(reason: str, names: Sequence[str]) -> str:
    """Return the column that a reason names first, the longest of those that begin there."""
    places = [
        (match.start(), -len(name), name)
        for name in names
        if (match := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", reason))
    ]
    return min(places)[2] if places else ""


def ecod_columns(
    detector: TabularVAEDetector, train: pd.DataFrame, rows: pd.DataFrame
) -> list[str] | None:
    """Return the column to which ECOD gives most, of each row; None where PyOD is missing."""
    try:
        from pyod.models.ecod import ECOD
    except ImportError:
        return None
    encoder = detector.model_.encoder
    known, asked = (detector.examine(frame).table.numbers for frame in (train, rows))
    model = ECOD().fit(known)
    model.decision_function(asked)
    of_columns = model.O[-len(asked) :] @ (encoder.ownership() > 0.0)
    return [encoder.names[place] for place in of_columns.argmax(axis=1)]


def image_results(n: int, seed: int, preset: str, defective: int = 90) -> Iterator[dict[str, Any]]:
    """Train on good surfaces, and yield where the heatmaps of defective ones are hottest."""
    for material, cloth in MATERIALS.items():
        surfaces = render_surfaces(n, 0, defective, colour_share=cloth, random_state=seed)
        good, bad = [], []
        for one in surfaces:
            (good if one.mask is None else bad).append(one)
        detector = ImageVAEDetector(preset=preset, random_state=seed)
        detector.fit([one.pixels for one in good])
        images = [one.pixels for one in bad]
        flags, grids = detector.predict(images) == -1, detector.examine(images).heatmap
        for kind in sorted({one.kind for one in bad}):
            chosen = [i for i, one in enumerate(bad) if one.kind == kind and flags[i]]
            peaks = [Peak.of(grids[i], bad[i].mask) for i in chosen]
            yield {
                "defect": f"{kind} on {material}",
                "seed": seed,
                "planted": sum(one.kind == kind for one in bad),
                "flagged": len(chosen),
                "cell touches": mean(peak.cell_touches for peak in peaks),
                "by chance": mean(peak.cells_touching for peak in peaks),
                "peak inside": mean(peak.peak_inside for peak in peaks),
                "pixel inside": mean(peak.pixel_inside for peak in peaks),
            }


@dataclass(frozen=True)
class Peak:
    """Where the hottest point of a heatmap lies, beside the mask of the defect."""

    cell_touches: bool  # the square of pixels that the hottest cell stands for
    cells_touching: float  # share of all cells
    peak_inside: bool  # where the map is told to be hottest
    pixel_inside: bool  # the hottest pixel of the map as it is drawn

    @classmethod
    def of(cls, grid: Floats32, mask: Bools) -> Peak:
        """Compare a map on its grid of cells (G, G) with a mask (H, W)."""
        touching = cells_that_touch(mask, grid.shape)
        shown = resize_heat(grid[None], mask.shape)[0]
        hottest = find_regions(shown, -np.inf, grid.shape)[0]  # all of the map is one region
        return cls(
            bool(touching.flat[np.argmax(grid)]),
            float(touching.mean()),
            bool(mask[int(hottest.peak_y), int(hottest.peak_x)]),
            bool(mask.flat[np.argmax(shown)]),
        )


def cells_that_touch(mask: Bools, grid: tuple[int, ...]) -> Bools:
    """Return which cells of a grid laid over a mask hold a pixel of it, or a part of one."""
    rows, columns = (
        [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
        for size, n in zip(mask.shape, grid, strict=True)
    )
    return np.array(
        [[mask[top:bottom, left:right].any() for left, right in columns] for top, bottom in rows]
    )


def mean(values: Iterable[float]) -> float:
    """Return the mean, NaN of nothing."""
    known = list(values)
    return float(np.mean(known)) if known else np.nan


def report(rows: list[dict[str, Any]], what: str) -> str:
    """Return one line a kind, over all seeds: sums of counts, means weighted by what was found."""
    results = pd.DataFrame(rows).drop(columns="seed")
    table = []
    for name, part in results.groupby(what, sort=False):
        total = {what: name} | {c: int(part[c].sum()) for c in ("planted", "flagged")}
        found = part[part["flagged"] > 0]
        for column in part.columns.difference([*total, "sum off by"], sort=False):
            weight = found["flagged"].clip(upper=LIMIT)
            share = np.nan if found.empty else np.average(found[column], weights=weight)
            total[f"{column} %"] = round(100.0 * share, 1)
        table.append(total)
    return pd.DataFrame(table).to_string(index=False)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=4_000, help="to train on")
    parser.add_argument("--images", type=int, default=100, help="to train on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--no-tables", action="store_true")
    parser.add_argument("--no-images", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    pd.set_option("display.width", 250, "display.max_columns", 20)
    seeds = range(args.seeds)
    if not args.no_tables:
        rows = [one for seed in seeds for one in table_results(args.rows, seed, args.preset)]
        print(report(rows, "fault"))
        print(f"contributions miss the score by at most {max_off(rows):.1g} nats")
    if not args.no_images:
        images = [one for seed in seeds for one in image_results(args.images, seed, args.preset)]
        print(report(images, "defect"))


def max_off(rows: list[dict[str, Any]]) -> float:
    return max(row.get("sum off by", 0.0) for row in rows)


if __name__ == "__main__":
    main()

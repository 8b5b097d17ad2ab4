"""Measure the pages of large nights: seconds to make one, its size, seconds to open it.

    python benchmarks/report_pages.py            all three nights
    python benchmarks/report_pages.py --only images

``images``: 500 flagged of 5,000 images, 40 grainy castings of 1024 x 768 in turn. ``rows``: 100,000
scored rows, 1,000 flagged. ``all-flagged``: 100,000 rows, all flagged. Each is written as a run
writes it, by the library's own functions, and drawn by `write_night`. Chromium opens the file in a
context that is new each time; the clock is its own: to the load event, and to the first card or
row.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from vae_anomaly.batch.images import IMAGE_SCHEMA
from vae_anomaly.batch.output.manifest import write_manifest
from vae_anomaly.batch.review import ReviewKeeper, models_path
from vae_anomaly.batch.tables import TABLE_SCHEMA
from vae_anomaly.files import json_text, sha256_of
from vae_anomaly.jobs.report.night.write import write_night
from vae_anomaly.reports.facts.items import (
    MAP_SIDE,
    THUMBNAIL_SIDE,
    ReviewItem,
    ShownContribution,
    ShownImage,
    ShownPast,
    ShownRegion,
    ShownRow,
)
from vae_anomaly.reports.facts.night import ScoringFacts
from vae_anomaly.thresholds.record import ThresholdRecord

THRESHOLD, DIGEST, REPEATS, COLUMNS = 2.301, "ab" * 32, 5, 30
FIRST_ITEM = """new Promise((found) => {
    const look = () => document.querySelector(".card img, .row")
        ? found(performance.now()) : requestAnimationFrame(look);
    look();
})"""
Maker = Callable[[str, float], ReviewItem]


def write_run(out: Path, kind: str, scores: np.ndarray, make: Maker) -> None:
    """Write a folder as a finished run leaves it."""
    flags, names = scores > THRESHOLD, [f"day/{k:06}" for k in range(len(scores))]
    (out / "review").mkdir(parents=True)
    schema = IMAGE_SCHEMA if kind == "image" else TABLE_SCHEMA
    columns = {"id": names, "score": scores, "p_value": 10.0**-scores, "is_anomaly": flags}
    fixed = {"model_version": "made/1", "threshold": THRESHOLD}
    rest = {name: [fixed.get(name)] * len(names) for name in schema.names[4:]}
    pq.write_table(pa.table({**columns, **rest}, schema=schema), out / "part-day.parquet")
    keeper = ReviewKeeper()
    for k in keeper.offer(names, scores, flags):
        keeper.keep(names[k], make(names[k], float(scores[k])))
    held_out = np.sort(-np.log10(np.random.default_rng(1).uniform(size=2000)))
    record = ThresholdRecord(value=THRESHOLD, policy="manual", created="2026-11-01")
    threshold = record.model_dump(mode="json")
    wing = "image" if kind == "image" else "tabular"
    facts = ScoringFacts("made/1", DIGEST, wing, threshold, tuple(held_out.tolist()), 2000)
    (out / models_path(DIGEST)).write_text(json_text(asdict(facts)), encoding="utf-8")
    files = ["part-day.parquet", *keeper.write(out, "day")]
    entry = {
        "key": "day", "kind": "images" if kind == "image" else "table", "codes": {},
        "output": files[0], "files": {name: sha256_of(out / name) for name in files},
        "rows_in": len(names), "rows_out": len(names), "rows_flagged": int(flags.sum()),
        "rows_quarantined": 0, "model_version": "made/1", "model_digest": DIGEST,
        "threshold": THRESHOLD,
    }  # fmt: skip
    models = {models_path(DIGEST): sha256_of(out / models_path(DIGEST))}
    write_manifest(out, {"format_version": 1, "partitions": [entry], "failed": {},
                         "totals": {}, "models": models, "nights": [["day"]]})  # fmt: skip


@cache
def casting(seed: int) -> ShownImage:
    """Draw a grainy casting with a spot: as hard to compress as a photograph."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[0 : THUMBNAIL_SIDE * 3 // 4, 0:THUMBNAIL_SIDE] / THUMBNAIL_SIDE
    x, y = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.55)
    grain = sum(np.kron(rng.normal(size=(288 // s, 384 // s)), np.ones((s, s))) for s in (1, 2, 8))
    spot = np.exp(-(((u - x) ** 2 + (v - y) ** 2) * 900))
    light = 0.5 + 0.2 * np.sin(9 * u + x) * np.cos(7 * v) + 0.03 * grain - 0.3 * spot
    map_v, map_u = np.mgrid[0 : MAP_SIDE * 3 // 4, 0:MAP_SIDE] / MAP_SIDE
    heat = np.exp(-(((map_u - x) ** 2 + (map_v - y) ** 2) * 400)) + rng.uniform(0, 0.1, map_u.shape)
    turn = np.linspace(0, 2 * np.pi, 100)
    outline = np.stack([x + 0.03 * np.cos(turn), y * 4 / 3 + 0.04 * np.sin(turn)], 1).ravel()
    left, top = int(1024 * x), int(1024 * y)
    region = ShownRegion(left - 30, top - 30, left + 30, top + 30, 0.01, 6.0, 4.0)
    colour = np.clip(light[..., None] * (1.0, 0.95, 0.9), 0, 1)
    return ShownImage(
        "day", "", 1024, 768, encoded(colour, "WEBP", quality=80),
        encoded(np.clip(heat, 0, 1), "PNG"), (tuple(outline.round(4).tolist()),), (region,), 3.0,
    )  # fmt: skip


def image_item(name: str, score: float) -> ReviewItem:
    image = replace(casting(int(name[4:]) % 40), source=f"/data/{name}.png")
    return item(name, score, ("a spot of 60 x 60 pixels, lower left",), image=image)


def encoded(share: np.ndarray, form: str, **options: int) -> str:
    file = BytesIO()
    Image.fromarray((255 * share).astype(np.uint8)).save(file, form, **options)
    return b64encode(file.getvalue()).decode()


def row_item(name: str, score: float) -> ReviewItem:
    """Return a row of 30 columns with ten contributions and the past of a card."""
    rng = np.random.default_rng(int(name[4:]))
    cells = tuple(
        (f"column_{k}", f"{value:.3f}") for k, value in enumerate(rng.normal(size=COLUMNS))
    )
    parts = tuple(
        ShownContribution(column, score / (k + 1), value, "0.112", "-1.96 to 1.96")
        for k, (column, value) in enumerate(cells[:10])
    )
    past = ShownPast("card 4711", "column_0", tuple(rng.normal(size=20).round(3).tolist()), 4.0)
    row = ShownRow("day.csv", int(name[4:]) + 1, 3 * score, parts, 0.2, cells, (past,))
    reasons = tuple(f"column_{k} is {cells[k][1]}, where 0.112 was expected" for k in range(3))
    return item(name, score, reasons, row=row)


def item(name: str, score: float, reasons: tuple[str, ...], **shown: Any) -> ReviewItem:
    return ReviewItem(
        id=name, score=score, p_value=10.0**-score, is_anomaly=score > THRESHOLD, roles=(),
        draw=0.0, words="as strange as 1 in 400 normal items", reasons=reasons, **shown,
    )  # fmt: skip


def scores_of(n: int, flagged: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    good = -np.log10(rng.uniform(10**-THRESHOLD, 1.0, n - flagged))
    return np.concatenate([THRESHOLD + 0.01 + rng.gamma(1.5, 0.8, flagged), good])


NIGHTS: dict[str, tuple[str, int, int, Maker]] = {
    "images": ("image", 5_000, 500, image_item),
    "rows": ("tabular", 100_000, 1_000, row_item),
    "all-flagged": ("tabular", 100_000, 100_000, row_item),
}


def made_page(night: str, folder: Path) -> tuple[Path, float]:
    """Write a night and its page; return where the page lies and the seconds that it took."""
    kind, n, flagged, make = NIGHTS[night]
    write_run(folder / night, kind, scores_of(n, flagged), make)
    start = time.perf_counter()
    page, _ = write_night(folder / night)
    return page, time.perf_counter() - start


def opening_times(page: Path) -> tuple[list[float], list[float]]:
    """Return the seconds to the load event and to the first item, of each time it was opened."""
    from playwright.sync_api import sync_playwright

    loads, firsts = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for _ in range(REPEATS):
            tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            tab.goto(page.as_uri(), wait_until="commit")
            firsts.append(tab.evaluate(FIRST_ITEM) / 1000)
            tab.wait_for_load_state("load")
            timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
            tab.wait_for_function(f"{timing} > 0")
            loads.append(tab.evaluate(timing) / 1000)
            tab.context.close()
        browser.close()
    return loads, firsts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=NIGHTS)
    chosen = parser.parse_args().only
    print(f"{'night':12} {'made in s':>9} {'MB':>6} {'load s':>7} {'first item s':>13}")
    with tempfile.TemporaryDirectory() as folder:
        for night in [chosen] if chosen else NIGHTS:
            page, seconds = made_page(night, Path(folder))
            loads, firsts = map(statistics.median, opening_times(page))
            size = page.stat().st_size / 1e6
            print(f"{night:12} {seconds:9.1f} {size:6.2f} {loads:7.2f} {firsts:13.2f}", flush=True)


if __name__ == "__main__":
    main()

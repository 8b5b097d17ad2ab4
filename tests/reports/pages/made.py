"""Nights that are made up, for tests of pages and for looking at them.

``python tests/reports/pages/made.py FOLDER`` writes a page of each.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from vae_anomaly.metrics import Interval, proportion_interval
from vae_anomaly.reports.facts.items import (
    MAP_SIDE,
    ReviewItem,
    ReviewRole,
    ShownContribution,
    ShownImage,
    ShownPast,
    ShownRegion,
    ShownRow,
)
from vae_anomaly.reports.facts.night import (
    Changes,
    Histogram,
    NightFacts,
    Notice,
    QuarantineGroup,
    ScoringFacts,
    ThresholdStep,
)
from vae_anomaly.reports.pages.night import night_page
from vae_anomaly.thresholds.record import ThresholdRecord, one_in

MADE = datetime(2026, 11, 30, 6, 12, tzinfo=UTC)
THRESHOLD = 2.301
HOSTILE = "</script><script>alert(1)</script> \"'&<b>\u2028 \u202eגבא 🙈 =1+1 " + "long" * 75
EDGES = tuple(np.linspace(0.0, 6.0, 61).round(3).tolist())


def images(flagged: int = 37, scored: int = 4120, *, normals: int = 1200) -> NightFacts:
    """Return a night of castings from three cameras."""
    return _night("image", flagged, scored, normals)


def rows(flagged: int = 64, scored: int = 9500, *, normals: int = 2400) -> NightFacts:
    """Return a night of transactions with verdicts of earlier nights."""
    night = _night("tabular", flagged, scored, normals)
    steps = tuple(_with_labels(step, k / len(night.steps)) for k, step in enumerate(night.steps))
    return replace(night, name="transactions 2026-11-29", steps=steps)


def nothing_flagged() -> NightFacts:
    """Return a night of images without an alarm, and without a night before."""
    night = replace(images(0, 800), n_read=800, n_quarantined=0)
    return replace(night, notices=(), quarantine=(), changes=None)


def empty() -> NightFacts:
    """Return a night to which nothing was given that could be scored."""
    night = nothing_flagged()
    steps = tuple(replace(s, flagged=0, false_alarms=Interval(0, 0, 0)) for s in night.steps)
    return replace(
        night,
        scored_at="",
        n_read=0,
        n_scored=0,
        expected_false_alarms=Interval(0.0, 0.0, 0.0),
        histogram=Histogram((), (), ()),
        items=(),
        steps=steps,
        notices=(Notice("warning", "No image was found below night/.", "Check the input."),),
    )


def full() -> NightFacts:
    """Return a night with as many flagged images as a page shows, and more."""
    return replace(images(500, 20000), n_flagged=1730, flagged_left_out=1230)


@cache
def page_of(make: Callable[[], NightFacts]) -> str:
    """Return the page of a night that several tests look at."""
    return night_page(make(), made=MADE)


def hostile() -> NightFacts:
    """Return a night of rows in which every text tries to break out of the page."""
    night = rows(12, 300)
    group = QuarantineGroup("bad_cell", 3, HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),))
    scoring = replace(night.scoring, version=HOSTILE)
    return replace(
        night,
        name=HOSTILE,
        scoring=scoring,
        notices=(Notice("warning", HOSTILE, HOSTILE),),
        items=tuple(map(_hostile_item, night.items)),
        quarantine=(group,),
        changes=None if night.changes is None else replace(night.changes, text=HOSTILE),
        threshold_command=f"vae-anomaly threshold manual '{HOSTILE}' --value {{value}}",
        inspect_command=f"vae-anomaly inspect '{HOSTILE}' {{item}}",
    )


NIGHTS: dict[str, Callable[[], NightFacts]] = {
    "images": images,
    "rows": rows,
    "nothing_flagged": nothing_flagged,
    "empty": empty,
    "full": full,
    "hostile": hostile,
}


def _night(kind: str, flagged: int, scored: int, n_normals: int) -> NightFacts:
    generator = np.random.default_rng(7)
    held_out = np.sort(-np.log10(generator.uniform(size=n_normals)))
    good = -np.log10(generator.uniform(10**-THRESHOLD, 1.0, scored - flagged))
    bad = np.sort(THRESHOLD + 0.02 + generator.gamma(1.6, 0.7, flagged))[::-1]
    scores = np.concatenate([bad, good])
    steps = tuple(_step(value, scores, held_out) for value in _step_values())
    noun = "images" if kind == "image" else "rows"
    return NightFacts(
        name="castings/2026-11-29",
        scoring=_scoring(kind, held_out),
        scored_at="2026-11-30T05:48:12Z",
        n_read=scored + 14,
        n_scored=scored,
        n_flagged=flagged,
        n_quarantined=14,
        expected_false_alarms=_expected(THRESHOLD, scored, held_out),
        notices=_notices(noun),
        histogram=_histogram(scores, held_out),
        steps=steps,
        items=_items(kind, bad[:500], good),
        flagged_left_out=max(0, flagged - 500),
        quarantine=_quarantine(kind),
        changes=_changes(flagged, scored),
        threshold_command="vae-anomaly threshold tune models:/castings@champion --value {value} "
        "--out threshold.json",
        inspect_command="vae-anomaly inspect models:/castings@champion {item}",
        import_command="vae-anomaly feedback import decisions.csv",
        model_ref="models:/castings@champion",
    )


def _step_values() -> list[float]:
    return sorted({*np.linspace(0.5, 6.0, 111).round(2).tolist(), THRESHOLD})


def _expected(value: float, scored: int, held_out: np.ndarray) -> Interval:
    return proportion_interval(float((held_out > value).sum()), held_out.size).scaled(scored)


def _step(value: float, scores: np.ndarray, held_out: np.ndarray) -> ThresholdStep:
    above = int((scores > value).sum())
    return ThresholdStep(value, above, _expected(value, scores.size, held_out))


def _with_labels(step: ThresholdStep, place: float) -> ThresholdStep:
    recall, precision = 1 - 0.8 * place, 0.25 + 0.7 * place
    return replace(
        step,
        precision=Interval(precision, max(0, precision - 0.1), min(1, precision + 0.1)),
        recall=Interval(recall, max(0, recall - 0.12), min(1, recall + 0.08)),
        cost=Interval(900 - 500 * place, 700 - 500 * place, 1150 - 500 * place),
    )


def _scoring(kind: str, held_out: np.ndarray) -> ScoringFacts:
    record = ThresholdRecord(
        value=THRESHOLD,
        policy="fpr",
        parameters={"fpr": 0.005},
        expected_fpr=proportion_interval(float((held_out > THRESHOLD).sum()), held_out.size),
        n_normals=held_out.size,
        created="2026-10-02",
    )
    return ScoringFacts(
        version="castings/3",
        digest="5f0c9ae2b17d" + "0" * 52,
        kind="image" if kind == "image" else "tabular",
        threshold=record.model_dump(mode="json"),
        held_out=tuple(held_out.tolist()),
        n_held_out=held_out.size,
        fingerprint={"n": 6000, "sha256": "ab" * 32},
        package_version="0.1.0",
    )


def _notices(noun: str) -> tuple[Notice, ...]:
    return (
        Notice(
            "warning",
            f"The model is 59 days older than these {noun}: it learned from 2 Aug to 1 Oct 2026.",
            "Train anew, or compare both on last week: vae-anomaly report --compare RUN_A RUN_B",
        ),
        Notice("info", "The folder also holds nights by another model: castings/2 above 2.1."),
    )


def _histogram(scores: np.ndarray, held_out: np.ndarray) -> Histogram:
    edges = np.asarray(EDGES)
    counts = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0]
    normal = np.histogram(np.clip(held_out, edges[0], edges[-1]), edges)[0]
    expected = normal * (scores.size / held_out.size)
    return Histogram(EDGES, tuple(map(int, counts)), tuple(map(float, expected)))


def _quarantine(kind: str) -> tuple[QuarantineGroup, ...]:
    if kind == "image":
        return (
            QuarantineGroup(
                "truncated",
                9,
                "The file ends before its image does.",
                "Copy these files again; the camera may have been writing them still.",
                tuple((f"cam2/part_{k:05}.png", "ends after 61,440 bytes") for k in range(4)),
                ("quarantine/castings/2026-11-29.jsonl",),
            ),
            QuarantineGroup(
                "size",
                5,
                "The image has another size than those of the training.",
                "Check the camera's settings, or train a model for this size.",
                (("cam3/part_00017.png", "got 640 x 480 pixels, expected 1280 x 960"),),
            ),
        )
    return (
        QuarantineGroup(
            "bad_cell",
            14,
            "A cell is no number, where the model needs one.",
            "Correct the cells at their source and score these rows again.",
            (("2026-11-29.csv, row 812", 'amount is "n/a"'),),
        ),
    )


def _changes(flagged: int, scored: int) -> Changes:
    return Changes(
        name="castings/2026-11-28",
        flag_rate=proportion_interval(flagged, scored),
        flag_rate_before=proportion_interval(22, 4015),
        quarantine_rate=14 / (scored + 14),
        quarantine_rate_before=3 / 4018,
        new_reasons=(("lower left", 6), ("bore", 2)),
        gone_reasons=(("upper edge", 3),),
        text="The share of flagged parts lies within what chance gives between two such nights; "
        "6 flags name a place that no flag of the night before had.",
    )


def _items(kind: str, bad: np.ndarray, good: np.ndarray) -> tuple[ReviewItem, ...]:
    near = np.sort(good)[::-1][: min(24, good.size)]
    audit = good[: min(30, good.size)]
    parts: list[tuple[ReviewRole, np.ndarray]] = [
        ("flagged", bad),
        ("near_miss", near),
        ("audit", audit),
    ]
    make = _image_item if kind == "image" else _row_item
    return tuple(
        make(f"{role}-{k}", k, float(score), role)
        for role, scores in parts
        for k, score in enumerate(scores)
    )


def _item(name: str, score: float, role: ReviewRole) -> ReviewItem:
    return ReviewItem(
        id=name,
        score=score,
        p_value=10.0**-score,
        is_anomaly=role == "flagged",
        roles=(role,),
        draw=0.001 if role == "audit" else 0.5,
        words=f"as strange as {one_in(score)} normal items",
    )


def _image_item(name: str, k: int, score: float, role: ReviewRole) -> ReviewItem:
    folder = ("cam1", "cam2", "line 2/cam3")[k % 3]
    item = _item(f"{folder}/{name.replace('-', '_')}.png", score, role)
    seed, strength = k % 24, float(round(score))  # few enough that they are drawn once
    x, y = 0.2 + 0.6 * ((seed * 37) % 100) / 100, 0.2 + 0.6 * ((seed * 61) % 100) / 100
    hot = ShownRegion(
        int(1280 * (x - 0.05)), int(960 * (y - 0.06)), int(1280 * (x + 0.05)),
        int(960 * (y + 0.06)), 0.012, 4.0 + score, 3.1 + score / 2, 1280 * x, 960 * y,
    )  # fmt: skip
    image = ShownImage(
        folder=folder,
        source=f"/data/castings/2026-11-29/{item.id}",
        width=1280,
        height=960,
        thumbnail=_thumbnail(seed, round(x, 2), round(y, 2), strength),
        heat=_heat(round(x, 2), round(y, 2), strength),
        contours=(_circle(x, y),),
        regions=(hot,),
        level=3.0,
        reconstruction=_thumbnail(seed, 0.0, 0.0, 0.0),
        heatmap_file=f"heatmaps/{item.id}" if role == "flagged" else None,
    )
    return replace(item, image=image, reasons=("a spot of 128 x 115 pixels, lower left",))


@cache
def _thumbnail(seed: int, x: float, y: float, score: float) -> str:
    """Draw a turned ring, with a scratch where x is above 0."""
    generator = np.random.default_rng(seed)
    v, u = np.mgrid[0:192, 0:256] / 192
    radius = np.hypot(u - 0.667, v - 0.5)
    light = 0.35 + 0.1 * u + 0.35 * ((radius > 0.2) & (radius < 0.42)) + 0.02 * np.cos(radius * 90)
    light += generator.normal(0, 0.012, light.shape)
    if x:
        light -= 0.08 * score * np.exp(-(((u / 1.333 - x) * 20) ** 2) - ((v - y) * 30) ** 2)
    data = (np.clip(light, 0, 1) * 255).astype(np.uint8)
    return _encoded(Image.fromarray(data), "WEBP", quality=60)


@cache
def _heat(x: float, y: float, score: float) -> str:
    v, u = (
        np.mgrid[0 : MAP_SIDE * 3 // 4, 0:MAP_SIDE]
        / np.array([MAP_SIDE * 0.75, MAP_SIDE])[:, None, None]
    )
    heat = np.exp(-(((u - x) * 14) ** 2) - ((v - y) * 12) ** 2) * min(1, 0.2 + score / 6)
    return _encoded(Image.fromarray((heat * 255).astype(np.uint8)), "PNG")


def _encoded(image: Image.Image, form: str, **options: int) -> str:
    out = io.BytesIO()
    image.save(out, form, **options)
    return base64.b64encode(out.getvalue()).decode()


def _circle(x: float, y: float) -> tuple[float, ...]:
    angle = np.linspace(0, 2 * np.pi, 25)
    points = np.stack([x + 0.05 * np.cos(angle), y + 0.065 * np.sin(angle)], axis=1)
    return tuple(points.round(3).reshape(-1).tolist())


def _row_item(name: str, k: int, score: float, role: ReviewRole) -> ReviewItem:
    amount = 180.0 + 37 * (k % 50)
    after = {"flagged": 3, "near_miss": 8, "audit": 13}[role]  # no row stands in two groups
    row = ShownRow(
        file=f"2026-11-{29 - k % 2}.csv",
        row=17 * k + after,
        explained=2.3 * score,
        contributions=(
            ShownContribution("amount", 1.4 * score, f"{amount:,.2f}", "42.10", "12 to 180"),
            ShownContribution("country", 0.8 * score, "RO", "DE", "DE, AT, FR"),
            ShownContribution("hour", 0.3 * score, "3", "14", "8 to 21"),
            ShownContribution("merchant_kind", -0.35 * score, "food", "food", "food, fuel, rent"),
        ),
        rest=0.15 * score,
        cells=(
            ("amount", f"{amount:.2f}"), ("country", "RO"), ("hour", "3"),
            ("merchant_kind", "food"), ("channel", "online"),
        ),
        past=(ShownPast(f"card {4711 + k % 9}", "amount", (31.0, 44.5, 28.0, 52.3), amount),),
    )  # fmt: skip
    item = _item(f"{row.file}:{row.row}", score, role)
    reasons = (f"amount {amount:,.2f}, where 42.10 was expected", "country RO, where DE is usual")
    return replace(item, row=row, reasons=reasons, probability=0.4)


def _hostile_item(item: ReviewItem) -> ReviewItem:
    if item.row is None:
        return replace(item, id=f"{item.id} {HOSTILE}")
    contributions = tuple(
        replace(one, column=HOSTILE, value=HOSTILE, expected=HOSTILE, typical=HOSTILE)
        for one in item.row.contributions
    )
    cells = tuple((HOSTILE, HOSTILE) for _ in item.row.cells)
    row = replace(item.row, file=HOSTILE, contributions=contributions, cells=cells)
    return replace(item, id=f"{item.id} {HOSTILE}", words=HOSTILE, reasons=(HOSTILE,), row=row)


def main(folder: Path) -> None:
    """Write the page of every night."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in NIGHTS.items():
        page = folder / f"{name}.html"
        page.write_text(night_page(make(), made=MADE), encoding="utf-8")
        print(f"{page}: {page.stat().st_size / 1e6:.2f} MB")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))

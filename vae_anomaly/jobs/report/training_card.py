"""What a training keeps in its model for the model's page: facts that only the training knows.

See docs/adr/0004: it lies in the model directory, so that a folder alone is enough for the page.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vae_anomaly.data.tables.kinds import ColumnKind
from vae_anomaly.errors import ConfigError
from vae_anomaly.evaluation.points import ranking_points
from vae_anomaly.evaluation.reached import held_out_facts
from vae_anomaly.jobs.report.strangest import strange_images, strange_rows
from vae_anomaly.jobs.training_report import Reading
from vae_anomaly.metrics import Interval, proportion_interval
from vae_anomaly.names import legible
from vae_anomaly.reports.facts.training import (
    ColumnRange,
    EvaluationFacts,
    KindRate,
    LossCurves,
    TimeSpan,
    TrainingCard,
)
from vae_anomaly.state import Json

if TYPE_CHECKING:
    from vae_anomaly.arrays import AnyArray, Bools, Floats
    from vae_anomaly.data.tables.schema import Schema
    from vae_anomaly.detectors import BaseVAEDetector, ImageVAEDetector, TabularVAEDetector
    from vae_anomaly.detectors.images.image_list import ImageList
    from vae_anomaly.vae.training import History

_MAP_LATENTS: Final = 2
_MOST_RECORDS: Final = 120
_MOST_VALUES: Final = 8
_LOSSES: Final = ("train_nll", "val_nll", "train_kl", "val_kl", "val_elbo")
_PRIVATE: Final = ("person", "place", "identifier")


def keep_image_card(
    detector: ImageVAEDetector,
    images: ImageList,
    reading: Reading,
    names: AnyArray | None = None,
) -> None:
    """Keep in a fitted detector what its page needs of its training images.

    ``names`` are the groups of all images, where there are some.
    """
    held = detector.held_out_
    if held is None:
        return
    own = None if names is None or held.groups is None else names[held.places]
    shown = _group_names(own, images, held.places) if own is not None else None
    card = replace(
        _card(detector, reading, len(images)),
        passed_over=_passed_over(reading),
        n_groups=0 if own is None or names is None else len(np.unique(names)),
        held_out=held_out_facts(held.raw_score, held.groups, held.places, shown),
        strangest=strange_images(detector, images),
    )
    strangest = images.take(held.places[held.strangest()])
    _keep(detector, _mapped(detector, card, strangest))


def keep_table_card(
    detector: TabularVAEDetector,
    rows: pd.DataFrame,
    reading: Reading,
    *,
    n_normals: int,
    n_groups: int = 0,
    evaluation: EvaluationFacts | None = None,
) -> None:
    """Keep in a fitted detector what its page needs of its training rows.

    ``rows`` are those it was fitted to, in the order of the fit; ``n_normals`` those that they
    stand for.
    """
    held = detector.held_out_
    if held is None:
        return
    typed = detector.schema_.cast(rows)
    columns = column_ranges(typed, detector.schema_)
    strangest = strange_rows(detector, rows)
    card = replace(
        _card(detector, reading, n_normals),
        n_labelled=reading.n_left_out,
        spans=time_spans(typed, detector.schema_),
        n_groups=n_groups,
        columns=columns,
        held_out=held_out_facts(held.raw_score, held.groups, held.places),
        evaluation=evaluation,
        strangest=strangest,
    )
    places = [item.row.row - 1 for item in strangest if item.row is not None]
    _keep(detector, _mapped(detector, card, rows.iloc[places]))


def labelled_evaluation(
    scores: Floats, labels: Bools, weights: Floats, threshold: float, figures: dict[str, float]
) -> EvaluationFacts:
    """Return how a training ranked labelled anomalies among held-out normals."""
    flags = scores > threshold
    n, found = int(labels.sum()), int((flags & labels).sum())
    n_normals, alarms = int((~labels).sum()), int((flags & ~labels).sum())
    recall, fpr = (
        proportion_interval(float(k), float(m)) for k, m in ((found, n), (alarms, n_normals))
    )
    ranking = {name: figures[name] for name in ("auroc", "average_precision") if name in figures}
    return EvaluationFacts(
        source="rows that the training's labels call anomalies, among held-out normal rows",
        n_normals=n_normals,
        n_anomalies=n,
        figures=(
            *((name, Interval(value, value, value)) for name, value in ranking.items()),
            ("recall", recall),
            ("fpr", fpr),
        ),
        kinds=(
            KindRate("normal, held out", n_normals, alarms, fpr),
            KindRate("labelled anomalies", n, found, recall),
        ),
        curve=ranking_points(scores, labels, threshold, weights),
    )


def loss_curves(history: History) -> LossCurves | None:
    """Return the records of a history, thinned; None of a closed form."""
    records = history.records
    if len(records) < 2:
        return None
    places = np.unique(np.linspace(0, len(records) - 1, _MOST_RECORDS).astype(int)).tolist()
    kept = [records[i] for i in places]
    series = tuple((name, tuple(_finite(record.get(name)) for record in kept)) for name in _LOSSES)
    known = tuple(one for one in series if any(value is not None for value in one[1]))
    return LossCurves(tuple(int(r["step"]) for r in kept), known, int(history.best_step))


def column_ranges(rows: pd.DataFrame, schema: Schema) -> tuple[ColumnRange, ...]:
    """Return what typed training rows have in each column that the model reads."""
    return tuple(
        _column_range(column.name, rows[column.name], column.kind) for column in schema.features
    )


def time_spans(rows: pd.DataFrame, schema: Schema) -> tuple[TimeSpan, ...]:
    """Return first and last time of the timestamps of typed rows, but for those of persons."""
    spans = []
    for column in schema.features:
        times = rows[column.name].dropna() if column.kind is ColumnKind.TIMESTAMP else None
        if times is not None and len(times) and column.role not in _PRIVATE:
            first, last = (
                pd.Timestamp(t).floor("min").isoformat() for t in (times.min(), times.max())
            )
            spans.append(TimeSpan(column.name, first, last))
    return tuple(spans)


def _card(detector: BaseVAEDetector, reading: Reading, n_normals: int) -> TrainingCard:
    return TrainingCard(
        source=_without_folders(reading.source),
        n_normals=n_normals,
        n_read=reading.n_read,
        notes=tuple(map(_without_folders, reading.notes)),
        warnings=tuple(map(_without_folders, reading.warnings)),
        losses=loss_curves(detector.history_),
    )


def _without_folders(text: str) -> str:
    """Return words with each path by its last name: folders of a machine are nobody's business."""
    words = text.split(" ")
    return " ".join(PurePath(word).name or word if word.startswith("/") else word for word in words)


def _passed_over(reading: Reading) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for one in reading.left_out:
        counts[one.reason] += one.n_images
    return tuple(sorted(counts.items()))


def _group_names(groups: AnyArray, images: ImageList, places: AnyArray) -> list[str]:
    """Return what the group of each image is called; one of its own is called like the image."""
    pairs = zip(groups.tolist(), places.tolist(), strict=True)
    return [images.ids[i] if str(g).startswith("\0") else legible(str(g)) for g, i in pairs]


def _mapped(
    detector: ImageVAEDetector | TabularVAEDetector, card: TrainingCard, items: object
) -> TrainingCard:
    """Say where the strangest items lie in latent space; of tiles there is none."""
    try:
        axes = detector.leading_latents(_MAP_LATENTS)
        latents = detector.transform(items)[:, axes]
    except ConfigError:
        return card
    where = tuple(tuple(float(f"{z:.4g}") for z in row) for row in latents.tolist())
    return replace(card, strangest_latents=where, map_axes=tuple(axes))


def _keep(detector: BaseVAEDetector, card: TrainingCard) -> None:
    """Give the detector the card as JSON, and let go of what it was made of."""
    detector.training_ = as_json(card)
    detector.held_out_ = None


def as_json(card: TrainingCard) -> Json:
    """Return a card as plain JSON values: what the model directory keeps."""
    values: Json = json.loads(json.dumps(asdict(card), allow_nan=False))
    return values


def _column_range(name: str, cells: pd.Series, kind: ColumnKind) -> ColumnRange:
    known = cells.dropna()
    missing = float(1.0 - len(known) / len(cells)) if len(cells) else 0.0
    if kind is ColumnKind.NUMERIC and len(known):
        quantiles = np.quantile(known.astype(float), (0.01, 0.5, 0.99), method="nearest")
        low, middle, high = (number_text(float(q)) for q in quantiles)
        return ColumnRange(name, missing, low, middle, high)
    if kind is ColumnKind.TIMESTAMP or not len(known):
        return ColumnRange(name, missing)
    told = known.astype(bool) if kind is ColumnKind.BOOLEAN else known
    counts = told.astype(str).value_counts()
    shares = counts.head(_MOST_VALUES) / len(known)
    values = tuple((str(value), round(float(share), 4)) for value, share in shares.items())
    return ColumnRange(name, missing, frequent=values, n_values=len(counts))


def number_text(value: float) -> str:
    """Return a number of a table as text: whole numbers whole, others with four digits.

    Examples
    --------
    >>> number_text(1234567.0), number_text(0.012341), number_text(-3.0)
    ('1,234,567', '0.01234', '-3')
    """
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.4g}"


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")

"""What a model is for, what it is not for and what limits it, in words made from its facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from vae_anomaly.data.tables.families import listed_columns
from vae_anomaly.detectors.images.fit.self_test import (
    BLIND,
    HARD,
    SELF_TEST,
    found_words,
    is_blind,
    self_test_words,
)
from vae_anomaly.reports.facts.night import Notice
from vae_anomaly.reports.pages.numbers import percent
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.fit.prediction import FoundShare
    from vae_anomaly.detectors.protocol import AnyDetector, ImageDetector
    from vae_anomaly.reports.facts.training import EvaluationFacts, HeldOutFacts, TrainingCard

_FEW_NORMALS: Final = 100
_YEAR_DAYS: Final = 360
_STATED: Final = 0.01
_SHOW_THEM_ALIKE: Final = (
    "Show parts in one pose and light, crop to what they have in common, or take a larger --size; "
    "measure on real defects with `vae-anomaly evaluate`."
)


@dataclass(frozen=True)
class Told:
    """What words are made from."""

    detector: AnyDetector
    training: TrainingCard | None
    held_out: HeldOutFacts
    evaluations: tuple[EvaluationFacts, ...]

    @property
    def noun(self) -> str:
        """What it judges."""
        return "image" if self.detector.kind == "image" else "row"

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured at the end of training."""
        return self.detector.metrics_

    @cached_property
    def found(self) -> tuple[FoundShare, ...]:
        """What is found of synthetic defects at the threshold in force."""
        return self.detector.predicted_recall() if self.detector.kind == "image" else ()


def summary(told: Told, name: str, n_normals: int) -> str:
    """Say in a sentence or two what the model is and what it flags."""
    bound = told.detector.threshold_
    rate = bound.expected_fpr
    alarms = (
        f", which is expected of {percent(rate.estimate)} of normal ones "
        f"({percent(rate.low)} to {percent(rate.high)})"
        if rate is not None
        else ""
    )
    return (
        f"{name} has learned from {number_of(n_normals, f'normal {told.noun}')} what is usual, and "
        f"flags {told.noun}s whose anomaly score is above {bound.value:.3g}{alarms}."
    )


def uses(told: Told) -> tuple[str, ...]:
    """Say what the model may be used for."""
    if told.detector.kind == "image":
        return (
            "Rank and flag images of the parts it was trained on, taken by the same camera in the "
            "same light, and show where they differ from good ones.",
            "Point a person to what is worth a look: every flag has a heatmap and a reason.",
        )
    return (
        "Rank and flag rows of the same table, made by the same process, and say which columns "
        "are unusual.",
        "Point a person to what is worth a look: every flag has reasons and contributions.",
    )


def out_of_scope(told: Told) -> tuple[str, ...]:
    """Say what the model is not made for."""
    common = (
        f"A score says how unusual, not how bad: whether a flagged {told.noun} is a fault is for a "
        "person, or a further check, to say.",
    )
    if told.detector.kind == "image":
        return (
            *common,
            "Other parts, cameras, lenses or light than in training: train anew for them.",
            "The only check where a missed defect endangers people.",
        )
    return (
        *common,
        "Tables with other columns, or in which a column means something else now.",
        "Decisions about persons without a person who answers for them.",
    )


def limits(told: Told) -> tuple[str, ...]:
    """Say what limits the model, the most general first."""
    own = _of_images(told.detector) if told.detector.kind == "image" else _of_rows(told)
    return (*_of_normals(told), *_of_groups(told), *own, *_of_labels(told))


def unknown(told: Told) -> tuple[str, ...]:
    """Say what is not known of the model, and how it can be."""
    lines = []
    if told.training is None:
        lines.append(
            "The model keeps nothing of its training beside what it needs to score: it was trained "
            "by an earlier version, in Python, or with --no-report. Its strangest training items, "
            "loss curves, time span and ranges of columns are not known. Train it again with "
            "`vae-anomaly train` to see them."
        )
    if not told.evaluations:
        lines.append(
            "How many anomalies it finds has not been measured: nothing with labels is on record. "
            "Measure it with `vae-anomaly evaluate MODEL INPUT --labels COLUMN --log`."
        )
    if told.detector.kind == "image" and not told.found and SELF_TEST not in told.metrics:
        lines.append("There was no self-test: what it finds of synthetic defects is not known.")
    return tuple(lines)


def self_test_told(told: Told) -> str:
    """Say what the self-test found; nothing where there was none."""
    if told.found:
        return found_words(told.found)
    visible = told.metrics.get(SELF_TEST)
    return "" if visible is None else self_test_words(visible)


def notices(told: Told) -> tuple[Notice, ...]:
    """Return what its owner should look at before the model is used."""
    found = [*_warned(told), *_uneven(told), *_blind(told)]
    return tuple(sorted(found, key=lambda notice: notice.level != "warning"))


# ------------------------------------------------------------------ limits


def _of_normals(told: Told) -> Iterator[str]:
    n, noun = told.detector.calibration_.n, told.noun
    yield (
        f"{number_of(n, f'held-out normal {noun}')} stand behind every p-value. False-alarm rates "
        f"below 1 in {n + 1:,} rest on a fitted tail, beyond what they can show."
    )
    if told.detector.threshold_.extrapolated:
        yield "The threshold in force is such a rate."
    yield (
        "P-values hold as long as normal stays what it was: after a change of process, machine or "
        "season, check the rate of flags, and train anew."
    )
    dropped = int(told.detector.metrics_.get("dropped_held_out", 0))
    if dropped:
        yield (
            f"{number_of(dropped, f'held-out {noun}')} were left out as outliers. If they were "
            f"normal, expect up to {percent(dropped / (n + dropped))} more false alarms."
        )


def _of_groups(told: Told) -> Iterator[str]:
    groups = told.detector.calibration_groups_
    if groups is None:
        yield (
            f"No groups were told: if several {told.noun}s come from one part, customer or day, "
            "p-values are too small and more normal ones are flagged than stated."
        )
    elif told.held_out.n_groups:
        n = told.held_out.n_groups
        yield (
            f"Whole groups were held out, {n:,} of them: for a {told.noun} of a new group, that "
            "number counts."
        )


def _of_images(detector: ImageDetector) -> Iterator[str]:
    size = getattr(detector, "image_size", 0)
    if detector.tile_size is not None:
        yield (
            f"Images are cut into tiles of {detector.tile_size} pixels: defects are looked for in "
            "the images' own pixels, and what only the whole image shows is not seen."
        )
    else:
        yield (
            f"Images are seen at {size} x {size} pixels: a defect smaller than about two of these, "
            f"{200 / max(size, 1):.2g} % of the side, is hardly seen."
        )
    if getattr(detector, "channels_", None) == 1:
        yield "Colour is not seen: a stain as bright as the part passes."
    if getattr(detector, "foreground", "off") == "auto":
        yield "What lies on a uniform background beside the part is not looked at."
    if getattr(detector, "register", "off") == "off":
        yield "Parts are not moved to one place first: parts that lie elsewhere look strange."
    if detector.conditions_:
        yield f"It knows {number_of(len(detector.conditions_), 'product')}, and no others."


def _of_rows(told: Told) -> Iterator[str]:
    detector = told.detector
    if detector.kind != "tabular":
        return
    schema = detector.schema_
    blind = [column.name for column in schema.columns if column not in schema.features]
    if blind:
        unread = listed_columns(blind)
        yield f"What shows only in columns that it does not read is not seen: {unread}."
    for span in () if told.training is None else told.training.spans:
        days = (datetime.fromisoformat(span.last) - datetime.fromisoformat(span.first)).days
        if days < _YEAR_DAYS:
            yield (
                f"Training covers {number_of(days + 1, 'day')} of {span.column!r}: seasons and "
                "holidays beyond these are news to it."
            )
            break
    if detector.entities_ is not None:
        yield (
            "Entities that it has never seen have no past: their first rows are judged by "
            "everybody's."
        )


def _of_labels(told: Told) -> Iterator[str]:
    n = max((one.n_anomalies for one in told.evaluations), default=0)
    if 0 < n < _FEW_NORMALS:
        yield (
            f"Recall was measured on {number_of(n, 'anomaly', 'anomalies')}: kinds that are not "
            "among them may be missed."
        )


# ------------------------------------------------------------------ notices


def _warned(told: Told) -> Iterator[Notice]:
    for text in () if told.training is None else told.training.warnings:
        yield Notice("warning", f"{text[:1].upper()}{text[1:]}.")
    note = told.detector.threshold_.note
    if note:
        yield Notice("info", note)


def _uneven(told: Told) -> Iterator[Notice]:
    """Tell of rates and groups that lie surely above what is stated."""
    for rate in told.held_out.rates:
        if rate.reached.low > rate.stated:
            yield Notice(
                "warning",
                f"At a stated {percent(rate.stated)}, {percent(rate.reached.estimate)} of held-out "
                f"normals lay beyond ({told.held_out.how}): they are not alike.",
                "Name what belongs together with --groups, or train on more of it.",
            )
            break
    bad = [one for one in told.held_out.groups if one.reached.low > told.held_out.group_rate]
    if bad:
        yield Notice(
            "warning",
            f"{number_of(len(bad), 'group')} of normals with many beyond the others' bound, "
            f"most of all {bad[0].name}: {bad[0].beyond:,} of {bad[0].n:,}.",
            "Look whether these are good, or a kind of their own that needs more examples.",
        )


def _blind(told: Told) -> Iterator[Notice]:
    if is_blind(told.found):
        yield Notice(
            "warning",
            "The self-test finds hardly any synthetic defects, of whatever kind and size.",
            _SHOW_THEM_ALIKE,
        )
        return
    visible = 1.0 if told.found else told.metrics.get(SELF_TEST, 1.0)
    if visible < HARD:
        level = "sees no defects" if visible < BLIND else "hardly sees synthetic defects"
        yield Notice(
            "warning" if visible < BLIND else "info",
            f"The self-test says that this model {level}: {visible:.0%}, where 50 % is chance.",
            _SHOW_THEM_ALIKE,
        )

"""What tells the label without looking at the surface, so that a model could cheat by it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.doctor.report import Finding, Severity, finding

SHORTCUT_AUROC: Final = 0.95
MIN_FOR_SHORTCUT: Final = 10
_DAY_S: Final = 86400.0
_STAMP: Final = re.compile(r"(?<!\d)(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d(?!\d)")

_Kinds = Mapping[str, Callable[[Look], str]]
_Measures = Mapping[str, Callable[[Look], float]]


@dataclass(frozen=True)
class _Tell:
    """One property that separates two sets of images."""

    name: str
    auroc: float
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: AUROC {self.auroc:.3f}, {self.detail}"


def shortcuts(good: Sequence[Look]) -> Iterator[Finding]:
    """Report properties that alone separate good from defective, or training from test."""
    labelled = [look for look in good if look.item.is_anomaly is not None]
    test = [look for look in labelled if look.item.split != "train"]
    normal = [look for look in test if not look.item.is_anomaly]
    anomalous = [look for look in test if look.item.is_anomaly]
    train = [look for look in labelled if look.item.split == "train" and not look.item.is_anomaly]
    between = "good and defective images"
    yield from _cheats(list(_tells(normal or train, anomalous, _KINDS, _MEASURES)), between)
    yield from _hints(list(_tells(normal or train, anomalous, _PLACES, _TIMES)), between)
    between = "training and good test images"
    yield from _cheats(list(_tells(train, normal, _KINDS, _MEASURES)), between)


def _cheats(tells: Sequence[_Tell], between: str) -> Iterator[Finding]:
    if tells:
        names = _listed([tell.name for tell in tells])
        yield finding(
            Severity.WARNING,
            "shortcut",
            f"The {names} alone {_verb(tells)} {between} apart: a model could cheat by "
            f"{'it' if len(tells) == 1 else 'each of them'}, and a test would not show whether it "
            "sees defects.",
            "Take both under the same conditions and save them the same way, unless the defect "
            "itself is that.",
            [str(tell) for tell in tells],
        )


def _hints(tells: Sequence[_Tell], between: str) -> Iterator[Finding]:
    """Report what a detector never reads, but what tells that conditions differ."""
    if tells:
        names = _listed([tell.name for tell in tells])
        yield finding(
            Severity.WARNING,
            "taken_apart",
            f"The {names} alone {_verb(tells)} {between} apart: they were not taken together, and "
            "a model could cheat by whatever else changed, such as light or camera.",
            "Take good and defective ones on the same days, by the same camera, in turn.",
            [str(tell) for tell in tells],
        )


def _verb(tells: Sequence[_Tell]) -> str:
    return "tells" if len(tells) == 1 else "tell"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _tells(
    first: Sequence[Look], second: Sequence[Look], kinds: _Kinds, measures: _Measures
) -> Iterator[_Tell]:
    """Yield each property that separates two sets of 10 images or more."""
    if min(len(first), len(second)) < MIN_FOR_SHORTCUT:
        return
    labels = np.repeat([0, 1], [len(first), len(second)])
    for name, kind in kinds.items():
        yield from _by_kind(name, [kind(look) for look in [*first, *second]], labels)
    for name, measure in measures.items():
        values = np.array([measure(look) for look in [*first, *second]])
        if np.isfinite(values).all():
            yield from _by_number(name, values, labels)


def _by_number(name: str, values: Floats, labels: Ints) -> Iterator[_Tell]:
    auroc = float(roc_auc_score(labels, values))
    medians = [float(np.median(values[labels == label])) for label in (0, 1)]
    apart = abs(medians[1] - medians[0]) >= _BY_DEFECTS.get(name, 0.0)
    if apart and max(auroc, 1 - auroc) > SHORTCUT_AUROC:
        shown = [_date(m) if name in _TIMES else f"{m:.4g}" for m in medians]
        yield _Tell(name, max(auroc, 1 - auroc), f"medians {shown[0]} and {shown[1]}")


def _by_kind(name: str, values: Sequence[str], labels: Ints) -> Iterator[_Tell]:
    """Score each kind by its share of the second set; few kinds only, else any set separates."""
    if not 1 < len({*values}) <= len(values) / 8:
        return
    total, second = Counter(values), Counter(np.array(values)[labels == 1].tolist())
    auroc = float(roc_auc_score(labels, [second[value] / total[value] for value in values]))
    if auroc > SHORTCUT_AUROC:
        usual = (total - second).most_common(1)[0][0], second.most_common(1)[0][0]
        yield _Tell(name, auroc, f"mostly {usual[0]} and {usual[1]}")


def _bytes_per_pixel(look: Look) -> float:
    info = look.info
    return info.size_bytes / (info.width * info.height) if info else 0.0


def _stamp(look: Look) -> float:
    """Return the day in an image's name, in seconds since 1970; NaN without one."""
    match = _STAMP.search(PurePosixPath(look.item.id).name)
    try:
        day = datetime.strptime(re.sub(r"\D", "", match[0]), "%Y%m%d") if match else None
    except ValueError:
        return float("nan")
    return day.replace(tzinfo=UTC).timestamp() if day else float("nan")


def _modified(look: Look) -> float:
    """Return the day on which the file was written; copying may have changed it."""
    return look.modified_s // _DAY_S * _DAY_S


def _date(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d}"


def _folder(look: Look) -> str:
    """Name the folders of an image below its split and kind; a file in none lies in "."."""
    parts = PurePosixPath(look.item.id).parent.parts
    known = [part for part in (look.item.split, look.item.kind) if part]
    return "/".join(part for part in parts if part not in known) or "."


_MEASURES: Final[_Measures] = {
    "number of pixels": lambda look: float(look.shape[0] * look.shape[1]),
    "aspect ratio": lambda look: look.shape[1] / look.shape[0],
    "file size per pixel": _bytes_per_pixel,
    "mean brightness": lambda look: look.brightness,
    "sharpness": lambda look: look.sharpness,
}
_BY_DEFECTS: Final = {"mean brightness": 0.03, "sharpness": 0.15}  # less is what defects make
_KINDS: Final[_Kinds] = {
    "image size": lambda look: f"{look.shape[1]} x {look.shape[0]}",
    "file format": lambda look: look.info.format if look.info else "",
    "way of storing pixels": lambda look: look.info.mode if look.info else "",
}
_TIMES: Final[_Measures] = {
    "date in the file name": _stamp,
    "day of the file's last change": _modified,
}
_PLACES: Final[_Kinds] = {"folder": _folder}

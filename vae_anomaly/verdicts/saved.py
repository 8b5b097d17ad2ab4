"""A second stage as a folder: ``stage.json`` with the facts, ``stage.safetensors`` with arrays.

No pickle. The facts hold the SHA-256 of the arrays, so the digest of one file stands for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from vae_anomaly.arrays import AnyArray
from vae_anomaly.errors import DataError, ModelRefusedError
from vae_anomaly.files import json_text, parsed_json, replace_folder, sha256_of
from vae_anomaly.state import Json, from_json, named, under
from vae_anomaly.verdicts.entities import EntityRates
from vae_anomaly.verdicts.head import ScoreHead
from vae_anomaly.verdicts.stage import KnownValues, Reference, SecondStage
from vae_anomaly.words import reason_of

STAGE, ARRAYS = "stage.json", "stage.safetensors"
_FORMAT: Final = 1
_REMEDY: Final = "Learn it again: vae-anomaly feedback learn MODEL"


@dataclass(frozen=True)
class _Column:
    weight: float
    gain: float


@dataclass(frozen=True)
class _Facts:
    """What ``stage.json`` holds."""

    format_version: int
    arrays_sha256: str
    night: int
    model: str
    names: tuple[str, ...]
    offset: float
    rates: EntityRates
    entities: dict[str, _Column]
    verdicts: int
    confirmed: int
    threshold: Json | None = None


def write_stage(stage: SecondStage, path: str | Path) -> str:
    """Write a second stage as a folder, in one step; return its digest."""
    from safetensors.numpy import save

    arrays = save(dict(sorted(_arrays(stage).items())))
    facts = _Facts(
        _FORMAT, sha256_of(arrays), stage.night, stage.model, stage.names, stage.offset,
        stage.rates, {n: _Column(k.weight, k.gain) for n, k in stage.entities.items()},
        stage.verdicts, stage.confirmed, stage.threshold,
    )  # fmt: skip
    told = asdict(facts)
    if facts.threshold is None:
        del told["threshold"]
    text = json_text(told)
    with replace_folder(Path(path), "Free some space, or choose another folder.") as staging:
        (staging / ARRAYS).write_bytes(arrays)
        (staging / STAGE).write_text(text, encoding="utf-8")
    return sha256_of(text)


def read_stage(path: str | Path) -> SecondStage:
    """Read what `write_stage` wrote.

    Raises
    ------
    ModelRefusedError
        If it is missing, was changed, or holds what no second stage holds.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(path)
    try:
        facts = from_json(_Facts, parsed_json((folder / STAGE).read_text(encoding="utf-8")))
        content = (folder / ARRAYS).read_bytes()
        if facts.format_version != _FORMAT:
            raise DataError(f"its format is {facts.format_version}, where {_FORMAT} is read")
        if sha256_of(content) != facts.arrays_sha256:
            raise DataError(f"{ARRAYS} was changed after it was saved")
        return _stage(facts, load(content))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError, DataError) as err:
        raise ModelRefusedError(
            f"{folder} holds no second stage: {reason_of(err)}. {_REMEDY}"
        ) from None


def stage_digest(path: str | Path) -> str:
    """Return the digest of a saved second stage, as `write_stage` does."""
    return sha256_of(Path(path) / STAGE)


def _arrays(stage: SecondStage) -> dict[str, AnyArray]:
    parts: dict[str, Mapping[str, AnyArray]] = {}
    if stage.head is not None:
        parts["head"] = vars(stage.head)
    if stage.reference is not None:
        parts["reference"] = vars(stage.reference)
    for place, known in enumerate(stage.entities.values()):
        parts[f"column{place}"] = {
            "codes": np.array([int(code, 16) for code in known.codes], np.uint64),
            "last": known.last, "risk": known.risk,
            "reviewed": known.reviewed, "confirmed": known.confirmed,
        }  # fmt: skip
    return {name: np.ascontiguousarray(array) for name, array in named(parts).items()}


def _stage(facts: _Facts, arrays: Mapping[str, AnyArray]) -> SecondStage:
    """Put a stage together; refuse arrays that do not fit each other or are no numbers."""
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise DataError("a number in it is not finite")
    head, reference = under("head", arrays), under("reference", arrays)
    if head:
        _check_head(head, len(facts.names))
    if reference and reference["above"].shape != (len(reference["given"]) + 1,):
        raise DataError("its reference does not fit together")
    entities = dict[str, KnownValues]()
    for place, (name, column) in enumerate(facts.entities.items()):
        own: dict[str, Any] = dict(under(f"column{place}", arrays))
        if len({array.shape for array in own.values()}) != 1:
            raise DataError(f"what it knows of {name!r} does not fit together")
        codes = [f"{int(code):016x}" for code in own.pop("codes")]
        entities[name] = KnownValues(column.weight, column.gain, codes, **own)
    return SecondStage(
        facts.night, facts.model, facts.names, facts.offset, facts.rates,
        ScoreHead(**head) if head else None, entities,
        Reference(**reference) if reference else None, facts.verdicts, facts.confirmed,
        facts.threshold,
    )  # fmt: skip


def _check_head(head: Mapping[str, AnyArray], n: int) -> None:
    shapes = {head[name].shape for name in ("middle", "centre", "spread")}
    if shapes != {(n,)} or head["coefficients"].shape != (1 + 3 * n,) or min(head["spread"]) <= 0.0:
        raise DataError("its head does not fit its features")

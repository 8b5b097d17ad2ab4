"""The model directory: one detector as JSON and safetensors, never a pickle.

::

    model/
      detector.json             format version, kind, package version, config, schema,
                                preprocessing, fingerprint of the training data, metrics,
                                what training kept for the model's page, what its inputs
                                looked like
      weights.safetensors       network weights and other learned arrays
      calibration.safetensors   held-out scores, tails, normalisers, references
      threshold.json            the operating point and how it was chosen
      SHA256SUMS                one line a file; its own SHA-256 is the digest of the model

A directory is written beside its final place and renamed, so a reader never sees half of one.
It is read back only when the list of files, every digest and the format version are right; what
file managers leave in folders (``.DS_Store``, ``Thumbs.db``) is passed over.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from vae_anomaly.arrays import Arrays
from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.files import is_system_file, json_text, replace_folder, sha256_of
from vae_anomaly.state import Json, first_fault
from vae_anomaly.version import __version__
from vae_anomaly.words import reason_of

FORMAT_VERSION = "1.0"
SUMS = "SHA256SUMS"
MODEL_FILES = (
    "calibration.safetensors",
    "detector.json",
    "threshold.json",
    "weights.safetensors",
)
ALL_FILES = (*MODEL_FILES, SUMS)
"""What a model's folder holds; the list of digests makes it one."""
_SCALE_FILES = ("calibration.safetensors", "weights.safetensors")


class _Header(BaseModel):
    """What ``detector.json`` holds; what a later minor version adds is passed over."""

    model_config = ConfigDict(frozen=True, strict=True)

    format_version: str
    package_version: str = ""
    kind: str
    config: Json
    columns: Json | None = Field(alias="schema")
    preprocessing: Json
    fingerprint: Json
    metrics: dict[str, float]
    probability: Json | None = None
    left_out: list[Json] = Field(default_factory=list)
    left_out_confirmed: list[str] = Field(default_factory=list)
    training: Json | None = None
    recalibrated: list[Json] = Field(default_factory=list)
    baseline: Json | None = None


@dataclass(frozen=True)
class DetectorState:
    """Hold everything that makes a fitted detector, as arrays and JSON values."""

    kind: str  # "tabular" or "image"
    config: Json  # constructor parameters
    preprocessing: Json  # of the input before the network, the resizer of images included
    weights: Arrays  # learned, of any dtype that safetensors knows
    calibration: Arrays  # likewise
    threshold: Json | None = None  # the operating point, as `Threshold.to_dict` gives it
    schema: Json | None = None  # columns and kinds of a table
    fingerprint: Json = field(default_factory=dict)  # size and SHA-256 of the training data
    metrics: Json = field(default_factory=dict)  # measured at the end of training
    probability: Json | None = None  # of scores, as `ScoreProbability.to_dict` gives it
    left_out: list[Json] = field(default_factory=list)  # training items that were no normals
    left_out_confirmed: list[str] = field(default_factory=list)  # ids, as reviewers had said
    training: Json | None = None  # what training kept for the model's page; adr 0004
    recalibrated: list[Json] = field(default_factory=list)  # since, the first one first
    baseline: Json | None = None  # of training inputs, as `monitoring.baseline.Baseline`


def write_model(state: DetectorState, path: str | Path) -> Path:
    """Write a model directory, replacing an older model of the same name in one step.

    ``path`` may be new, empty or a model; anything else is a ConfigError. A disk that is full or
    not writable is a StorageError, and nothing half-written stays behind.
    """
    target = Path(path)
    if holds_something_else(target):
        if not target.is_dir():
            raise ConfigError(f"{target} is a file; give the name of a folder for the model.")
        raise ConfigError(
            f"{target} holds other files and no model; choose a new or empty folder for the model."
        )
    contents = _serialise(state)
    sums = "".join(f"{sha256_of(data)}  {name}\n" for name, data in sorted(contents.items()))
    remedy = "Free some space or choose another folder for the model."
    with replace_folder(target, remedy) as staging:
        for name, data in {**contents, SUMS: sums.encode()}.items():
            (staging / name).write_bytes(data)
    return target


def read_model(path: str | Path) -> DetectorState:
    """Read a model directory after checking its files, digests and format version.

    One that is missing, incomplete, damaged or of an unknown format is a ModelRefusedError.
    """
    folder = Path(path)
    contents = _verified_contents(folder)
    values = _parse_json(folder, "detector.json", contents["detector.json"]) or {}
    _check_format(folder, values)
    try:
        header = _Header.model_validate(values)
        return DetectorState(
            kind=header.kind,
            config=header.config,
            preprocessing=header.preprocessing,
            weights=load_tensors(contents["weights.safetensors"]),
            calibration=load_tensors(contents["calibration.safetensors"]),
            threshold=_parse_json(folder, "threshold.json", contents["threshold.json"]),
            schema=header.columns,
            fingerprint=header.fingerprint,
            metrics=header.metrics,
            probability=header.probability,
            left_out=header.left_out,
            left_out_confirmed=header.left_out_confirmed,
            training=header.training,
            recalibrated=header.recalibrated,
            baseline=header.baseline,
        )
    except (ValidationError, SafetensorError) as err:
        why = first_fault(err) if isinstance(err, ValidationError) else repr(err)
        raise ModelRefusedError(
            f"The model in {folder} cannot be read: {why}. Save it again or restore a copy."
        ) from err


def holds_something_else(target: Path) -> bool:
    """Say whether there is anything but an empty folder or a model, which may be written over."""
    if not target.is_dir():
        return target.exists()
    return bool(_own_names(target)) and not (target / SUMS).is_file()


def _own_names(folder: Path) -> set[str]:
    """Return what a folder holds, but for what file managers leave there."""
    return {item.name for item in folder.iterdir() if not is_system_file(item.name)}


def model_digest(path: str | Path) -> str:
    """Return the SHA-256 of a model's list of digests, in hexadecimal."""
    return sha256_of(_read_file(Path(path), SUMS))


def score_scale(path: str | Path) -> str:
    """Return what two models share when their scores mean the same, 16 hexadecimal digits.

    It covers weights and calibration of a model directory, not its threshold: a version that
    differs in the threshold only has the same scale.
    """
    folder = Path(path)
    return sha256_of(*(one for name in _SCALE_FILES for one in (f"{name}\0", folder / name)))[:16]


def saved_with(path: str | Path) -> str:
    """Return the version of the package that wrote a model."""
    folder = Path(path)
    header = _parse_json(folder, "detector.json", _read_file(folder, "detector.json")) or {}
    return str(header.get("package_version", ""))


def _serialise(state: DetectorState) -> dict[str, bytes]:
    names = ("kind", "config", "schema", "preprocessing", "fingerprint", "metrics")
    header = {name: getattr(state, name) for name in names}
    header |= {"format_version": FORMAT_VERSION, "package_version": __version__}
    if state.probability is not None:
        header["probability"] = state.probability
    if state.left_out:
        header["left_out"] = state.left_out
    if state.left_out_confirmed:
        header["left_out_confirmed"] = state.left_out_confirmed
    if state.training is not None:
        header["training"] = state.training
    if state.recalibrated:
        header["recalibrated"] = state.recalibrated
    if state.baseline is not None:
        header["baseline"] = state.baseline
    return {
        "calibration.safetensors": save_tensors(_contiguous(state.calibration)),
        "detector.json": json_text(header).encode(),
        "threshold.json": json_text(state.threshold).encode(),
        "weights.safetensors": save_tensors(_contiguous(state.weights)),
    }


def _contiguous(arrays: Arrays) -> Arrays:
    return {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}


def _parse_json(folder: Path, name: str, content: bytes) -> Json | None:
    try:
        values: Json | None = json.loads(content, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError) as err:
        raise ModelRefusedError(
            f"{folder / name} is not valid JSON: {reason_of(err)}. Restore it or train again."
        ) from err
    if not isinstance(values, dict | None):
        raise ModelRefusedError(
            f"{folder / name} holds {type(values).__name__} in the place of an object. Restore it "
            "or train again."
        )
    return values


def _number(text: str) -> float:
    """Read a number that is not whole; a model holds none that is not finite."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no finite number")
    return number


def _verified_contents(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise ModelRefusedError(
            f"There is no model folder at {folder}. "
            "Give the folder that `train` printed, or models:/NAME@ALIAS."
        )
    expected = _read_sums(folder)
    present = _own_names(folder)
    _check_file_list(folder, present - {SUMS}, expected)
    contents = {name: _read_file(folder, name) for name in MODEL_FILES}
    for name, data in contents.items():
        if sha256_of(data) != expected[name]:
            raise ModelRefusedError(
                f"{folder / name} was changed after it was saved: its SHA-256 is not the recorded "
                "one. Restore the file or train again."
            )
    return contents


def _read_sums(folder: Path) -> dict[str, str]:
    pairs = (
        line.split("  ", 1)
        for line in _read_file(folder, SUMS).decode("ascii", "replace").splitlines()
    )
    return {parts[1]: parts[0] for parts in pairs if len(parts) == 2}


def _check_file_list(folder: Path, present: set[str], expected: dict[str, str]) -> None:
    wanted = set(MODEL_FILES)
    missing, extra = sorted(wanted - present), sorted(present - wanted)
    if missing or extra or set(expected) != wanted:
        raise ModelRefusedError(
            f"{folder} is not a complete model: missing {missing or 'nothing'}, "
            f"unknown {extra or 'nothing'}. Take away what is unknown, restore what is missing."
        )


def _check_format(folder: Path, header: Json) -> None:
    version, ours = str(header.get("format_version", "none")), FORMAT_VERSION.split(".")[0]
    if version.split(".")[0] != ours:
        raise ModelRefusedError(
            f"{folder} has model format {version}; this version reads {ours}.x. "
            "Install the version of vae-anomaly that wrote it, or train again."
        )


def _read_file(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as err:
        raise ModelRefusedError(
            f"{folder} is not a model folder: {name} cannot be read ({err.strerror})."
        ) from err

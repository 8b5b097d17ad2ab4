"""Which backbone ``features=`` comes to here, where its weights lie, and why, in words.

"auto" takes a backbone whose weights are at hand: a file that is given, a file that the variable
``VAE_ANOMALY_BACKBONE`` names for the machine, or a known model in timm's cache, and the fixed
filters where there is none. It never asks the network; only ``download`` does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from torch import nn

from vae_anomaly.detectors.images.features.backbone import BackboneSpec, weights_digest
from vae_anomaly.detectors.images.features.onnx_file import ONNX, is_onnx
from vae_anomaly.detectors.images.features.timm_models import (
    TIMM,
    cached_weights,
    fetched_weights,
    licence_of,
    named_by,
)
from vae_anomaly.errors import ConfigError, MissingExtraError
from vae_anomaly.files import in_home, sha256_of
from vae_anomaly.words import names_of

AUTO: Final = "auto"
BACKBONE_VARIABLE: Final = "VAE_ANOMALY_BACKBONE"

KNOWN_BACKBONES: Final = ("mobilenetv2_100", "resnet18", "wide_resnet50_2")
"""Models of timm that "auto" looks for in its cache, in this order; docs/backbones.md has more."""

_FILTERS: Final = "the fixed filters"


@dataclass(frozen=True)
class Features:
    """What images are to be seen through.

    Attributes
    ----------
    asked : torch.nn.Module or str, optional
        A module, "timm:NAME" or an ONNX file; None for the fixed filters.
    weights : str, optional
        File of the weights of "timm:NAME".
    why : str
        Where it comes from, in words; empty for the fixed filters that nobody asked about.
    """

    asked: nn.Module | str | None
    weights: str | None = None
    why: str = ""

    @property
    def file(self) -> Path | None:
        """The file that holds weights, or all of it."""
        held = self.asked if is_onnx(self.asked) else self.weights
        return in_home(held) if isinstance(held, str) else None


def found_features(
    features: nn.Module | str | None, weights: str | None, *, download: bool, turned: bool = False
) -> Features:
    """Return what ``features=`` comes to on this machine.

    ``turned`` says that maps have to be turned, which only those of the filters can.

    Raises
    ------
    ConfigError
        If weights are missing, or a file that is named is none of a backbone.
    MissingExtraError
        If a package is needed that is not installed.
    """
    found = _found(features, weights, download=download, turned=turned)
    file = found.file
    if file is None or not file.is_file():  # who reads it says so
        return found
    return replace(found, why=f"{found.why}; SHA-256 of the file {sha256_of(file)}")


def _found(
    features: nn.Module | str | None, weights: str | None, *, download: bool, turned: bool
) -> Features:
    if features is None:
        return Features(None)
    if features == AUTO:
        return _auto(weights, turned=turned)
    if not isinstance(features, str):
        digest = weights_digest(features)
        return Features(
            features, why=f"a module that is not stored; SHA-256 of its weights {digest}"
        )
    if is_onnx(features):
        return Features(features, why=f"the file {Path(features).name}, stored with the model")
    return _timm(features, weights, download=download)


def seen_through(backbone: BackboneSpec | None, why: str) -> str:
    """Say in words what images are seen through, and why; of models without a reason only what."""
    if backbone is None:
        return f"{_FILTERS}{why and ': '}{why}"
    name = backbone.name.removeprefix(ONNX)
    return f"{name}: {why or f'SHA-256 of its weights {backbone.sha256}'}"


def _auto(weights: str | None, *, turned: bool) -> Features:
    """Return the first backbone whose weights are at hand, or none, and what was looked at."""
    if turned:
        return Features(
            None, why="'auto' takes them with pose='any': only their maps can be turned"
        )
    for file, source in (
        (weights, "features_weights"),
        (os.environ.get(BACKBONE_VARIABLE), BACKBONE_VARIABLE),
    ):
        if file:
            return _of_file(in_home(file), source)
    try:
        cached = {name: cached_weights(f"{TIMM}{name}") for name in KNOWN_BACKBONES}
        lacking = f"none of {names_of(KNOWN_BACKBONES)} lies in timm's cache"
    except MissingExtraError:
        cached, lacking = {}, "timm is not installed, in whose cache others may lie"
    for name, path in cached.items():
        if path is not None:
            told = f"'auto' found weights in timm's cache, {_stored(f'{TIMM}{name}')}"
            return Features(f"{TIMM}{name}", str(path), told)
    return Features(
        None,
        why="'auto' found no weights of a backbone at hand: no file is named by features_weights "
        f"or {BACKBONE_VARIABLE}, and {lacking}",
    )


def _of_file(path: Path, source: str) -> Features:
    """Return the backbone of a file that was named for "auto"."""
    if not path.is_file():
        raise ConfigError(
            f"{source} names {str(path)!r}, where no file is. Correct it, or leave it out."
        )
    why = f"'auto' took the file {path.name} that {source} names, stored with the model"
    if is_onnx(str(path)):
        return Features(str(path), why=why)
    name = named_by(path)
    if name is None:
        raise ConfigError(
            f"{source} names {str(path)!r}, which is no ONNX file and called like no model of "
            f"timm. Call it NAME.safetensors, or give features='{TIMM}NAME' with features_weights."
        )
    return Features(name, str(path), why)


def _timm(features: str, weights: str | None, *, download: bool) -> Features:
    """Return a named model with the weights that were given, that lie here, or that are fetched."""
    if weights is not None:
        return Features(
            features, weights, f"weights of {Path(weights).name}, stored with the model"
        )
    known = _in_cache(features)
    if known is not None:
        return Features(features, str(known), f"weights from timm's cache, {_stored(features)}")
    if not download:
        raise ConfigError(
            f"features={features!r} needs weights, and none lie here. Give a local file, "
            "features_weights=FILE.safetensors (--features-weights FILE), or have them fetched "
            "once for this training, download=True (--download): unless told so, weights are "
            "never downloaded."
        )
    fetched = str(fetched_weights(features))
    return Features(features, fetched, f"weights downloaded as told, {_stored(features)}")


def _in_cache(features: str) -> Path | None:
    try:
        return cached_weights(features)
    except MissingExtraError:
        return None


def _stored(features: str) -> str:
    """Say that timm's weights are stored, and under which licence timm says that they stand."""
    licence = licence_of(features)
    stated = f" (licence as timm states it: {licence})" if licence else ""
    return f"stored with the model{stated}"

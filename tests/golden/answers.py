"""What a golden model is asked, and how its answers are compared with those that were kept.

Only what users have is used here (`load_detector` and a detector's public methods): modules inside
the package move, and saved models stay.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from golden.backbone import Filters

from vae_anomaly import load_detector

ROOT = Path(__file__).parent
TOLERANCE = 1e-4  # relative and absolute, as across machines
DIGITS = 6
SMALL = (6, 8)  # height and width of the heatmaps that are kept
CELLS = 8
ADDED = {"peak_x", "peak_y"}  # to regions, by later versions: compared where they were kept
PLATEAU = 4.0  # pixels, half a cell: beyond the centre of the last one all are equally hot


def folders() -> list[Path]:
    """Return one folder for each version of the package that golden models were kept of."""
    return sorted(path.parent for path in ROOT.glob("*/manifest.json"))


def manifest_of(folder: Path) -> dict[str, Any]:
    """Return what made the models of a folder, and its cases: input, module, number of reasons."""
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def read_back(folder: Path, case: dict[str, Any]) -> Any:
    """Load the saved model of a case."""
    given = {"features": Filters()} if case["features"] else {}
    return load_detector(folder / case["name"] / "model", **given)


def read_input(folder: Path, name: str) -> Any:
    """Return rows, an array of images, or a folder of images, by what the input is."""
    path = folder / "inputs" / name
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".npz":
        return np.load(path)["images"]  # never a pickle
    return path


def answers(detector: Any, given: Any, case: dict[str, Any]) -> dict[str, Any]:
    """Ask a detector all that is kept of a case, as JSON values."""
    if getattr(detector, "entities_", None) is not None:
        given = detector.entities_.copy().extend(given)
    found = {
        "assess": detector.assess(given),
        "evidence": detector.evidence(given),
        "explain": detector.explain(given),
        "reasons": detector.reasons(given, top=case["top"]),
        "threshold": detector.threshold_.value,
    }
    if getattr(detector, "tile_size", None) is None:
        found["latents"] = detector.transform(given)
    if hasattr(detector, "predict_proba"):
        found["probability"] = detector.predict_proba(given)
    if detector.kind == "image":
        seen = detector.examine(given)
        found |= {"heat": thinned(seen.heatmap), "scored": thinned(seen.score_map)}
        found["judged_as"] = seen.judged_as
        found["trained_latents"] = None if detector.latents_ is None else detector.latents_[:2]
        found["heatmap"] = sampled(seen.heatmap)
        found["regions"] = [[vars(r) for r in regions] for regions in detector.regions(given)]
    return plain(found)


def thinned(maps: np.ndarray) -> np.ndarray:
    """Return at most `CELLS` by `CELLS` cells of each map, at equal distances."""
    down, across = (-(-side // CELLS) for side in maps.shape[1:])
    return maps[:, ::down, ::across]


def sampled(maps: np.ndarray) -> np.ndarray:
    """Return maps at the `SMALL` size, bilinearly, as `heatmap` did when answers were kept."""
    cells = torch.from_numpy(maps)[:, None]
    return torch.nn.functional.interpolate(cells, SMALL, mode="bilinear")[:, 0].numpy()


def plain(value: Any) -> Any:
    """Return a value as JSON has it, numbers with `DIGITS` digits."""
    if isinstance(value, pd.DataFrame):
        return {str(name): plain(value[name].tolist()) for name in value}
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def without_words(answers: dict[str, Any]) -> dict[str, Any]:
    """Leave out the reasons of rows: which are told, and how, is today's; the numbers are kept."""
    of_rows = "regions" not in answers
    return {name: value for name, value in answers.items() if not (of_rows and name == "reasons")}


def differences(found: Any, kept: Any, where: str = "", tolerance: float = TOLERANCE) -> list[str]:
    """Return where answers differ from those that were kept, one line each."""
    found, kept = _one_word(found), _one_word(kept)
    if type(found) is not type(kept) and not (_number(found) and _number(kept)):
        return [f"{where}: {found!r}, kept is {kept!r}"]
    if isinstance(kept, dict):
        found = {name: one for name, one in found.items() if name in kept or name not in ADDED}
        if found.keys() != kept.keys():
            return [f"{where}: has {sorted(found)}, kept are {sorted(kept)}"]
        within = {name: PLATEAU if name in ADDED else tolerance for name in kept}
        return [
            line for k in kept for line in differences(found[k], kept[k], f"{where}/{k}", within[k])
        ]
    if isinstance(kept, list):
        if len(found) != len(kept):
            return [f"{where}: {len(found)} entries, kept are {len(kept)}"]
        pairs = enumerate(zip(found, kept, strict=True))
        return [line for i, pair in pairs for line in differences(*pair, f"{where}/{i}", tolerance)]
    return [] if _same(found, kept, tolerance) else [f"{where}: {found!r}, kept is {kept!r}"]


def _one_word(value: Any) -> Any:
    """Read today's words on both sides: an image was a picture in the first saved models."""
    if isinstance(value, str):
        return value.replace("picture", "image").replace("heat map", "heatmap")
    if isinstance(value, dict):
        return {name.replace("picture", "image"): one for name, one in value.items()}
    return value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(found: Any, kept: Any, tolerance: float) -> bool:
    if _number(kept):
        return bool(np.isclose(found, kept, rtol=TOLERANCE, atol=tolerance))
    return bool(found == kept)

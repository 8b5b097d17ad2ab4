"""What is known of the models that scored, kept beside what they scored.

One file a model, ``review/model-<digest>.json``, so that a page tells of held-out normals and of
the threshold where the model itself is no longer at hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vae_anomaly.batch.output.ledger import LedgerRow
from vae_anomaly.batch.output.written import is_model_path
from vae_anomaly.batch.plan import ScoringModel, loaded_detector
from vae_anomaly.errors import DataError
from vae_anomaly.files import json_text, leads_out, replace_file, sha256_of
from vae_anomaly.reports.facts.night import ScoringFacts
from vae_anomaly.state import from_json
from vae_anomaly.version import __version__

if TYPE_CHECKING:
    from vae_anomaly.arrays import Floats, Ints
    from vae_anomaly.detectors.protocol import AnyDetector

MOST_HELD_OUT: Final = 2000
"""Scores of held-out normals that are kept; of more of them so many quantiles, or, where they have
groups, so many of them at even ranks."""


def models_path(digest: str) -> str:
    """Return where the facts of a model lie below the output folder."""
    return f"review/model-{digest[:12]}.json"


def scoring_facts(model: ScoringModel, detector: AnyDetector) -> ScoringFacts:
    """Return what a page says of a model."""
    held_out, groups = detector.calibration_.reference_scores(), detector.calibration_groups_
    few = _few(held_out) if groups is None else held_out[_places(len(held_out))]
    return ScoringFacts(
        version=model.version,
        digest=model.digest,
        kind=detector.kind,
        threshold=detector.threshold_.to_dict(),
        held_out=tuple(few.tolist()),
        n_held_out=len(held_out),
        fingerprint=dict(detector.fingerprint_),
        package_version=__version__,
        baseline=None if detector.baseline_ is None else detector.baseline_.to_dict(),
        groups=() if groups is None else tuple(groups[_places(len(held_out))].tolist()),
    )


def _few(scores: Floats) -> Floats:
    if len(scores) <= MOST_HELD_OUT:
        return scores
    return np.asarray(np.quantile(scores, np.linspace(0.0, 1.0, MOST_HELD_OUT)))


def _places(n: int) -> Ints:
    """Return which scores of n are kept, where each has a group: none lies between two."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_HELD_OUT)).round().astype(np.int64))


def keep_models(
    root: Path, model: ScoringModel, rows: Iterable[LedgerRow], manifest: Path
) -> dict[str, str]:
    """Write the facts of a run's model, and drop those of models that have no results left.

    Returns
    -------
    dict of str to str
        SHA-256 of each file of facts, by its name below the output folder.
    """
    names = {models_path(row.model_digest) for row in rows}
    own = models_path(model.digest)
    if own in names:
        content = json_text(asdict(scoring_facts(model, loaded_detector(model)))).encode()
        if not (root / own).is_file() or (root / own).read_bytes() != content:
            manifest.unlink(missing_ok=True)  # it lists the file as it was
            with replace_file(root / own) as temporary:
                temporary.write_bytes(content)
    for path in (root / "review").glob("model-*.json"):
        if f"review/{path.name}" not in names:
            path.unlink()
    return {name: sha256_of(root / name) for name in sorted(names) if (root / name).is_file()}


def read_scoring_facts(root: str | Path, manifest: Mapping[str, Any]) -> dict[str, ScoringFacts]:
    """Read what is known of the models that scored an output folder.

    Parameters
    ----------
    root : str or Path
        Output folder of a finished run.
    manifest : mapping
        As `read_manifest` gives it.

    Returns
    -------
    dict of str to ScoringFacts
        By the model's digest, ``model_digest`` of a partition; without models of earlier versions,
        which kept nothing.

    Raises
    ------
    DataError
        If a file is missing, is not the one that the manifest lists, or is none of these.
    """
    facts = {}
    for name, digest in manifest.get("models", {}).items():
        one = _read(Path(root), str(name), str(digest))
        facts[one.digest] = one
    return facts


def _read(root: Path, name: str, digest: str) -> ScoringFacts:
    remedy = "Score the input again."
    if not is_model_path(name) or leads_out(root, name):
        raise DataError(f"The manifest lists {name!r}, which is no file of a model. {remedy}")
    path = root / name
    try:
        content = path.read_bytes()
        if sha256_of(content) != digest:
            raise DataError("its SHA-256 is not that of the manifest.")
        facts = from_json(ScoringFacts, json.loads(content))
        if models_path(facts.digest) != name:
            raise DataError(f"it is of another model, {facts.digest[:12]}.")
    except (OSError, ValueError, RecursionError, AttributeError) as err:
        raise DataError(f"{path} tells of no model that scored here: {err} {remedy}") from None
    return facts

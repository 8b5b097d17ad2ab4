"""A detector as an MLflow model directory, and the check that it is still the one we wrote.

::

    package/
      MLmodel                     loader_module: vae_anomaly.tracking, data: data/model
      data/model/                 the model directory of `vae_anomaly.persistence`
      conda.yaml, python_env.yaml, requirements.txt
      input_example.json, serving_input_example.json

The signature names what comes out, and nothing of what goes in. MLflow's own check of types would
refuse whole numbers where a column is of numbers, and turn null to false and milliseconds to
nanoseconds before the model sees them. `vae_anomaly.tracking.pyfunc` reads what comes, by the
model's schema; ``metadata: columns`` in MLmodel says which columns that are.

There is no pickle and no code in it. MLflow stores no digests, so the SHA-256 of every file goes
into a tag of the model version when it is registered, and is checked before anything is loaded.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.files import is_system_file, sha256_of
from vae_anomaly.persistence import DetectorState
from vae_anomaly.version import __version__

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from vae_anomaly.data.tables.kinds import Column

LOADER = "vae_anomaly.tracking"
INNER = "data/model"
"""The detector's own directory inside the package."""

IMAGE_COLUMN = "image"
"""Encoded files (PNG, JPEG, ...) as bytes; base64 text over HTTP."""

CONDITION_COLUMN = "condition"
"""What each image shows, for a conditional model."""

WHITE_COLUMN = "white"
"""What is white in each image, where that is not the model's; may be absent."""

REQUIREMENTS = (
    "mlflow", "numpy", "pandas", "pillow", "pyarrow", "pydantic",
    "safetensors", "scikit-learn", "scipy", "torch",
)  # fmt: skip
_RUNS = {"timm": "timm", "onnx": "onnxruntime"}
"""Packages that run backbones, by the kind that the name of one begins with."""

_FLAVOR_KEYS = {"code", "data", "env", "loader_module", "python_version", "streamable"}


def write_package(
    detector_dir: Path, state: DetectorState, target: Path, *, example: pd.DataFrame | None = None
) -> Path:
    """Create the MLflow model directory around a copy of a detector's directory and its state.

    ``example`` are rows to keep as input example. They become public to everyone who can read the
    model, so the default is a made-up one.
    """
    import mlflow.pyfunc

    columns = input_columns(state)
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        named = Path(scratch) / Path(INNER).name  # MLflow keeps it as data/<name>
        shutil.copytree(detector_dir, named)
        mlflow.pyfunc.save_model(
            str(target),
            loader_module=LOADER,
            data_path=str(named),
            signature=_signature(state.kind),
            input_example=_made_up(state) if example is None else example[list(columns)],
            pip_requirements=pip_requirements(state),
            metadata={
                "kind": state.kind,
                "package_version": __version__,
                "columns": [{"name": name, "kind": kind} for name, kind in columns.items()],
            },
        )
    return target


def pip_requirements(state: DetectorState) -> list[str]:
    """Return the exact versions that a model was made with, without local build tags."""
    names = (*REQUIREMENTS, *_of_backbone(state))
    pins = [f"{name}=={version(name).partition('+')[0]}" for name in names]
    return [f"vae-anomaly=={__version__}", *pins]


def _of_backbone(state: DetectorState) -> tuple[str, ...]:
    """Return the package that runs the backbone of an image model."""
    backbone = (state.preprocessing.get("network") or {}).get("backbone") or {}
    kind = str(backbone.get("name", "")).partition(":")[0]
    return tuple(package for key, package in _RUNS.items() if key == kind)


def environment() -> dict[str, str]:
    """Return interpreter, platform and versions of the packages that shape a result."""
    import platform

    versions = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "vae-anomaly": __version__,
    }
    for name in REQUIREMENTS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below ``folder``, by its path in it.

    What file managers leave in folders is passed over. A symbolic link, which could point anywhere,
    is refused.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ModelRefusedError(f"{folder} holds a symbolic link, {name}. A model has none.")
        if path.is_file() and not is_system_file(path.name):
            digests[name] = sha256_of(path)
    return digests


def listing_digest(files: Mapping[str, str]) -> str:
    """Return one SHA-256 for a set of files and their digests."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return sha256_of(lines)


def check_package(folder: Path, files: Mapping[str, str], what: str) -> Path:
    """Check a download against the digests of its registration; return the detector's directory.

    ``files`` are path and SHA-256 of every file, from the model version's tag; ``what`` names the
    model in the error. Refused are files that are missing, added or changed, and an ``MLmodel``
    that asks for other code than ours.
    """
    digests = file_digests(folder)
    missing, extra = sorted(files.keys() - digests.keys()), sorted(digests.keys() - files.keys())
    changed = sorted(name for name in files.keys() & digests.keys() if files[name] != digests[name])
    if missing or extra or changed:
        raise ModelRefusedError(
            f"{what} is not what was registered: changed {changed or 'nothing'}, missing "
            f"{missing or 'nothing'}, added {extra or 'nothing'}. The stored files were altered "
            "afterwards; register the model again from a good copy."
        )
    _check_mlmodel(folder, what)
    return folder / INNER


def _check_mlmodel(folder: Path, what: str) -> None:
    from mlflow.models import Model

    try:
        flavors = Model.load(str(folder / "MLmodel")).flavors  # yaml.safe_load underneath
    except Exception as err:
        raise ModelRefusedError(
            f"{what} has an MLmodel file that cannot be read ({type(err).__name__}). "
            "Register the model again from a good copy."
        ) from err
    ours = flavors.get("python_function", {})
    wrong = [
        f"{key}: {value}"
        for key, value in sorted(ours.items())
        if key not in _FLAVOR_KEYS or (key == "code" and value is not None)
    ]
    wrong += [f"flavor {name}" for name in sorted(flavors.keys() - {"python_function"})]
    if ours.get("loader_module") != LOADER or ours.get("data") != INNER or wrong:
        raise ModelRefusedError(
            f"{what} is not a model of this package: loader_module is "
            f"{ours.get('loader_module')!r}, data is {ours.get('data')!r}, unexpected "
            f"{wrong or 'nothing'}. Only models that vae-anomaly registered are loaded."
        )


def input_columns(state: DetectorState) -> dict[str, str]:
    """Return the columns that a model is given, in order, and what each is."""
    if state.kind == "image":
        return image_columns(bool(state.preprocessing.get("conditions")))
    return {column.name: str(column.kind) for column in _features(state)}


def image_columns(conditional: bool) -> dict[str, str]:
    """Return the columns that a model of images is given, and what each is."""
    columns = {IMAGE_COLUMN: "a PNG, JPEG, ... file, as bytes or base64 text"}
    return columns | ({CONDITION_COLUMN: "what the image shows"} if conditional else {})


def _features(state: DetectorState) -> tuple[Column, ...]:
    from vae_anomaly.data.tables.schema import Schema

    return Schema.model_validate(state.schema).features


def _signature(kind: str) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    outputs = [
        ColSpec("double", "score"),
        ColSpec("double", "p_value"),
        ColSpec("boolean", "is_anomaly"),
        ColSpec("string", "status"),
    ]
    if kind != "image":
        outputs += [ColSpec("string", f"reason_{k}") for k in (1, 2, 3)]
    return ModelSignature(outputs=Schema(outputs))


def _made_up(state: DetectorState) -> pd.DataFrame:
    """Return one row of nobody's, as a request may send it."""
    if state.kind == "image":
        conditions = state.preprocessing.get("conditions", ())
        shown = {CONDITION_COLUMN: [conditions[0]]} if conditions else {}
        return pd.DataFrame({IMAGE_COLUMN: [_grey_png()], **shown})
    return pd.DataFrame({column.name: [_example_cell(column)] for column in _features(state)})


def _example_cell(column: Column) -> object:
    by_kind = {"numeric": 0.0, "categorical": "a", "boolean": True}
    return by_kind.get(str(column.kind), "2026-01-01T12:00:00")


def _grey_png() -> bytes:
    from PIL import Image

    ramp = np.tile(np.linspace(64, 192, 64, dtype=np.uint8), (64, 1))
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, format="PNG")
    return buffer.getvalue()

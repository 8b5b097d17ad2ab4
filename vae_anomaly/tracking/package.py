"""A detector as an MLflow model directory, and the check that it is still the one we wrote.

::

    package/
      MLmodel                     loader_module: vae_anomaly.tracking, data: data/model
      data/model/                 the model directory of `vae_anomaly.persistence`
      conda.yaml, python_env.yaml, requirements.txt
      input_example.json, serving_input_example.json

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
from vae_anomaly.files import sha256_of
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

REQUIREMENTS = (
    "mlflow", "numpy", "pandas", "pillow", "pyarrow", "pydantic",
    "safetensors", "scikit-learn", "scipy", "torch",
)  # fmt: skip
_FLAVOR_KEYS = {"code", "data", "env", "loader_module", "python_version", "streamable"}
_COLUMN_TYPES = {
    ("numeric", "any"): "double",
    ("categorical", "any"): "string",
    ("boolean", "any"): "boolean",
    ("boolean", "number"): "double",
    ("boolean", "text"): "string",
    ("timestamp", "any"): "datetime",
    ("timestamp", "number"): "double",
    ("timestamp", "text"): "string",
}
"""MLflow's type by a column's kind and by how the training data held it."""


def write_package(
    detector_dir: Path, state: DetectorState, target: Path, *, example: pd.DataFrame | None = None
) -> Path:
    """Create the MLflow model directory around a copy of a detector's directory and its state.

    ``example`` are rows to keep as input example. They become public to everyone who can read the
    model, so the default is a made-up one.
    """
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        named = Path(scratch) / Path(INNER).name  # MLflow keeps it as data/<name>
        shutil.copytree(detector_dir, named)
        mlflow.pyfunc.save_model(
            str(target),
            loader_module=LOADER,
            data_path=str(named),
            signature=_signature(state),
            input_example=_typed_example(state, example),
            pip_requirements=pip_requirements(),
            metadata={"kind": state.kind, "package_version": __version__},
        )
    return target


def pip_requirements() -> list[str]:
    """Return the exact versions that the model was made with, without local build tags."""
    pins = [f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS]
    return [f"vae-anomaly=={__version__}", *pins]


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

    A symbolic link, which could point anywhere, is refused.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ModelRefusedError(f"{folder} holds a symbolic link, {name}. A model has none.")
        if path.is_file():
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


def _signature(state: DetectorState) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    outputs = [
        ColSpec("double", "score"),
        ColSpec("double", "p_value"),
        ColSpec("boolean", "is_anomaly"),
        ColSpec("string", "status"),
    ]
    if state.kind == "image":
        inputs = [ColSpec("binary", IMAGE_COLUMN)]
    else:
        inputs = [ColSpec(kind, name) for name, kind in _table_columns(state).items()]
        outputs += [ColSpec("string", f"reason_{k}") for k in (1, 2, 3)]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _table_columns(state: DetectorState) -> dict[str, str]:
    from vae_anomaly.data.tables.schema import Schema

    schema = Schema.model_validate(state.schema)
    return {column.name: _mlflow_type(column) for column in schema.features}


def _mlflow_type(column: Column) -> str:
    kind = str(column.kind)
    return _COLUMN_TYPES.get((kind, str(column.stored)), _COLUMN_TYPES[kind, "any"])


def _typed_example(state: DetectorState, example: pd.DataFrame | None) -> pd.DataFrame:
    if state.kind == "image":
        return pd.DataFrame({IMAGE_COLUMN: [_grey_png()]}) if example is None else example
    columns = _table_columns(state)
    if example is None:
        return pd.DataFrame({name: _made_up(kind) for name, kind in columns.items()})
    return pd.DataFrame({name: _cast(example[name], kind) for name, kind in columns.items()})


def _made_up(kind: str) -> list[object]:
    noon = pd.Timestamp("2026-01-01T12:00:00")
    return [{"double": 0.0, "string": "a", "boolean": True, "datetime": noon}[kind]]


def _cast(cells: pd.Series, kind: str) -> pd.Series:
    """Give a column the type that its place in the signature asks for."""
    if kind == "double":
        return pd.to_numeric(cells, errors="coerce").astype(np.float64)
    if kind == "datetime":
        return pd.to_datetime(cells, errors="coerce")
    as_type = bool if kind == "boolean" else str
    return pd.Series([None if pd.isna(cell) else as_type(cell) for cell in cells], dtype=object)


def _grey_png() -> bytes:
    from PIL import Image

    ramp = np.tile(np.linspace(64, 192, 64, dtype=np.uint8), (64, 1))
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, format="PNG")
    return buffer.getvalue()

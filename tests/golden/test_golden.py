"""Models that earlier versions saved are read back, and answer as they did, to 1e-4.

``PYTHONPATH=tests python -m golden.make NAME`` keeps those of the present version in a folder of
their own; see README.md here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from golden.answers import (
    answers,
    differences,
    folders,
    manifest_of,
    read_back,
    read_input,
    without_words,
)
from safetensors.numpy import load_file, save_file

from vae_anomaly import load_detector
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.tracking import init_store, load, show_model

LARGEST = 1_750_000  # bytes in a folder
CASES = [
    pytest.param(folder, case, id=f"{folder.name}-{case['name']}")
    for folder in folders()
    for case in manifest_of(folder)["cases"]
]


def kept_of(folder: Path, case: dict) -> dict:
    text = (folder / case["name"] / "expected.json").read_text(encoding="utf-8")
    return without_words(json.loads(text))


def asked(detector, folder: Path, case: dict) -> dict:
    return without_words(answers(detector, read_input(folder, case["input"]), case))


def test_there_are_golden_models_and_all_of_them_are_listed():
    assert folders()
    for folder in folders():
        listed = {case["name"] for case in manifest_of(folder)["cases"]}
        assert listed == {path.parent.name for path in folder.glob("*/model")}
        assert listed >= {"table_mixed", "bank_default", "pixels_conv"}


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_golden_models_stay_small(folder):
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LARGEST


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_a_saved_model_answers_as_the_version_that_saved_it(folder, case):
    found = asked(read_back(folder, case), folder, case)
    assert differences(found, kept_of(folder, case)) == []


# ---------------------------------------------------------------------- would it be noticed?


@pytest.fixture(params=["table_mixed", "bank_default", "pixels_conv"])
def copied(request, tmp_path):
    """The oldest folder, copied, and one of its cases."""
    shutil.copytree(folders()[0], tmp_path / "copy")
    cases = manifest_of(tmp_path / "copy")["cases"]
    return tmp_path / "copy", next(case for case in cases if case["name"] == request.param)


def changed_weights(model: Path) -> None:
    """Make all weights a thousandth larger, and sign the model again."""
    weights = load_file(model / "weights.safetensors")
    larger = {name: (array * 1.001).astype(array.dtype) for name, array in weights.items()}
    save_file(larger, model / "weights.safetensors")
    lines = (model / "SHA256SUMS").read_text().splitlines()
    names = [line.split()[1] for line in lines]
    sums = [hashlib.sha256((model / name).read_bytes()).hexdigest() for name in names]
    signed = "".join(f"{one}  {name}\n" for one, name in zip(sums, names, strict=True))
    (model / "SHA256SUMS").write_text(signed)


def test_weights_that_are_a_thousandth_larger_are_noticed(copied):
    folder, case = copied
    changed_weights(folder / case["name"] / "model")
    found = asked(read_back(folder, case), folder, case)
    assert differences(found, kept_of(folder, case))


def test_a_damaged_model_is_noticed(copied):
    folder, case = copied
    weights = folder / case["name"] / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelRefusedError, match="changed after it was saved"):
        read_back(folder, case)


@pytest.mark.parametrize(
    ("found", "kept", "noticed"),
    [
        ({"raw_score": [100.005]}, {"raw_score": [100.0]}, False),
        ({"raw_score": [100.03]}, {"raw_score": [100.0]}, True),
        ({"raw_score": [0.0003]}, {"raw_score": [0.0]}, True),
        ({"raw_score": [float("nan")]}, {"raw_score": [0.0]}, True),
        ({"is_anomaly": [True]}, {"is_anomaly": [1]}, True),
        ({"reasons": [["a 1"]]}, {"reasons": [["a 2"]]}, True),
        ({"reasons": [["a 1"]]}, {"reasons": [["a 1", "b 1"]]}, True),
        ({"kl": [1.0], "nll": [1.0]}, {"kl": [1.0]}, True),
        ({"whole_image": [1.0]}, {"whole_picture": [1.0]}, False),
        ({"reasons": ["2 % of the image"]}, {"reasons": ["2 % of the picture"]}, False),
        ({"reasons": ["a hot heatmap"]}, {"reasons": ["a hot heat map"]}, False),
    ],
    ids=str,
)
def test_what_differs_by_more_than_rounding_is_noticed(found, kept, noticed):
    assert bool(differences(found, kept)) is noticed


# ---------------------------------------------------------------------- MLflow


def laid_again(folder: Path, store: Path) -> str:
    """Lay the kept store: its files, and its rows in the tables of the MLflow that is installed."""
    uri = init_store(store)
    shutil.copytree(folder / "store" / "artifacts", store / "artifacts", dirs_exist_ok=True)
    text = (folder / "store" / "rows.json").read_text(encoding="utf-8")
    tables = json.loads(text.replace("@STORE@", store.as_posix()))
    with closing(sqlite3.connect(store / "mlflow.db")) as connection, connection:
        for table, rows in tables.items():
            known = [one[1] for one in connection.execute(f"PRAGMA table_info('{table}')")]
            for row in rows:
                names = [name for name in known if name in row]
                marks = ", ".join("?" * len(names))
                connection.execute(
                    f'INSERT INTO "{table}" ({", ".join(names)}) VALUES ({marks})',  # noqa: S608  # names from the schema itself
                    [row[name] for name in names],
                )
    return uri


@pytest.fixture(scope="module", params=folders(), ids=lambda folder: folder.name)
def registered(request, tmp_path_factory):
    """A folder of golden models, and the URI of the MLflow store that it keeps."""
    return request.param, laid_again(request.param, tmp_path_factory.mktemp("golden") / "store")


def test_a_model_in_a_store_of_an_earlier_version_still_loads(registered, tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_CACHE", str(tmp_path / "cache"))
    folder, uri = registered
    detector, resolved = load("models:/readings@champion", uri)
    cases = manifest_of(folder)["cases"]
    case = next(case for case in cases if case["name"] == "table_probability")
    found = asked(detector, folder, case)
    assert differences(found, kept_of(folder, case)) == []
    assert (resolved.version, show_model("readings", uri).promotions[0].who) == (1, "golden")


def test_mlflow_loads_a_package_of_an_earlier_version(registered):
    folder, _ = registered
    (package,) = (path.parent for path in (folder / "store").rglob("MLmodel"))
    rows = read_input(folder, "readings.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        import mlflow.pyfunc

        found = mlflow.pyfunc.load_model(str(package)).predict(rows)
    kept = kept_of(folder, {"name": "table_probability"})
    np.testing.assert_allclose(found["p_value"], kept["assess"]["p_value"], rtol=1e-4, atol=1e-4)
    assert found["is_anomaly"].tolist() == kept["assess"]["is_anomaly"]
    flagged = [i for i, strange in enumerate(found["is_anomaly"]) if strange]
    assert all(found["reason_1"][i] for i in flagged)
    assert load_detector(package / "data" / "model").kind == "tabular"

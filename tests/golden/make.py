"""Save golden models with the code as it is now, in a folder of their own::

    PYTHONPATH=tests python -m golden.make 2026-11

Earlier folders stay: what they hold must be read back by every later version. The networks are
made small on purpose, by defaults that no parameter reaches; a model's file says how wide it is,
so what reads it does not know.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from golden import inputs
from golden.answers import ROOT, answers, read_back, read_input
from golden.backbone import Filters

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, __version__, load_detector
from vae_anomaly.data.tables.entity_histories import EntityColumns
from vae_anomaly.detectors.images.networks import pixels as image_members
from vae_anomaly.jobs import Destination, TableColumns, train_table_job
from vae_anomaly.scoring.probability import calibrate_probability
from vae_anomaly.tracking import init_store, log_training

STORE = "@STORE@"  # stands for the folder of the store
NOT_KEPT = ("alembic_version", "workspaces", "metrics", "latest_metrics")
TABLE = {"preset": "fast", "hidden": 8, "max_steps": 30, "random_state": 0, "target_fpr": 0.05}
IMAGE = {"preset": "fast", "max_steps": 4, "random_state": 0, "target_fpr": 0.1}
ALONE = ("ladder", "autoencoder", "importance_weighted", "mixture", "vamp")
PIXELS = (
    "conv", "autoencoder", "vq", "ladder", "importance_weighted", "mixture", "vamp",
)  # fmt: skip


def make_small() -> None:
    """Make members on pixels narrow: one of the usual width takes 1 to 17 MB."""
    image_members._CHANNELS = (2, 2, 4)
    ladder = replace(image_members.PIXEL_MEMBERS["ladder"], hidden=(2, 2, 2))
    image_members.PIXEL_MEMBERS["ladder"] = ladder


def table(**parameters: Any) -> TabularVAEDetector:
    return TabularVAEDetector(**{**TABLE, **parameters})


def image(**parameters: Any) -> ImageVAEDetector:
    return ImageVAEDetector(64, **{**IMAGE, **parameters})


def tables() -> dict[str, tuple[Any, str]]:
    """Return fitted detectors of tables with the name of what they are asked."""
    mixed, numbers, products = (
        inputs.payments(60, 1), inputs.readings(80, 2), inputs.presses(225, 3)
    )  # fmt: skip
    found = {
        "table_mixed": (table(preset="default").fit(mixed), "payments.parquet"),
        "table_conditional": (
            table(model="conditional", condition="product").fit(products), "presses.parquet"
        ),
        "table_groups_contamination": (
            table(contamination=0.04).fit(inputs.customers(150, 4), groups="customer"),
            "customers.parquet",
        ),
        "table_summary_memory": (
            table(memory=100).fit(inputs.readings(5_100, 5)), "readings.parquet"
        ),
        "table_probability": (with_probability(table().fit(numbers)), "readings.parquet"),
        "table_entities": (with_entities(), "cards.parquet"),
    }  # fmt: skip
    members = {f"table_{name}": table(model=name).fit(numbers) for name in ALONE}
    return found | {name: (made, "readings.parquet") for name, made in members.items()}


def with_probability(detector: TabularVAEDetector) -> TabularVAEDetector:
    """Give a detector of readings probabilities, by labels."""
    rows = inputs.readings(150, 6)
    rows.loc[100:, "b"] *= -1.0
    labels = np.repeat([0, 1], [100, 50])
    return detector.set_probability(calibrate_probability(detector.anomaly_score(rows), labels))


def with_entities() -> TabularVAEDetector:
    """Fit a detector that compares a payment with its card's own past."""
    declared = EntityColumns(("card",), time="at", amount="euro")
    with tempfile.TemporaryDirectory() as scratch:
        days = Path(scratch) / "days.parquet"
        inputs.cards(0, 12, per_day=12).to_parquet(days)
        where = Destination(folder=Path(scratch) / "model")
        train_table_job(table(), days, where, TableColumns(id_column="id"), entities=declared)
        return load_detector(where.folder)


def images() -> dict[str, tuple[Any, str]]:
    """Return fitted detectors of images with the name of what they are asked."""
    good, wide, parts = inputs.grey(24, 11), inputs.grey(16, 12, (64, 96)), inputs.moved(24, 13)
    bank = {"latent_dim": 2}
    found = {
        "bank_fast": (image(**bank).fit(good), "grey.npz"),
        "bank_default": (image(preset="default", max_steps=30, **bank).fit(good), "grey.npz"),
        "bank_any_pose_colour_16_bit": (
            image(pose="any", **bank).fit(inputs.colour(20, 14)), "colour.npz"
        ),
        "bank_registered_foreground": (
            image(register="shift", foreground="auto", **bank).fit(parts), "moved.npz"
        ),
        "bank_features": (image(features=Filters(), **bank).fit(good), "grey.npz"),
        "bank_tiles": (image(tile_size=64, **bank).fit(wide), "wide.npz"),
        "bank_tiles_features": (
            image(preset="default", tile_size=64, features=Filters(), max_steps=20, **bank)
            .fit(wide), "wide.npz"
        ),
        "pixels_conditional": (conditional(), "products"),
    }  # fmt: skip
    for name in PIXELS:  # with a seed that leaves no layer of so narrow networks dead
        few = inputs.grey(8 if name == "vamp" else 20, 15)  # its prior is made of whole images
        member = image(model=name, latent_dim=2, max_steps=60, random_state=5).fit(few)
        found[f"pixels_{name}"] = (member, "grey.npz")
    return found


def conditional() -> ImageVAEDetector:
    """Fit a detector that is told by an image's folder which product it shows."""
    with tempfile.TemporaryDirectory() as scratch:
        parts = inputs.write_products(Path(scratch) / "parts", 12, 16)
        return image(model="conditional", condition="folder", latent_dim=2, max_steps=60).fit(parts)


def write_inputs(folder: Path) -> None:
    """Write what the models are asked about."""
    folder.mkdir()
    for name, rows in {
        "payments": inputs.strange_payments(), "presses": inputs.strange_presses(),
        "readings": inputs.strange_readings(), "cards": inputs.strange_cards(),
        "customers": inputs.strange_readings().assign(customer=[1, 2, 3, 90, 91, 92, 93]),
    }.items():  # fmt: skip
        rows.to_parquet(folder / f"{name}.parquet", index=False)
    for name, shown in {
        "grey": inputs.grey(3, 21), "wide": inputs.grey(3, 22, (64, 96)),
        "moved": inputs.moved(3, 23), "colour": inputs.colour(3, 24),
    }.items():  # fmt: skip
        np.savez_compressed(folder / f"{name}.npz", images=inputs.spoilt(shown))
    inputs.write_products(folder / "products", 3, 25, spoil=True)


def write_store(folder: Path, model: Path) -> None:
    """Register a model in a new MLflow store; keep its files, and its rows as JSON.

    The rows alone, since a database has the tables of one version of MLflow.
    """
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["LOGNAME"] = "golden"  # who moved the alias
        store = Path(scratch) / "store"
        init_store(store)
        log_training(load_detector(model), name="readings", uri=store, alias="champion")
        with closing(sqlite3.connect(store / "mlflow.db")) as connection:
            rows = json.dumps(_rows(connection), indent=1)
        saved = next(store.rglob("MLmodel")).parent
        shutil.copytree(saved, folder / saved.relative_to(store))
        (folder / "rows.json").write_text(rows.replace(str(store), STORE) + "\n", encoding="utf-8")


def _rows(connection: sqlite3.Connection) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables that have any; not the experiment that MLflow itself makes."""
    connection.row_factory = sqlite3.Row
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    rows = {}
    for (name,) in (tuple(row) for row in found):
        if name not in NOT_KEPT:
            cells = [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]  # noqa: S608  # names from the schema itself
            rows[name] = [one for one in cells if one.get("experiment_id") != 0]
    return {name: kept for name, kept in rows.items() if kept}


def made_by() -> dict[str, str]:
    """Return the version of the package, its newest commit, and what computed the numbers."""
    asked = ["git", "log", "-1", "--format=%h %cs", "--", "vae_anomaly"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT.parents[1])
    commit, day = told.stdout.split()
    used = {name: version(name) for name in ("numpy", "pandas", "torch", "mlflow")}
    return {"package_version": __version__, "commit": commit, "date": day, **used}


def write_case(folder: Path, name: str, detector: Any, asked: str) -> dict[str, Any]:
    """Save a model, and what it answers when it is read back."""
    top = 2 if name == "table_conditional" else 3  # a condition's own share is 0, but for rounding
    case = {
        "name": name, "input": asked, "features": name.endswith("_features"), "top": top
    }  # fmt: skip
    detector.save(folder / name / "model")
    kept = answers(read_back(folder, case), read_input(folder, asked), case)
    text = json.dumps(kept, allow_nan=False, separators=(",", ":"))
    (folder / name / "expected.json").write_text(text + "\n", encoding="utf-8")
    return case


def main(name: str) -> None:
    """Make all golden models below a folder that must be new."""
    folder = ROOT / name
    folder.mkdir()
    make_small()
    write_inputs(folder / "inputs")
    made = {**tables(), **images()}
    cases = [write_case(folder, name, *pair) for name, pair in made.items()]
    write_store(folder / "store", folder / "table_probability" / "model")
    text = json.dumps({"made_by": made_by(), "cases": cases}, indent=1)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

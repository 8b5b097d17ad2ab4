"""What the tests of evaluate, threshold and inspect share: labelled items and a way to call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import (  # noqa: F401 - fixtures
    SIDE,
    image_model,
    migrated_store,
    own_cache,
    store,
    surface,
    table_model,
    transactions,
)

from vae_anomaly.cli import main


def labelled_transactions(n: int = 150, n_odd: int = 12) -> pd.DataFrame:
    """Rows of which the last few have absurd amounts; the column is_fraud says so."""
    frame = transactions(n, seed=50)
    frame["is_fraud"] = (np.arange(n) >= n - n_odd).astype(int)
    frame.loc[frame["is_fraud"] == 1, "amount"] = 9_000.0
    return frame


def write_labelled_surfaces(folder: Path, n_good: int = 12, n_holes: int = 4) -> Path:
    """Write test/good, test/hole and the outlines of the holes."""
    from PIL import Image, ImageDraw

    for kind, count, first in (("good", n_good, 700), ("hole", n_holes, 800)):
        (folder / "test" / kind).mkdir(parents=True)
        for i in range(count):
            image = surface(first + i, hole=kind == "hole")
            image.save(folder / "test" / kind / f"{i:03d}.png")
    outlines = folder / "ground_truth" / "hole"
    outlines.mkdir(parents=True)
    for i in range(n_holes):
        mask = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(mask).ellipse((20, 20, 42, 42), fill=255)
        mask.save(outlines / f"{i:03d}_mask.png")
    return folder


Call = Callable[..., Any]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch, own_cache) -> Call:
    """Run a command in an empty folder; return (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(arg) for arg in args])
        out = capsys.readouterr()
        return int(stop.value.code or 0), out.out, out.err

    return run


@pytest.fixture
def call_json(call: Call) -> Call:
    """Run a command with --json and return the document."""

    def run(*args: object) -> Any:
        code, out, err = call(*args, "--json")
        assert code == 0, err
        return json.loads(out)

    return run

"""Sweeps from the command line: the table, JSON, MLflow, an outage, and what is refused."""

from __future__ import annotations

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tracking.real_models import write_surfaces

from vae_anomaly.errors import ConfigError, RegistryUnavailableError
from vae_anomaly.vae.sweep import SweepReport

DEAD = "http://127.0.0.1:9"
SHORT = ("--steps", 3, "--no-track")


@pytest.fixture
def valves(tmp_path):
    """Rows of eight sensors that follow two factors, a code, a machine, and 5 labelled faults."""
    rng = np.random.default_rng(5)
    loadings = np.random.default_rng(6).normal(size=(2, 8))
    sensors = rng.normal(size=(400, 2)) @ loadings + 0.2 * rng.normal(size=(400, 8))
    frame = pd.DataFrame(7.0 + 3.0 * sensors, columns=[f"sensor{i}" for i in range(8)])
    frame["code"] = rng.choice(["a", "b"], 400)
    frame["machine"] = [f"m{i % 20}" for i in range(400)]
    frame["fault"] = (np.arange(400) >= 395).astype(int)
    frame.to_csv(tmp_path / "valves.csv", index=False)
    return "valves.csv"


def cells_of(said: dict, latent_dim: int) -> list[dict]:
    return [cell for cell in said["cells"] if cell["latent_dim"] == latent_dim]


def test_table_shows_the_order_of_errors_and_is_logged(call_json, valves, store):
    said = call_json("sweep", "table", valves, "--labels", "fault", "--groups", "machine", "--beta",
                     "0.5,1,4", "--latent-dim", 2, "--steps", 250, "--name", "valves",
                     "--tracking-uri", store)  # fmt: skip
    line = [cell["rmse"] for cell in cells_of(said, 2)] + [said["rmse_mean"]]
    assert min(np.diff(line)) > 0.003, line
    assert said["rmse_rises_with_beta"]
    assert [cell["beta"] for cell in said["cells"]] == [None, 0.5, 1.0, 4.0]
    assert said["n_train"] + said["n_held_out"] == 395
    assert said["n_held_out"] == pytest.approx(79, abs=5)  # four of twenty machines
    assert "5 labelled as anomalies, left out" in said["source"]
    assert "fault" not in said["notes"][0]
    assert "machine" not in said["notes"][0]
    client = mlflow.MlflowClient(store)
    parent = client.get_run(said["logged"]["run_id"])
    assert parent.data.params["betas"] == "0.5,1,4"
    children = [client.get_run(run_id) for run_id in said["logged"]["child_run_ids"]]
    assert [run.data.metrics["rmse"] for run in children] == pytest.approx(line[:-1])
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


def test_text_holds_the_table_the_baseline_the_reading_and_the_next_command(call, valves, tmp_path):
    code, out, err = call("sweep", "table", valves, "--labels", "fault", "--beta", "1,50",
                          "--latent-dim", "2,8", "--steps", 60, "--no-track",
                          "--out", "sweep.json")  # fmt: skip
    assert code == 0
    rows = [line.split() for line in out.splitlines() if line.lstrip()[:1] in {"2", "8"}]
    assert [row[:2] for row in rows] == [
        [size, model] for size in "28" for model in ("autoencoder", "beta", "beta")
    ]
    for words in (
        "predict the mean",
        "not better detection",
        "Collapsed: beta 50, latent size 8: 8 of 8 latents",
        "lower --beta or --sigma",
        "vae-anomaly train table valves.csv --labels fault",
    ):
        assert words in out
    assert "Collapse" not in err
    kept = SweepReport.from_dict(json.loads((tmp_path / "sweep.json").read_text()))
    assert len(kept.cells) == 6


def test_images_are_swept_without_the_defective_ones(call_json, tmp_path):
    write_surfaces(tmp_path / "tiles" / "train" / "good", 12)
    write_surfaces(tmp_path / "tiles" / "test" / "hole", 3, holes=(0, 1, 2))
    said = call_json("sweep", "images", "tiles", "--beta", "1", "--latent-dim", "4", "--size", 16,
                     *SHORT)  # fmt: skip
    assert said["in_shape"] == [1, 16, 16]
    assert said["n_train"] + said["n_held_out"] == 12
    assert [cell["model"] for cell in said["cells"]] == ["autoencoder", "vae"]
    assert said["logged"] is None


def test_colour_images_keep_their_channels(call_json, tmp_path, rng):
    (tmp_path / "cloth").mkdir()
    for i in range(10):
        pixels = rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "cloth" / f"{i}.png")
    said = call_json("sweep", "images", "cloth", "--beta", 1, "--latent-dim", 2, "--size", 8,
                     *SHORT)  # fmt: skip
    assert said["in_shape"] == [3, 8, 8]
    assert said["rmse_mean"] == pytest.approx(1, abs=0.2)


def test_default_latent_sizes_are_those_that_the_table_can_have(call_json, tmp_path, rng):
    pd.DataFrame(rng.normal(size=(40, 3)), columns=list("abc")).to_csv(
        tmp_path / "a.csv", index=False
    )
    said = call_json("sweep", "table", "a.csv", "--beta", 1, *SHORT)
    assert said["grid"]["latent_dims"] == [2]


def test_outage_of_the_store_does_not_lose_the_table(call, valves):
    line = ("sweep", "table", valves, "--beta", 1, "--latent-dim", 2, "--steps", 3)
    code, out, err = call(*line, "--tracking-uri", DEAD, "--json")
    assert code == RegistryUnavailableError.exit_code == 69
    said = json.loads(out)
    assert (len(said["cells"]), said["logged"]) == (2, None)
    assert "vae-anomaly runs sync" in err
    code, out, _ = call(*line, "--tracking-uri", DEAD)
    assert code == 69
    assert "predict the mean" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--beta", ""), "at least one beta"),
        (("--latent-dim", ""), "at least one latent size"),
        (("--beta", "1,-4"), "Got -4"),
        (("--beta", "much"), "'much' is no list of numbers"),
        (("--latent-dim", "2.5"), "no list of whole numbers"),
        (("--latent-dim", "2,500"), "A latent size of 500 exceeds"),
        (("--sigma", "big"), "neither a number nor 'learned'"),
        (("--sigma", "-1"), "sigma must be a number > 0"),
        (("--groups", "oven"), "'oven'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_option_is_exit_2_and_says_what_was_received(call, valves, options, words):
    code, out, err = call("sweep", "table", valves, *options, *SHORT)
    assert (code, out) == (ConfigError.exit_code, "")
    assert words in err

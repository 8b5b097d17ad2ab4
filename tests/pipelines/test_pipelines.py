"""The shipped jobs run as they stand, and a mistake in their TOML is named."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import pipelines
from pipelines.job import read_job, run_job
from pipelines.nightly_images import NightlyImages
from pipelines.nightly_images import score as score_night
from pipelines.nightly_transactions import NightlyTransactions
from pipelines.nightly_transactions import score as score_day
from pipelines.train_images import TrainImages
from pipelines.train_images import train as train_images
from pipelines.train_table import TrainTable
from pipelines.train_table import train as train_table
from vae_anomaly.batch import read_manifest, read_results
from vae_anomaly.errors import ConfigError
from vae_anomaly.tracking import load, show_model

DAY = "2024-03-20"
JOBS = {
    "train_images": TrainImages,
    "train_table": TrainTable,
    "nightly_images": NightlyImages,
    "nightly_transactions": NightlyTransactions,
}


@pytest.fixture(autouse=True)
def _logs_end_with_the_test():
    yield
    package = logging.getLogger("vae_anomaly")
    for handler in package.handlers[:]:
        package.removeHandler(handler)
    package.setLevel(logging.NOTSET)


def shipped(site: Path, name: str, **changes: object):
    """Read a shipped TOML file of the site, with a few keys replaced."""
    job = read_job(JOBS[name], site / "pipelines" / f"{name}.toml", DAY)
    return job.model_copy(update=changes)


def test_transactions_are_trained_registered_and_scored_by_the_day(site, monkeypatch, capsys):
    job = shipped(site, "train_table")
    detector = job.detector.model_copy(update={"max_steps": 20, "preset": "fast"})
    told = train_table(job.model_copy(update={"detector": detector}))
    store = site / "vae-anomaly-demo" / "store"
    assert (told["name"], told["version"]) == ("cards", 1)
    assert show_model("cards", store).aliases == {"champion": 1}
    loaded, _ = load("models:/cards@champion", store)
    features = [column.name for column in loaded.schema_.features]
    assert not {"transaction_id", "customer_id"} & set(features)

    toml = site / "pipelines" / "nightly_transactions.toml"
    monkeypatch.setattr(sys, "argv", ["nightly_transactions", str(toml), DAY])
    assert capsys.readouterr().err == ""
    run_job(NightlyTransactions, score_day)
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    out = site / "vae-anomaly-demo" / "nightly" / "transactions"
    results = read_results(out)
    assert summary["rows_out"] == len(results) > 50
    assert summary["model_version"] == "cards/1"
    assert [entry["key"] for entry in read_manifest(out)["partitions"]] == [DAY]
    assert results["id"].is_unique
    events = [json.loads(line).get("event") for line in printed.err.splitlines()]
    assert "scored" in events


def test_pictures_are_trained_registered_and_scored(site):
    told = train_images(shipped(site, "train_images"))
    assert (told["name"], told["version"]) == ("surfaces", 1)
    summary = score_night(shipped(site, "nightly_images"))
    out = site / "vae-anomaly-demo" / "nightly" / f"images-{DAY}"
    assert summary["rows_out"] == len(read_results(out)) == 8


@pytest.mark.parametrize("name", sorted(JOBS))
def test_shipped_files_are_valid_and_their_paths_begin_at_the_file(name, site):
    job = shipped(site, name)
    assert Path(str(job.tracking_uri)).resolve() == site / "vae-anomaly-demo" / "store"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("heatmap = 'all'", r"unknown key 'heatmap' \(did you mean 'heatmaps'\?\)"),
        ("workers = 'many'", "'workers' is 'many'"),
        ("heatmaps = 'some'", "'heatmaps' is 'some'.*'flagged', 'all' or 'none'"),
        ("workers = ", "not valid TOML"),
    ],
    ids=["unknown", "type", "choice", "syntax"],
)
def test_mistake_names_the_file_and_the_key(line, told, tmp_path):
    path = tmp_path / "job.toml"
    path.write_text(f"model = 'm'\ninput = 'i'\noutput = 'o'\n{line}\n")
    with pytest.raises(ConfigError, match=f"job.toml.*{told}"):
        read_job(NightlyImages, path, DAY)


def test_all_mistakes_are_told_at_once_also_those_of_a_section(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text("images = 'i'\n[detector]\nimage_sise = 64\n")
    with pytest.raises(ConfigError) as caught:
        read_job(TrainImages, path, DAY)
    assert "'name' is missing" in str(caught.value)
    assert "'detector.image_sise' (did you mean 'image_size'?)" in str(caught.value)


def test_paths_uris_and_the_date_are_told_apart(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text(
        "model = 'models:/tiles@champion'\ninput = 'night/{date}'\noutput = '/flags/{date}'\n"
        "tracking_uri = 'http://mlflow.example:5000'\n"
    )
    job = read_job(NightlyImages, path, DAY)
    assert job.model == "models:/tiles@champion"
    assert job.input == str(tmp_path / "night" / DAY)
    assert job.output == f"/flags/{DAY}"
    assert job.tracking_uri == "http://mlflow.example:5000"


@pytest.mark.parametrize("given", [[], ["a.toml", "yesterday"], ["a.toml", DAY, "more"]])
def test_wrong_usage_is_answered_with_the_right_one(given, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nightly_images", *given])
    with pytest.raises(SystemExit) as ended:
        run_job(NightlyImages, score_night)
    assert ended.value.code == ConfigError.exit_code
    assert "FILE.toml [YYYY-MM-DD]" in capsys.readouterr().err


def test_error_ends_with_its_exit_code_and_no_traceback(tmp_path):
    command = [sys.executable, "-m", "pipelines.nightly_images", str(tmp_path / "absent.toml")]
    root = Path(pipelines.__file__).parents[1]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == ConfigError.exit_code
    assert "absent.toml cannot be read" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize(
    "path", sorted(Path(pipelines.__file__).parent.glob("*.py")), ids=lambda p: p.name
)
def test_a_pipeline_has_at_most_a_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 100

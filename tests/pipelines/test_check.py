"""A value comes from the command line, else the environment, else the file; it is told which."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from pipelines import check
from pipelines.job import read_job
from pipelines.nightly_images import NightlyImages
from pipelines.train_table import TrainTable
from vae_anomaly.errors import ConfigError

DAY = "2024-03-20"


@pytest.fixture
def night(tmp_path):
    path = tmp_path / "nightly_images.toml"
    path.write_text(
        "model = 'm'\ninput = 'night/{date}'\noutput = 'o'\nworkers = 2\nmasks = 'all'\n"
    )
    return path


def told(*given: object, **more: object) -> dict[str, tuple[object, str]]:
    values = check.checked(*given, **more)["values"]
    return {one["key"]: (one["value"], one["source"]) for one in values}


def test_what_is_nearer_to_the_call_decides_and_is_named(night, tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_WORKERS", "3")
    monkeypatch.setenv("VAE_ANOMALY_REPORT", "false")
    monkeypatch.setenv("VAE_ANOMALY_MASKS", "")  # as good as not set
    values = told(night, day=DAY, sets=["workers=4", "heatmaps=none"])
    assert values["workers"] == (4, "--set workers")
    assert values["heatmaps"] == ("none", "--set heatmaps")
    assert values["report"] == (False, "VAE_ANOMALY_REPORT")
    assert values["masks"] == ("all", "file")
    assert values["device"] == ("cpu", "default")
    assert values["input"] == ([str(tmp_path / "night" / DAY)], "file")
    job = read_job(NightlyImages, night, DAY, ["workers=4"])
    assert (job.workers, job.report, job.masks) == (4, False, "all")


@pytest.mark.parametrize(("said", "means"), [("true", True), ("false", False), ("old", "old")])
def test_confirmed_anomalies_are_left_out_of_a_training_if_asked(
    tmp_path, monkeypatch, said, means
):
    path = tmp_path / "train_table.toml"
    path.write_text("name = 'x'\ntables = ['a.csv']\n")
    assert read_job(TrainTable, path, DAY).leave_out_confirmed is False
    monkeypatch.setenv("VAE_ANOMALY_LEAVE_OUT_CONFIRMED", said)
    assert read_job(TrainTable, path, DAY).leave_out_confirmed == means


def test_keys_of_sections_and_former_names_are_overridden_too(tmp_path, monkeypatch):
    path = tmp_path / "train_table.toml"
    path.write_text("name = 'x'\ntables = ['a.csv']\nlabels = 'bad'\n[detector]\npreset = 'fast'\n")
    monkeypatch.setenv("VAE_ANOMALY_DETECTOR__TARGET_FPR", "0.002")
    monkeypatch.setenv("VAE_ANOMALY_LABEL", "is_bad")
    monkeypatch.setenv("VAE_ANOMALY_TABLES", "['b.csv', 'c.csv']")
    job = read_job(TrainTable, path, DAY, ["detector.preset=default", "ignore=['note']"])
    assert job.detector == {"preset": "default", "target_fpr": 0.002}
    assert (job.labels, job.ignore, len(job.tables)) == ("is_bad", ["note"], 2)
    values = told(path)
    assert values["detector.target_fpr"] == (0.002, "VAE_ANOMALY_DETECTOR__TARGET_FPR")
    assert values["detector.preset"] == ("fast", "file")
    assert values["labels"] == ("is_bad", "VAE_ANOMALY_LABEL")


def test_a_mistake_is_told_with_where_it_comes_from(night, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_WORKERS", "many")
    with pytest.raises(ConfigError, match=r"'workers' is 'many'.*\(from VAE_ANOMALY_WORKERS\)"):
        check.checked(night)
    with pytest.raises(ConfigError, match=r"unknown key 'heat'.*\(from --set heat\)"):
        read_job(NightlyImages, night, DAY, ["heat=none", "workers=1"])
    with pytest.raises(ConfigError, match="--set takes KEY=VALUE"):
        read_job(NightlyImages, night, DAY, ["workers"])


def test_credentials_are_not_shown_and_variables_of_no_use_are(night, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_TRACKING_URI", "https://me:canary-4711@host/?token=canary-4711")
    monkeypatch.setenv("VAE_ANOMALY_WORKER", "3")
    result = check.checked(night)
    assert "canary" not in json.dumps(result)
    assert "VAE_ANOMALY_WORKER" in result["unused"]
    assert read_job(NightlyImages, night, DAY).tracking_uri.count("canary-4711") == 2


def test_a_file_that_is_called_like_no_job_needs_its_name(tmp_path, monkeypatch, capsys):
    path = tmp_path / "night.toml"
    path.write_text("model = 'm'\ninput = 'i'\noutput = 'o'\n")
    with pytest.raises(ConfigError, match="Say which with --job"):
        check.checked(path)
    monkeypatch.setattr(sys, "argv", ["check", str(path), "--job", "nightly_images"])
    assert check.main() == 0
    assert json.loads(capsys.readouterr().out)["job"] == "nightly_images"


def test_the_command_prints_each_value_with_its_source(night, monkeypatch, capsys):
    from vae_anomaly.cli import main

    point = EntryPoint("pipelines", "pipelines.check:checked", "vae_anomaly.checks")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([point]))
    monkeypatch.setenv("COLUMNS", "400")  # a row a line, however long the paths are
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", str(night), "--set", "workers=4"])
    out = capsys.readouterr().out
    assert not ended.value.code
    line = next(line for line in out.splitlines() if "workers" in line)
    assert line.split() == ["workers", "4", "--set", "workers"]
    assert "is valid for pipelines.nightly_images" in out
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([]))
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", str(night)])
    assert (ended.value.code, "python -m pipelines.check" in capsys.readouterr().err) == (2, True)

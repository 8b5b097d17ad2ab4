"""What a run was asked for is on record without credentials, and no other is read."""

from __future__ import annotations

import inspect
import json

import pytest

from vae_anomaly.batch import score_images, score_tables
from vae_anomaly.batch.runs.command import OPTIONS, RunCommand
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.errors import ConfigError
from vae_anomaly.monitoring.checks import Limits

CANARY = "canary-4711"
GIVEN_ANEW = {"model_ref", "input", "out", "uri", "reading", "limits", "progress", "finished"}


@pytest.mark.parametrize(("kind", "score"), [("table", score_tables), ("images", score_images)])
def test_every_option_that_shapes_a_run_is_kept(kind, score):
    taken = set(inspect.signature(score).parameters) - GIVEN_ANEW
    flat = vars(Limits()).keys() | (vars(ImageReading()).keys() if kind == "images" else set())
    assert set(OPTIONS[kind]) == taken | flat


def test_paths_begin_at_the_root_and_addresses_stay(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    options = {"state": "last/state", "id_column": "id"}
    command = RunCommand.of("table", "model", ["days", "s3://b/*.csv"], None, options)
    assert command.model == str(tmp_path / "model")
    assert command.source == [str(tmp_path / "days"), "s3://b/*.csv"]
    assert command.options == {"state": str(tmp_path / "last" / "state"), "id_column": "id"}
    assert command.uri is None
    assert RunCommand.read(command.written()) == command
    assert command.words("flags") == (
        f"vae-anomaly score table {tmp_path}/model {tmp_path}/days 's3://b/*.csv' --out flags "
        f"--state {tmp_path}/last/state --id-column id"
    )


def test_no_credential_is_kept_and_without_them_no_run_goes_on(monkeypatch):
    uri = f"https://me:{CANARY}@host:5000/?token={CANARY}"
    inputs = f"s3://me:{CANARY}@bucket/days"
    command = RunCommand.of("table", "models:/cards@champion", "days", uri, {})
    assert CANARY not in command.written() + command.words("out")
    with pytest.raises(ConfigError, match=r"had credentials.*--tracking-uri"):
        command.store()
    assert command.store("http://other:5000") == "http://other:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert CANARY in str(command.store())  # the environment knows them still
    lost = RunCommand.of("table", "models:/cards@champion", inputs, None, {})
    assert CANARY not in lost.written()
    with pytest.raises(ConfigError, match="input of that run had credentials"):
        lost.store("http://other:5000")


def test_an_alias_stays_the_version_that_it_was(tmp_path):
    command = RunCommand.of("table", "models:/cards@champion", "days", tmp_path, {}, "cards/3")
    assert (command.model, command.version) == ("models:/cards@champion", "models:/cards/3")
    assert command.uri == f"sqlite:///{tmp_path}/mlflow.db"
    folder = RunCommand.of("table", tmp_path, "days", None, {}, "folder:551b6426805c")
    assert folder.version is None


GOOD = json.loads(RunCommand.of("table", "/m", "/days", None, {"workers": 2}).written())


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "program"},
        {"input": "days"},
        {"options": {"alarm_command": "rm -rf /"}},
        {"options": {"workers": [2]}},
        {"out": "/elsewhere"},
        {"model": None},
    ],
    ids=str,
)
def test_what_no_run_has_written_is_refused(change):
    with pytest.raises(ValueError, match=r"\w"):
        RunCommand.read(json.dumps(GOOD | change))

"""The shipped jobs run as they stand, and a mistake in their TOML is named."""

from __future__ import annotations

import json
import logging
import runpy
import shutil
import sys
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from jobs.learning.made_nights import FIRST, judged, log, night
from tracking.real_models import (  # noqa: F401 - fixtures
    migrated_store,
    own_cache,
    registered,
    registered_store,
    store,
    table_model,
    transactions,
    write_days,
)

import pipelines
from pipelines import check
from pipelines.feedback_learn import FeedbackLearn, learn
from pipelines.job import read_job, run_job
from pipelines.monitor import Monitor, watch
from pipelines.nightly_images import NightlyImages
from pipelines.nightly_images import score as score_night
from pipelines.nightly_transactions import NightlyTransactions
from pipelines.nightly_transactions import score as score_day
from pipelines.recalibrate import Recalibrate, recalibrate
from pipelines.train_images import TrainImages
from pipelines.train_images import train as train_images
from pipelines.train_table import TrainTable
from pipelines.train_table import train as train_table
from vae_anomaly import load_detector
from vae_anomaly.batch import read_manifest, read_results, score_tables
from vae_anomaly.cli import models, train
from vae_anomaly.cli.feedback.learn import learn as feedback_learn
from vae_anomaly.cli.nights import score
from vae_anomaly.cli.nights.monitor import monitor
from vae_anomaly.detectors.parameters import IMAGE, TABULAR
from vae_anomaly.errors import ConfigError, GateFailedError
from vae_anomaly.jobs import Asked
from vae_anomaly.persistence import score_scale
from vae_anomaly.tracking import import_feedback, load, show_model

DAY = "2024-03-20"
JOBS = {
    "feedback_learn": FeedbackLearn,
    "monitor": Monitor,
    "recalibrate": Recalibrate,
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
    detector = job.detector | {"max_steps": 20, "preset": "fast"}
    result = train_table(job.model_copy(update={"detector": detector}))
    store = site / "vae-anomaly-demo" / "store"
    assert (result["name"], result["version"]) == ("cards", 1)
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


KEY_OF = {  # where a key of the TOML file is not called as the option
    "uri": "tracking_uri", "cached": "use_cached_model", "kind": "column_kinds",
    "entity": "entities", "time": "entities", "amount": "entities", "evidence": "learn",
    "leave_out": "leave_out_confirmed",
}  # fmt: skip


TOLD_WHEN_CALLED = {  # beside the TOML file
    "as_json", "no_alias", "dry_run", "day", "first", "last", "redo",
}  # fmt: skip


@pytest.mark.parametrize(
    ("job", "command", "renamed"),
    [
        (TrainImages, train.images, {"paths": "images"}),
        (TrainTable, train.table, {"paths": "tables"}),
        (NightlyImages, score.images, {"paths": "input", "out": "output"}),
        (NightlyTransactions, score.table, {"paths": "input", "out": "output"}),
        (Recalibrate, models.recalibrate, {"source": "input"}),
        (Monitor, monitor, {}),
        (FeedbackLearn, feedback_learn, {"columns": "learn"}),
    ],
    ids=[
        "train images",
        "train table",
        "score images",
        "score table",
        "recalibrate",
        "monitor",
        "feedback learn",
    ],
)
def test_a_job_has_a_key_for_every_option_of_its_command(job, command, renamed):
    options = {param.name for param in command.params if not param.name.startswith("former")}
    keys = {(KEY_OF | renamed).get(name, name) for name in options - TOLD_WHEN_CALLED}
    if "detector" in job.model_fields:
        keys -= {parameter.name for parameter in (*TABULAR, *IMAGE)}
    assert keys <= set(job.model_fields)


def test_a_training_can_set_what_the_command_can(site, tmp_path):
    labels = site / "vae-anomaly-demo" / "transactions" / "labels.parquet"
    toml = site / "pipelines" / "job.toml"
    toml.write_text(
        "name = 'cards'\ntables = ['../vae-anomaly-demo/transactions/days/*.parquet']\n"
        "id_column = 'transaction_id'\nlabels = '../vae-anomaly-demo/transactions/labels.parquet:"
        "is_fraud'\nout = '../model'\nno_register = true\nsample_rows = 1000\n"
        "[detector]\nmodel = 'beta'\nscore = 'elbo'\ncontamination = 0.02\nhidden = 8\n"
        "memory = 200\nlatent_dim = 2\nbeta = 3\nmax_steps = 10\nrandom_state = 0\n"
    )
    result = train_table(read_job(TrainTable, toml, DAY))
    frauds = pd.read_parquet(labels)["is_fraud"].sum()
    assert result["metrics"]["labelled_anomalies"] == pytest.approx(frauds, abs=1)
    assert any("a uniform sample of 1,000" in note for note in result["notes"])
    detector = load_detector(tmp_path / "model")
    chosen = {"model": "beta", "score": "elbo", "contamination": 0.02, "beta": 3, "memory": 200}
    assert chosen.items() <= detector.get_params(deep=False).items()
    assert (result["model"], "version" in result) == (str(tmp_path / "model"), False)


def test_a_training_on_images_is_told_which_folders_are_good(site, tmp_path):
    good = site / "vae-anomaly-demo" / "images" / "train" / "good"
    for name, n in (("0", 12), ("1", 3)):
        (tmp_path / "parts" / name).mkdir(parents=True)
        for file in sorted(good.iterdir())[:n]:
            shutil.copy(file, tmp_path / "parts" / name / f"{name}_{file.name}")
    toml = tmp_path / "job.toml"
    toml.write_text(
        "name = 'parts'\nimages = ['parts/0', 'parts/1']\ngood = ['0']\ndefect = ['1']\n"
        "out = 'model'\nno_register = true\n[detector]\nimage_size = 64\npreset = 'fast'\n"
    )
    result = train_images(read_job(TrainImages, toml, DAY))
    assert result["metrics"]["n_images"] == 12


def test_columns_are_described_as_a_person_writes_them(tmp_path):
    toml = tmp_path / "job.toml"
    toml.write_text(
        "name = 'n'\ntables = ['t.csv']\nignore = ['note']\nout = '~nobody-of-that-name/m'\n"
        "[missing]\namount = [-999, 0.5, 'pending']\nshop = 'none'\n"
    )
    job = read_job(TrainTable, toml, DAY)
    assert job.missing == {"amount": ["-999", "0.5", "pending"], "shop": ["none"]}
    assert (job.ignore, job.out) == (["note"], str(tmp_path / "~nobody-of-that-name" / "m"))


def test_a_file_of_weights_begins_at_the_toml_file(tmp_path):
    toml = tmp_path / "job.toml"
    toml.write_text(
        "name = 'n'\nimages = 'i'\n[detector]\nfeatures = 'timm:resnet18'\n"
        "features_weights = 'resnet18.safetensors'\n"
    )
    job = read_job(TrainImages, toml, DAY)
    assert job.detector["features_weights"] == str(tmp_path / "resnet18.safetensors")
    assert job.detector["features"] == "timm:resnet18"
    job = read_job(TrainImages, toml, DAY, ["detector.features='own.onnx'"])
    assert job.detector["features"] == str(tmp_path / "own.onnx")


def test_a_parameter_that_is_not_allowed_is_answered_as_by_the_detector(tmp_path):
    toml = tmp_path / "job.toml"
    toml.write_text("name = 'n'\nimages = 'i'\n[detector]\nimage_size = 60\nregister = 'shfit'\n")
    with pytest.raises(ConfigError) as caught:
        read_job(TrainImages, toml, DAY)
    message = str(caught.value)
    assert "The 'image_size' parameter of ImageVAEDetector must be a multiple of 16" in message
    assert "Got 'shfit' (did you mean 'shift'?)" in message


def test_a_wrong_key_of_the_entities_is_named_with_the_right_one(tmp_path):
    toml = tmp_path / "job.toml"
    toml.write_text("name = 'n'\ntables = ['t']\n[entities]\nclumns = ['card']\n")
    with pytest.raises(ConfigError, match=r"'entities\.clumns' \(did you mean 'columns'\?\)"):
        read_job(TrainTable, toml, DAY)


def test_the_former_key_of_the_labels_is_read(tmp_path):
    toml = tmp_path / "job.toml"
    toml.write_text("name = 'n'\ntables = ['t']\nlabel = 'is_fraud'\n")
    assert read_job(TrainTable, toml, DAY).labels == "is_fraud"


def test_a_night_with_flags_can_end_with_the_code_of_a_gate(tmp_path):
    toml = tmp_path / "job.toml"
    toml.write_text("model = 'm'\ninput = 'i'\noutput = 'o'\nfail_on_anomaly = true\n")
    job = read_job(NightlyImages, toml, DAY)
    job.check({"flagged": 0, "rows_out": 8})
    with pytest.raises(GateFailedError, match="2 of 8 items are flagged"):
        job.check({"flagged": 2, "rows_out": 8})


def test_a_night_that_has_moved_can_end_with_the_code_of_a_gate(tmp_path):
    toml = tmp_path / "job.toml"
    toml.write_text("model = 'm'\ninput = 'i'\noutput = 'o'\nfail_on_drift = true\n")
    job = read_job(NightlyImages, toml, DAY)
    job.check({"flagged": 1, "rows_out": 8, "alarms": ()})
    with pytest.raises(GateFailedError, match="images are darker"):
        job.check({"flagged": 0, "rows_out": 8, "alarms": ("images are darker",)})


def test_images_are_trained_registered_and_scored(site):
    result = train_images(shipped(site, "train_images"))
    assert (result["name"], result["version"]) == ("surfaces", 1)
    summary = score_night(shipped(site, "nightly_images"))
    out = site / "vae-anomaly-demo" / "nightly" / f"images-{DAY}"
    assert summary["rows_out"] == len(read_results(out)) == 8


@pytest.mark.parametrize("name", sorted(JOBS.keys() - {"monitor"}))
def test_shipped_files_are_valid_and_their_paths_begin_at_the_file(name, site):
    job = shipped(site, name)
    assert Path(str(job.tracking_uri)).resolve() == site / "vae-anomaly-demo" / "store"


def test_the_shipped_look_at_nights_begins_at_its_file(site):
    job = shipped(site, "monitor")
    assert job.folders == [str(site / "vae-anomaly-demo" / "nightly")]
    assert Path(str(job.report)).parent == site / "vae-anomaly-demo"


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
    assert job.input == [str(tmp_path / "night" / DAY)]
    assert job.output == f"/flags/{DAY}"
    assert job.tracking_uri == "http://mlflow.example:5000"


@pytest.mark.parametrize(
    "given",
    [[], ["a.toml", "yesterday"], ["a.toml", DAY, "more"], ["a.toml", "--from", DAY],
     ["a.toml", "--redo", "failed"], ["a.toml", DAY, "--from", DAY, "--to", DAY]],
)  # fmt: skip
def test_wrong_usage_is_answered_with_the_right_one(given, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nightly_images", *given])
    with pytest.raises(SystemExit) as ended:
        run_job(NightlyImages, score_night)
    assert ended.value.code == ConfigError.exit_code
    assert "FILE.toml [YYYY-MM-DD]" in capsys.readouterr().err


def test_error_ends_with_its_exit_code_and_no_traceback(tmp_path, monkeypatch, capfd):
    script = Path(pipelines.__file__).parent / "nightly_images.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "absent.toml")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    out, err = capfd.readouterr()
    assert ended.value.code == ConfigError.exit_code
    assert "absent.toml cannot be read" in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    "path", sorted(Path(pipelines.__file__).parent.glob("*.py")), ids=lambda p: p.name
)
def test_a_pipeline_has_at_most_a_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 100


def test_a_job_that_logs_json_tells_its_error_as_json_too(tmp_path, monkeypatch, capsys):
    path = tmp_path / "night.toml"
    path.write_text('log_json = true\nmodel = "models:/cards@champion"\nno_such_key = 1\n')
    monkeypatch.setattr("sys.argv", ["job", str(path)])
    with pytest.raises(SystemExit) as ended:
        run_job(NightlyTransactions, lambda job: {})
    line = json.loads(capsys.readouterr().err)
    assert ended.value.code == line["exit_code"] == ConfigError.exit_code
    assert "no_such_key" in line["message"]


def test_a_challenger_of_a_pipeline_has_its_holdout_and_margins(site):
    job = shipped(site, "train_images", challenger=True, holdout=["may/"], margins={"fpr": 0.02})
    plan = job.plan(Asked("", follow_links=True))
    assert (plan.holdout.source, plan.holdout.follow_links) == ("may/", True)
    assert (plan.margins, plan.alias) == ({"fpr": 0.02}, "challenger")
    assert shipped(site, "train_images").plan(Asked("")) is None
    with pytest.raises(ConfigError, match="challenger = true"):
        shipped(site, "train_images", holdout=["may/"]).plan(Asked(""))


def called(monkeypatch, capsys, path: Path, *words: str) -> tuple[int, dict[str, object]]:
    monkeypatch.setattr(sys, "argv", ["nightly_transactions", str(path), *words])
    try:
        run_job(NightlyTransactions, score_day)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, json.loads(capsys.readouterr().out)


def test_a_nightly_job_scores_a_range_and_tells_before_what_it_would_do(
    table_model, tmp_path, monkeypatch, capsys
):  # fmt: skip
    write_days(tmp_path / "days")
    path = tmp_path / "night.toml"
    path.write_text(
        f"model = '{table_model}'\ninput = 'days/{{date}}.parquet'\noutput = 'out/{{date:%d}}'\n"
        "report = false\n"
    )
    of_range = ("--from", "2026-01-02", "--to", "2026-01-04")
    code, told = called(monkeypatch, capsys, path, *of_range, "--dry-run")
    assert [(day["day"], day["action"]) for day in told["days"]] == [
        ("2026-01-02", "score"), ("2026-01-03", "score"), ("2026-01-04", "skip"),
    ]  # fmt: skip
    assert (code, (tmp_path / "out").exists()) == (0, False)
    code, told = called(monkeypatch, capsys, path, "2026-01-02", "--dry-run")
    assert [(part["key"], part["state"]) for part in told["parts"]] == [("2026-01-02", "new")]
    code, told = called(monkeypatch, capsys, path, *of_range)
    assert (code, [day["rows_out"] for day in told["days"]]) == (0, [60, 60, 0])
    assert len(read_results(tmp_path / "out" / "03")) == 60


def test_a_range_into_an_object_store_knows_the_days_that_are_done(
    table_model, tmp_path, monkeypatch, capsys
):  # fmt: skip
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    monkeypatch.setenv("VAE_ANOMALY_CACHE", str(tmp_path / "cache"))
    fs.put(str(write_days(tmp_path / "days")), "bucket/days", recursive=True)
    path = tmp_path / "night.toml"
    path.write_text(
        f"model = '{table_model}'\ninput = 'memory://bucket/days/{{date}}.parquet'\n"
        "output = 'memory://bucket/out/{date:%d}'\nreport = false\n"
    )
    of_range = ("--from", "2026-01-02", "--to", "2026-01-03")
    code, told = called(monkeypatch, capsys, path, *of_range)
    assert (code, [day["rows_out"] for day in told["days"]]) == (0, [60, 60])
    code, told = called(monkeypatch, capsys, path, *of_range)
    assert [(day["before"], day["action"]) for day in told["days"]] == [("done", "skip")] * 2
    assert len(read_results("memory://bucket/out/03")) == 60
    fs.store.clear()


def test_a_training_has_no_days(tmp_path, monkeypatch, capsys):
    path = tmp_path / "job.toml"
    path.write_text("name = 'x'\ntables = ['x.csv']\n")
    monkeypatch.setattr(sys, "argv", ["train_table", str(path), "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        run_job(TrainTable, train_table)
    assert ended.value.code == ConfigError.exit_code
    assert "Only nightly jobs have days" in capsys.readouterr().err


def test_a_model_is_calibrated_anew_by_a_job(table_model, tmp_path):
    transactions(400, seed=8).to_parquet(tmp_path / "normals.parquet")
    toml = tmp_path / "job.toml"
    toml.write_text(
        f"model = '{table_model}'\ninput = 'normals.parquet'\nout = 'anew'\ntarget_fpr = 0.05\n"
        "reason = 'a new terminal'\n"
    )
    result = recalibrate(read_job(Recalibrate, toml, DAY))
    assert (result["record"]["n_items"], result["record"]["target_fpr"]) == (400, 0.05)
    anew = load_detector(tmp_path / "anew")
    assert anew.threshold_.value == result["threshold"]["value"]
    flagged = anew.predict(transactions(400, seed=9).drop(columns="id")) == -1
    assert 0.01 < flagged.mean() < 0.12


def test_verdicts_are_learned_by_a_job(registered, table_model, tmp_path, own_cache):
    kept = night(FIRST, model=score_scale(table_model))
    log(kept, tmp_path, registered.store)
    import_feedback("cards", judged(kept), who="ada", uri=registered.store)
    toml = tmp_path / "job.toml"
    toml.write_text(
        f"model = 'models:/cards@champion'\ntracking_uri = '{registered.store}'\n"
        "learn = ['terminal']\nwho = 'the night'\n"
    )
    lesson = learn(read_job(FeedbackLearn, toml, DAY))
    assert (lesson["verdicts"], lesson["version"], lesson["new"]) == (50, 1, True)
    off = read_job(FeedbackLearn, toml, DAY, ["off=true"])
    assert [learn(off), learn(off)] == [{"model": "cards", "was": was} for was in (1, None)]


def test_nights_are_watched_by_a_job(table_model, tmp_path, monkeypatch, capsys):
    write_days(tmp_path / "days")
    score_tables(table_model, tmp_path / "days", tmp_path / "flags")
    tell = f"sh -c 'cat > {tmp_path}/told'"
    toml = tmp_path / "monitor.toml"
    toml.write_text(
        "folders = 'flags'\nreport = 'nights.html'\nmax_flag_rate = 0.0\nfail_on_drift = true\n"
        f'alarm_command = "{tell}"\n'
    )
    monkeypatch.setenv("VAE_ANOMALY_WEBHOOK", "")
    monkeypatch.setattr(sys, "argv", ["monitor", str(toml)])
    with pytest.raises(SystemExit) as ended:
        run_job(Monitor, watch)
    printed = json.loads(capsys.readouterr().out)
    assert ended.value.code == 6
    assert any("0.00% are allowed" in text for text in printed["alarms"])
    assert printed["handed_on"] is True
    assert "0.00% are allowed" in (tmp_path / "told").read_text()
    assert (tmp_path / "nights.html").is_file()


def test_the_web_address_of_a_job_is_shown_nowhere(tmp_path):
    toml = tmp_path / "monitor.toml"
    toml.write_text("folders = 'flags'\nwebhook = 'https://hooks.example/T0/canary-4711'\n")
    assert "canary" not in json.dumps(check.checked(toml))

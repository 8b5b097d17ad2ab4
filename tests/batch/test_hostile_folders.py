"""Others can write to the output folder: nothing they write there is followed out of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tracking.real_models import write_days, write_surfaces

from vae_anomaly.batch import (
    night_keys,
    read_manifest,
    read_quarantine,
    read_results,
    read_review,
    score_images,
    score_tables,
)
from vae_anomaly.batch.output.done import drop_orphans
from vae_anomaly.batch.output.ledger import Ledger
from vae_anomaly.batch.output.written import is_model_path, refuse_unwritten
from vae_anomaly.batch.plan import plan_images
from vae_anomaly.errors import DataError, StorageError, VaeAnomalyError
from vae_anomaly.evaluation.items import read_scores
from vae_anomaly.files import leads_out
from vae_anomaly.jobs.report.night.write import write_night
from vae_anomaly.jobs.report.scored_runs import read_scored_run

DAY = "2026-01-01"
PART = f"part-{DAY}.parquet"


@pytest.fixture(scope="module")
def finished(table_model, tmp_path_factory) -> Path:
    """A finished run of one day."""
    folder = tmp_path_factory.mktemp("finished")
    days = write_days(folder / "days")
    score_tables(table_model, days / f"{DAY}.parquet", folder / "out")
    return folder / "out"


@pytest.fixture
def out(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


def change_ledger(out: Path, **values: str) -> None:
    with closing(sqlite3.connect(out / "ledger.sqlite")) as database:
        for name, value in values.items():
            database.execute(f"UPDATE partitions SET {name} = ?", (value,))  # noqa: S608 - ours
        database.commit()


HOSTILE_ROWS = {
    "a file above": {"files": {PART: "0", "../precious": "0"}},
    "a file elsewhere": {"files": {PART: "0", "/precious": "0"}},
    "a file of another partition": {"files": {PART: "0", "part-b.parquet": "0"}},
    "the manifest": {"files": {PART: "0", "manifest.json": "0"}},
    "a drawing above": {"files": {PART: "0", f"heatmaps/{DAY}/../../../precious.png": "0"}},
    "an output above": {"output": "../precious"},
    "a key that is a folder above": {"key": ".."},
    "a key with folders": {"key": "../../precious"},
    "an empty key": {"key": ""},
    "files that are a list": {"files": [PART]},
    "no JSON": {"files": "{"},
    "nested without end": {"files": "[" * 100_000},
    "a history without its end": {"history": {"before": "0"}},
    "a time that no clock has": {
        "history": {"before": "0", "before_until": 0, "after": "0", "until": 10**30}
    },
    "folders that are numbers": {"folders": {"a": 1}},
}


@pytest.mark.parametrize("values", HOSTILE_ROWS.values(), ids=HOSTILE_ROWS.keys())
def test_a_ledger_row_that_no_run_writes_ends_the_run_before_anything_is_removed(
    values, out, finished, table_model, tmp_path
):
    (tmp_path / "precious").write_text("mine")
    before = {path.name for path in out.iterdir()}
    texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in values.items()}
    change_ledger(out, **texts)
    with pytest.raises(StorageError, match=r"ledger\.sqlite .*Move it away"):
        score_tables(table_model, finished.parent / "days", out)
    assert (tmp_path / "precious").read_text() == "mine"
    assert {path.name for path in out.iterdir()} >= before


def test_nights_that_no_run_writes_are_a_fault_of_the_ledger(out, finished, table_model):
    with closing(sqlite3.connect(out / "ledger.sqlite")) as database:
        database.execute("UPDATE nights SET keys = '[1, {}]'")
        database.commit()
    with pytest.raises(StorageError, match="Move it away"):
        score_tables(table_model, finished.parent / "days", out)


@pytest.mark.parametrize("name", ["heatmaps", "masks", "heatmaps/night-0000", "quarantine"])
def test_a_folder_that_is_a_link_to_elsewhere_keeps_what_lies_there(name, image_model, tmp_path):
    write_surfaces(tmp_path / "night", 6)
    out, away = tmp_path / "out", tmp_path / "away"
    score_images(image_model, tmp_path / "night", out, images_per_partition=3, heatmaps="all")
    (away / "night-0000").mkdir(parents=True)
    (away / "night-0000" / "precious").write_text("mine")
    place = out / name
    if place.exists():
        shutil.rmtree(place)
    place.symlink_to(away, target_is_directory=True)
    with pytest.raises(StorageError, match="is a link that leads out"):
        score_images(image_model, tmp_path / "night", out)
    assert [path.name for path in away.rglob("*")] == ["night-0000", "precious"]
    with pytest.raises(DataError, match="leads out"):
        read_results(out)


def test_a_ledger_that_is_a_link_leaves_the_database_that_it_leads_to(
    out, finished, table_model, tmp_path
):
    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as database:
        database.execute("CREATE TABLE accounts (name TEXT)")
    before = foreign.read_bytes()
    (out / "ledger.sqlite").unlink()
    (out / "ledger.sqlite").symlink_to(foreign)
    with pytest.raises(StorageError, match="leads out"):
        score_tables(table_model, finished.parent / "days", out)
    assert foreign.read_bytes() == before


def test_the_name_of_a_run_is_not_written_over_a_file_elsewhere(
    out, finished, table_model, tmp_path
):
    (tmp_path / "precious").write_text("mine")
    (out / ".run").symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError, match="leads out"):
        score_tables(table_model, finished.parent / "days", out)
    assert (tmp_path / "precious").read_text() == "mine"


def test_an_output_that_is_a_link_to_elsewhere_is_scored_again(
    out, finished, table_model, tmp_path
):
    (out / PART).rename(tmp_path / "elsewhere")
    (out / PART).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="leads out"):
        read_results(out)
    again = score_tables(table_model, finished.parent / "days" / f"{DAY}.parquet", out)
    assert (again.skipped, (out / PART).is_symlink()) == (0, False)
    assert (tmp_path / "elsewhere").is_file()


def test_what_is_dropped_lies_in_the_folder(image_model, tmp_path):
    write_surfaces(tmp_path / "night", 6)
    out = tmp_path / "out"
    score_images(image_model, tmp_path / "night", out, images_per_partition=3, heatmaps="all")
    (tmp_path / "precious").write_text("mine")
    with Ledger(out / "ledger.sqlite") as ledger:
        row = next(row for key, row in ledger.rows().items() if key != "night-0000")
        row.files["../precious"] = "0"
        ledger.record(row)
        with pytest.raises(StorageError, match=r"'\.\./precious'"):
            drop_orphans(plan_images(tmp_path / "night"), ledger, out)
    assert (tmp_path / "precious").is_file()
    assert (out / "manifest.json").is_file()


def changed(**values: object):
    return lambda manifest: manifest["partitions"][0].update(values)


def lacking(name: str):
    return lambda manifest: manifest["partitions"][0].pop(name)


def whole(**values: object):
    return lambda manifest: manifest.update(values)


LEFT_OUT = {"reason": "masks", "where": "", "n_images": 1}
MALFORMED = {
    "no partitions": lambda manifest: manifest.pop("partitions"),
    "partitions that are no list": whole(partitions={"a": 1}),
    "a partition that is no object": whole(partitions=["a"]),
    **{f"no {name}": lacking(name) for name in ("key", "kind", "output", "files", "rows_out",
        "rows_flagged", "codes", "model_version", "model_digest", "threshold")},
    "a number that is text": changed(rows_out="many"),
    "a negative number": changed(rows_in=-1),
    "a huge number": changed(rows_out=10**400),
    "a large number": changed(rows_out=10**15),
    "files that are a list": changed(files=[PART]),
    "a digest that is no text": changed(files={PART: 5}),
    "a file above": changed(files={PART: "0", "../../etc/passwd": "0"}),
    "an output above": changed(output="../part.parquet"),
    "another kind": changed(kind="films"),
    "a key above": changed(key="../../a"),
    "a history of nothing": changed(history={"until": "today"}),
    "failed that is a list": whole(failed=["a"]),
    "nights of numbers": whole(nights=[1]),
    "a model above": whole(models={"../../review/model-0123456789ab.json": "0"}),
    "models that are a list": whole(models=["a"]),
    "a share that is none": whole(max_bad_fraction="all"),
    "left out of more than is known": whole(left_out=[LEFT_OUT | {"onload": 1}]),
    "left out that is no list": whole(left_out={"reason": "masks"}),
}  # fmt: skip


def readers(out: Path) -> dict[str, object]:
    return {
        "read_manifest": lambda: read_manifest(out),
        "read_results": lambda: read_results(out),
        "night_keys": lambda: night_keys(read_manifest(out)),
        "read_review": lambda: [read_review(out, e) for e in read_manifest(out)["partitions"]],
        "threshold tune --scores": lambda: read_scores(out, labels=None),
        "report": lambda: write_night(out),
        "report compare": lambda: read_scored_run(out),
    }


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_manifest_is_one_error_of_ours_for_every_reader(change, out):
    manifest = json.loads((out / "manifest.json").read_text())
    change(manifest)
    (out / "manifest.json").write_text(json.dumps(manifest))
    told = {}
    for name, read in readers(out).items():
        try:
            read()
        except DataError as err:
            told[name] = str(err)
    if change is MALFORMED["a large number"]:
        assert "do not hold" in told["report"]
    else:
        assert set(told) == set(readers(out))
        assert all("manifest.json is no manifest" in text for text in told.values()), told
    assert all("gain" in text for text in told.values())  # score it again, run again


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"1e999"])
def test_a_manifest_that_is_no_object_of_json_is_refused(text, out):
    (out / "manifest.json").write_bytes(text)
    for read in readers(out).values():
        with pytest.raises(DataError, match=r"manifest\.json is no manifest.*Run again"):
            read()


def test_a_manifest_in_another_encoding_is_written_anew(out, finished, table_model):
    before = (out / "manifest.json").read_bytes()
    (out / "manifest.json").write_bytes(b"\xff")
    for path in (out / "review").glob("model-*.json"):
        path.write_bytes(b"\xff")
    score_tables(table_model, finished.parent / "days" / f"{DAY}.parquet", out)
    assert (out / "manifest.json").read_bytes() == before
    assert len(read_results(out)) == 60


@pytest.mark.parametrize("line", ["[1]", '{"id": 1}', '{"id": {}, "code": 1}', "{", "[" * 100_000])
def test_a_line_that_is_no_quarantined_item_is_refused(line, tmp_path):
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match="no quarantine file"):
        read_quarantine(tmp_path / "a.jsonl")


NAMES = st.one_of(
    st.text(max_size=20),
    st.lists(
        st.sampled_from(["..", ".", "", "/", "a", "heatmaps", "a.png", "\\", "C:", "\0", "link"]),
        max_size=6,
    ).map("/".join),
)


@settings(max_examples=100)
@given(name=NAMES)
@example(name="link/x")
@example(name="a/../../x")
@example(name="\ud800")
def test_a_name_leads_out_or_lies_below(name, tmp_path_factory):
    root = tmp_path_factory.getbasetemp() / "names"
    root.mkdir(exist_ok=True)
    if not (root / "link").is_symlink():
        (root / "link").symlink_to("/")
    if not leads_out(root, name):
        inside = os.path.realpath(root / name)
        assert f"{inside}/".startswith(f"{os.path.realpath(root)}/")


@settings(max_examples=100)
@given(key=NAMES, name=NAMES)
@example(key="..", name="heatmaps/../x.png")
@example(key="a", name="heatmaps/a/...png")
def test_names_of_a_partition_stay_where_its_files_are(key, name):
    output = f"part-{key}.parquet"
    try:
        refuse_unwritten(key, output, [output, name])
    except VaeAnomalyError:
        return
    folder, _, rest = name.rpartition("/")
    known = {"", "quarantine", "review", "state", f"heatmaps/{key}", f"masks/{key}"}
    assert folder in known
    assert rest not in {"", ".", ".."}
    assert not is_model_path(name)


def test_a_ledger_of_which_the_name_of_a_column_is_no_text_is_told_to_be_moved(tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("CREATE TABLE partitions (key TEXT, columnname TEXT)")
    ledger.write_bytes(ledger.read_bytes().replace(b"columnname", b"column\xffame"))
    with pytest.raises(StorageError, match="Move it away"):
        Ledger(ledger)

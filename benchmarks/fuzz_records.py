"""Records that are read beside inputs, models and results, for `fuzz.py`.

What nights are watched by (summaries, counts), what waits for MLflow, what a registry says of
versions, what a training keeps for the page of its model, and the TOML files of jobs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_mutations import VALUES, WORDS, changed_bytes, changed_json
from fuzz_targets import FOLDER, Target, payments
from fuzz_targets import targets as files

from vae_anomaly import load_detector
from vae_anomaly.batch import read_manifest, score_tables
from vae_anomaly.batch.drift.night import drift_of
from vae_anomaly.batch.drift.summary_file import read_summary
from vae_anomaly.batch.output.manifest import night_keys
from vae_anomaly.errors import VaeAnomalyError
from vae_anomaly.files import parsed_json, sha256_of
from vae_anomaly.jobs.baselines import keep_table_baseline
from vae_anomaly.jobs.monitor.nights import last_nights
from vae_anomaly.jobs.monitor.page import write_monitor
from vae_anomaly.jobs.monitor.watch import night_record
from vae_anomaly.jobs.report.model import facts_of_model
from vae_anomaly.jobs.report.model_store import store_facts
from vae_anomaly.metrics import Interval, proportion_interval
from vae_anomaly.monitoring.checks import Limits
from vae_anomaly.reports.facts.training import (
    ColumnRange,
    EvaluationFacts,
    GroupRate,
    HeldOutFacts,
    KindRate,
    LossCurves,
    RankingPoints,
    ReachedRate,
    TimeSpan,
    TrainingCard,
)
from vae_anomaly.reports.pages.model import model_page
from vae_anomaly.tracking import load, log_evaluation, log_night, promote, register_directory
from vae_anomaly.tracking.challenges import note_challenge, refuse_worse
from vae_anomaly.tracking.nights import ScoredNight
from vae_anomaly.tracking.spooled import sync_spool
from vae_anomaly.tracking.store import session, tracking_uri
from vae_anomaly.tracking.verified import resolve

sys.path.insert(0, str(Path(__file__).parents[1]))
from pipelines.check import JOBS, checked

sys.path.pop(0)
PIPELINES = Path(__file__).parents[1] / "pipelines"
MODEL = FOLDER / "table_probability" / "model"
_UNREACHABLE = "http://127.0.0.1:1"


# ------------------------------------------------------------------ what nights are watched by


@cache
def watched_night() -> Path:
    """Return a night of two parts, scored by a model that knows its training inputs."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-watched-"))
    detector: Any = load_detector(FOLDER / "table_mixed" / "model")
    keep_table_baseline(detector, payments())
    detector.save(folder / "model")
    (folder / "in").mkdir()
    for day in range(2):
        payments().to_parquet(folder / "in" / f"{day}.parquet")
    group = next(c.name for c in detector.schema_.features if c.kind.value == "categorical")
    score_tables(folder / "model", folder / "in", folder / "out", group_by=group)
    return folder / "out"


def watched(place: str, data: bytes, folder: Path) -> None:
    """Read a night of which a file is another, whose digests are made anew, and draw it."""
    out = folder / "watched"
    if not out.exists():
        shutil.copytree(watched_night(), out)
    for name in ("manifest.json", "summary.json"):
        shutil.copyfile(watched_night() / name, out / name)
    path = next(out.glob(place))
    own = path.read_bytes()
    try:
        path.write_bytes(data)
        if place != "summary.json":
            _listed_anew(out, path)
        _looked_at(out)
    finally:
        path.write_bytes(own)


def _listed_anew(out: Path, path: Path) -> None:
    """Write digests as they are now into the manifest, and its own into the summary."""
    manifest = json.loads((out / "manifest.json").read_text())
    name = path.relative_to(out).as_posix()
    for entry in (*(part["files"] for part in manifest["partitions"]), manifest["models"]):
        if name in entry:
            entry[name] = sha256_of(path)
    (out / "manifest.json").write_text(json.dumps(manifest))
    summary = json.loads((out / "summary.json").read_text())
    summary["manifest"] = sha256_of(out / "manifest.json")
    (out / "summary.json").write_text(json.dumps(summary))


def _looked_at(out: Path) -> None:
    read_summary(out)
    manifest = read_manifest(out, verify=False)
    drift_of(out, manifest, night_keys(manifest)[-1], Limits())
    nights = [*last_nights([out]), *last_nights([out], limits=Limits(max_flag_rate=0.1))]
    json.dumps([night_record(night) for night in nights], allow_nan=False)
    write_monitor(nights, "nights", out.parent / "nights.html")


def seeds_of(pattern: str) -> list[bytes]:
    return [next(watched_night().glob(pattern)).read_bytes()]


# ------------------------------------------------------------------ MLflow


@cache
def store(kind: str) -> str:
    """Return an MLflow store for a kind of cases: a model, a promotion and an evaluation."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-store-"))
    os.environ["VAE_ANOMALY_CACHE"] = str(folder / "cache")
    uri = tracking_uri(folder / "store")
    for _ in range(2):
        register_directory(MODEL, name="cards", uri=uri, alias="champion")
    note_challenge("cards", 2, {"passed": True, "words": "it is better", "against": 1,
                                "alias": "champion"}, uri)  # fmt: skip
    promote("cards", 1, uri=uri)
    log_evaluation(resolve("models:/cards@champion", uri), {"auroc": 0.9}, source="test/",
                   documents={"evaluation.json": EVALUATION}, uri=uri)  # fmt: skip
    return uri


EVALUATION = {
    "n_normals": 400,
    "n_anomalies": 40,
    "figures": {"auroc": {"estimate": 0.9, "low": 0.8, "high": 1.0},
                "recall": {"estimate": None, "low": None, "high": None}},
    "kinds": [{"kind": "scratch", "n": 40, "flagged": 31, "share": 0.77, "low": 0.6, "high": 0.9}],
    "by": {"shop": [{"value": "a", "n_normals": 4, "fpr": 0.1, "n_anomalies": 3, "recall": 0.5}]},
    "curve": {"fpr": [0.0, 1.0], "recall": [0.0, 1.0], "precision": [1.0, 0.1],
              "at": [0.1, 0.8, 0.7], "base_rate": 0.1},
}  # fmt: skip


def waiting(kind: str) -> list[bytes]:
    """Return the records of a kind that an outage left."""
    spool = Path(tempfile.mkdtemp(prefix="fuzz-spool-"))
    os.environ.update(MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    here = Path.cwd()
    os.chdir(spool)
    try:
        if kind == "night":
            files = [watched_night() / "summary.json"]
            night = ScoredNight("cards/1", "ab" * 32, "/flags", "cd" * 32, {"rows": 40.0})
            log_night(night, files, uri=_UNREACHABLE)
        else:
            register_directory(MODEL, name="cards", alias="champion", uri=_UNREACHABLE)
    except VaeAnomalyError:
        pass
    finally:
        os.chdir(here)
    [record] = (spool / "vae-anomaly-store" / "spool").iterdir()
    _RECORDS[kind] = record
    return [(record / f"{kind}.json").read_bytes()]


_RECORDS: dict[str, Path] = {}


def read_waiting(kind: str, data: bytes, folder: Path) -> None:
    """Send a record; what stays is no error, and is told."""
    spool = folder / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    if kind not in _RECORDS:
        waiting(kind)
    shutil.copytree(_RECORDS[kind], spool / "record")
    (spool / "record" / f"{kind}.json").write_bytes(data)
    for one in sync_spool(store(kind), spool):
        if one.reason:
            raise VaeAnomalyError(one.reason)


def database(kind: str = "tags") -> Path:
    return Path(store(kind).removeprefix("sqlite:///"))


TAGS = ("model_version_tags", "tags")
_HIDDEN = "vae_anomaly."


def registry_seeds() -> list[bytes]:
    """Return the tags of this package on versions and runs: table, owner, name to value."""
    documents = []
    with closing(sqlite3.connect(database())) as rows:
        for table, owner in zip(TAGS, ("version", "run_uuid"), strict=True):
            found = rows.execute(
                f"SELECT {owner}, key, value FROM {table} WHERE key LIKE '{_HIDDEN}%'"  # noqa: S608
            )
            documents += [[table, owner, [list(row) for row in found]]]
    return [json.dumps(document).encode() for document in documents]


def change_tags(data: bytes, dice: random.Random) -> bytes:
    """Change one value: as JSON where it is such."""
    table, owner, rows = json.loads(data)
    row = dice.choice(rows)
    changed = changed_json if row[2][:1] in ("{", "[") and dice.random() < 0.8 else changed_bytes
    row[2] = changed(str(row[2]).encode(), dice).decode("utf-8", "replace")
    if dice.random() < 0.3:
        row[2] = str(dice.choice(VALUES))
    return json.dumps([table, owner, [row]]).encode()


def read_tags(data: bytes, folder: Path) -> None:
    """Ask the registry everything that it is asked for, with a tag that is another."""
    table, owner, rows = json.loads(data)
    for one, key, value in rows:
        text = str(value).encode("utf-8", "replace").decode()
        where = f"{table} SET value = ? WHERE {owner} = ? AND key = ?"
        before = _swapped(table, owner, one, key)
        _written(where, text, one, key)
        try:
            _asked()
        finally:
            _written(where, before, one, key)


def _swapped(table: str, owner: str, one: str, key: str) -> str:
    with closing(sqlite3.connect(database())) as rows:
        (value,) = rows.execute(
            f"SELECT value FROM {table} WHERE {owner} = ? AND key = ?",  # noqa: S608
            (one, key),
        ).fetchone()
    return str(value)


def _written(where: str, *values: str) -> None:
    with closing(sqlite3.connect(database())) as rows:
        rows.execute(f"UPDATE {where}", values)
        rows.commit()


def _asked() -> None:
    """Let each reader read; the first error of ours is told when all have read."""
    uri, told = store("tags"), []
    with session(uri) as client:
        readers = [
            lambda: load("models:/cards/2", uri),
            lambda: store_facts(resolve("models:/cards@champion", uri), uri),
            lambda: refuse_worse(client, uri, "cards", 2, "champion"),
        ]
        for read in readers:
            try:
                read()
            except VaeAnomalyError as err:
                told.append(err)
    if told:
        raise told[0]


def read_evaluation(data: bytes, folder: Path) -> None:
    """Read what an evaluation logged."""
    uri = store("evaluation")
    [path] = database("evaluation").parent.rglob("evaluation.json")
    path.write_bytes(data)
    store_facts(resolve("models:/cards@champion", uri), uri)


# ------------------------------------------------------------------ the page of a model


def card_seeds() -> list[bytes]:
    return [json.dumps(asdict(card())).encode()]


def card() -> TrainingCard:
    """Return what a training keeps, with something in every field."""
    share, rising = proportion_interval(9, 400), tuple(np.linspace(0.0, 1.0, 5).tolist())
    curve = RankingPoints(rising, rising, rising, (0.05, 0.8, 0.7), 0.1)
    kinds = (KindRate("labelled", 40, 31, share),)
    return TrainingCard(
        source="6,000 rows of days/",
        n_normals=6000,
        n_read=6140,
        n_labelled=40,
        passed_over=(("cannot be read", 3),),
        notes=("a note",),
        warnings=("a warning",),
        spans=(TimeSpan("booked_at", "2026-01-01T00:00:00", "2026-03-01T00:00:00"),),
        n_groups=3,
        columns=(ColumnRange("amount", 0.1, "1", "20", "300"),
                 ColumnRange("shop", 0.0, frequent=(("a", 0.6), ("b", 0.4)), n_values=2)),
        losses=LossCurves((1, 2), (("train_nll", (9.0, None)), ("val_nll", (8.0, 7.0))), 2),
        held_out=HeldOutFacts("each by the others", (ReachedRate(0.01, 400, 9, share),),
                              groups=(GroupRate("a", 400, 9, share),), n_groups=3),
        evaluation=EvaluationFacts("labels", 400, 40, (("auroc", Interval(0.9, 0.8, 1.0)),),
                                   kinds=kinds, by=(("shop", kinds, kinds),), curve=curve),
        map_axes=(0, 1),
    )  # fmt: skip


@cache
def carded() -> Any:
    return load_detector(MODEL), replace(resolve(MODEL), ref="cards")


def read_card(data: bytes, folder: Path) -> None:
    """Draw the page of a model that kept this of its training."""
    detector, model = carded()
    try:
        document = parsed_json(data)
    except ValueError as err:  # a model whose file is no JSON is not loaded at all
        raise VaeAnomalyError(str(err)) from None
    if not isinstance(document, dict):
        raise VaeAnomalyError("it is no object")
    detector.training_ = document
    model_page(facts_of_model(detector, model))


# ------------------------------------------------------------------ jobs


def toml_seeds(job: str) -> list[bytes]:
    return [(PIPELINES / f"{job}.toml").read_bytes()]


def change_toml(data: bytes, dice: random.Random) -> bytes:
    """Change bytes, or the value of a key; sometimes of one that is commented out."""
    if dice.random() < 0.3:
        return changed_bytes(data, dice)
    lines = data.split(b"\n")
    keys = [i for i, line in enumerate(lines) if b"=" in line]
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.choice(keys)
        name, _, old = lines[at].partition(b"=")
        value = json.dumps(dice.choice(VALUES)).encode() if dice.random() < 0.6 else (
            dice.choice((*WORDS, b"1979-05-27", b"0x10", b"inf", b"[1, 2]", b"{a = 1}", b"'{date}'",
                         b"'{x}'", b"'~nobody/x'", old)))  # fmt: skip
        lines[at] = name.lstrip(b"# ") + b"= " + value
    return b"\n".join(lines)


def read_toml(job: str, data: bytes, folder: Path) -> None:
    path = folder / f"{job}.toml"
    path.write_bytes(data)
    json.dumps(checked(path, day="2026-01-01"))


# ------------------------------------------------------------------ all of them


def targets() -> Iterator[Target]:
    """Yield every kind of file."""
    yield from files()
    for place in ("summary.json", "tally/*.json", "review/model-*.json"):
        yield Target(f"watched {place}", partial(seeds_of, place), changed_json,
                     partial(watched, place))  # fmt: skip
    yield Target("training card", card_seeds, changed_json, read_card)
    for job in JOBS:
        yield Target(f"job {job}", partial(toml_seeds, job), change_toml, partial(read_toml, job))
    for kind in ("night", "run"):
        yield Target(f"store {kind}.json", partial(waiting, kind), changed_json,
                     partial(read_waiting, kind))  # fmt: skip
    yield Target("store tags", registry_seeds, change_tags, read_tags)
    yield Target("store evaluation.json", lambda: [json.dumps(EVALUATION).encode()], changed_json,
                 read_evaluation)  # fmt: skip

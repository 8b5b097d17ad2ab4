"""Every file that is read: where valid ones come from, and how they are read, for `fuzz.py`.

A target reads what a change has made of a valid file, and goes on to use it as far as its scores.
Models are those of ``tests/golden``, one of each kind; outputs are of a night that is scored here.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fuzz_mutations import (
    changed_bytes,
    changed_document,
    changed_json,
    changed_json_lines,
    changed_lines,
    changed_tensors,
)
from PIL import Image

from vae_anomaly import load_detector
from vae_anomaly.batch import (
    read_manifest,
    read_quarantine,
    read_results,
    read_review,
    read_scoring_facts,
    score_tables,
)
from vae_anomaly.batch.output.ledger import Ledger
from vae_anomaly.data.images.decode import ImageLimits, decode_image
from vae_anomaly.data.images.folders import list_images
from vae_anomaly.data.images.masks import read_mask
from vae_anomaly.data.tables.entity_histories import EntityHistories
from vae_anomaly.data.tables.labels import read_answers
from vae_anomaly.data.tables.read import iter_batches, read_table
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.judged import columns_as_text, judge_rows, row_faults
from vae_anomaly.files import sha256_of
from vae_anomaly.jobs import read_schema
from vae_anomaly.persistence import MODEL_FILES, SUMS
from vae_anomaly.scoring.judging import judge_sound
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.reviews.verdicts import read_verdicts

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
FOLDER = GOLDEN / "2026-11"
SMALL = ImageLimits(max_pixels=1_000_000)
Change = Callable[[bytes, random.Random], bytes]


class NotFiniteError(Exception):
    """A score that is no finite number came out."""


@dataclass(frozen=True)
class Target:
    """A kind of file: valid ones, how they are changed, and who reads them."""

    name: str
    seeds: Callable[[], list[bytes]]
    change: Change
    read: Callable[[bytes, Path], object]


def finite(values: Any) -> None:
    if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
        raise NotFiniteError("a score is not finite")


# ------------------------------------------------------------------ tables


@cache
def payments() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / "inputs" / "payments.parquet").head(40)


@cache
def table_model() -> Any:
    return load_detector(FOLDER / "table_mixed" / "model")


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("rows.csv", content)
    return buffer.getvalue()


def read_rows(name: str, data: bytes, folder: Path) -> None:
    """Say what its columns are, and score its rows in pieces."""
    path = folder / name
    path.write_bytes(data)
    detector = table_model()
    Schema.infer(read_table(path))
    for frame in iter_batches(path, 16, as_text=columns_as_text(detector)):
        detector.schema_.check(frame)
        judged = judge_rows(detector, frame, row_faults(detector, frame))
        verdicts = judged.verdicts
        finite(verdicts.score[verdicts.is_scored])
        finite(verdicts.p_value[verdicts.is_scored])
        judged.reasons(3)


def change_packed(data: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.5:
        return changed_bytes(data, dice)
    return gzip.compress(changed_lines(gzip.decompress(data), dice))


# ------------------------------------------------------------------ lists, sheets, records


def read_images_listed(name: str, data: bytes, folder: Path) -> None:
    for number in range(3):
        image = folder / f"{number}.png"
        if not image.exists():
            Image.new("L", (8, 8), 100).save(image)
            Image.new("L", (8, 8), 255).save(folder / f"{number}_mask.png")
    path = folder / name
    path.write_bytes(data)
    list_images(path)
    list_images(path, split="test")


LISTED = pd.DataFrame(
    {
        "path": ["0.png", "1.png", "2.png"],
        "label": ["good", "scratch", "good"],
        "split": ["train", "test", "test"],
        "mask": [None, "1_mask.png", None],
        "camera": ["a", "b", "a"],
    }
)
JUDGED = pd.DataFrame(
    {
        "item": ["a/0.png", "a/1.png", "b/2.png", "b/3.png"],
        "verdict": ["confirmed", "false alarm", "", "defect"],
        "audit": ["no", "yes", "no", "no"],
        "who": ["ann", "ben", "", "ann"],
        "when": ["2026-01-01", "2026-01-01 10:00", "2026-01-01 10:00", "2026-01-02"],
    }
)


def read_decisions(data: bytes, folder: Path) -> None:
    path = folder / "decisions.csv"
    path.write_bytes(data)
    read_verdicts(path, ids=["a/0.png", "a/1.png"])


def read_label_column(data: bytes, folder: Path) -> None:
    path = folder / "labels.csv"
    path.write_bytes(data)
    frame = read_table(path, as_text=["item"])
    if "verdict" in frame:
        read_answers(frame["verdict"])


def threshold_seeds() -> list[bytes]:
    made = [Threshold(value=2.0), load_detector(FOLDER / "table_probability" / "model").threshold_]
    return [json.dumps(one.to_dict()).encode() for one in made]


def read_threshold(data: bytes, folder: Path) -> None:
    path = folder / "threshold.json"
    path.write_bytes(data)
    threshold = Threshold.load(path)
    finite(threshold.value)
    threshold.flag([0.0, 1.0, 300.0])


def read_schema_file(data: bytes, folder: Path) -> None:
    path = folder / "schema.json"
    path.write_bytes(data)
    schema = read_schema(path)
    schema.check(payments())
    schema.bad_rows(payments())


# ------------------------------------------------------------------ a folder of results


@cache
def night() -> Path:
    """Return a scored night, made once a process."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="fuzz-night-"))
    frame = payments().copy()
    amount = frame.select_dtypes("number").columns[0]
    frame.loc[3, amount] = np.inf
    (folder / "night").mkdir()
    frame.to_parquet(folder / "night" / "day.parquet")
    score_tables(FOLDER / "table_mixed" / "model", folder / "night", folder / "out",
                 max_bad_fraction=1.0)  # fmt: skip
    with closing(sqlite3.connect(folder / "out" / "ledger.sqlite")) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    return folder / "out"


def results(folder: Path) -> Path:
    """Return a copy of the night, to be changed."""
    out = folder / "out"
    if not out.exists():
        shutil.copytree(night(), out)
    return out


def seeds_of(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(night().glob(pattern))]


def read_changed_manifest(data: bytes, folder: Path) -> None:
    out = results(folder)
    (out / "manifest.json").write_bytes(data)
    read_manifest(out)
    read_results(out, allow_failed=True)


def read_changed(place: str, data: bytes, folder: Path) -> None:
    """Read a file that a manifest lists, whose digest is made anew."""
    out = results(folder)
    path = next(out.glob(place))
    path.write_bytes(data)
    manifest = json.loads((night() / "manifest.json").read_text())
    name = path.relative_to(out).as_posix()
    for entry in (*(part["files"] for part in manifest["partitions"]), manifest["models"]):
        if name in entry:
            entry[name] = sha256_of(data)
    (out / "manifest.json").write_text(json.dumps(manifest))
    known = read_manifest(out)
    read_results(out)
    for entry in known["partitions"]:
        read_review(out, entry)
        for item in out.glob("quarantine/*.jsonl"):
            read_quarantine(item)
    read_scoring_facts(out, known)


def read_ledger(data: bytes, folder: Path) -> None:
    path = folder / "ledger.sqlite"
    for left in folder.glob("ledger.sqlite*"):
        left.unlink()
    path.write_bytes(data)
    with Ledger(path) as ledger:
        ledger.rows()
        ledger.nights()


def change_ledger(data: bytes, dice: random.Random) -> bytes:
    """Change bytes, or what one cell of the partitions says."""
    if dice.random() < 0.5:
        return changed_bytes(data, dice)
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(data)
        names = [row[1] for row in database.execute("PRAGMA table_info(partitions)")]
        name = dice.choice(names)
        (old,) = database.execute(f"SELECT {name} FROM partitions").fetchone()  # noqa: S608
        new: Any = changed_bytes(str(old).encode(), dice).decode("utf-8", "replace")
        if isinstance(old, str) and old[:1] in ("{", "["):
            new = json.dumps(changed_document(json.loads(old), dice))
        elif not isinstance(old, str):
            new = dice.choice((-1, 0, 2**62, 1e300, -1e300))
        try:
            database.execute(f"UPDATE partitions SET {name} = ?", (new,))  # noqa: S608
            database.commit()
        except (sqlite3.Error, UnicodeEncodeError):
            return changed_bytes(data, dice)
        return database.serialize()


@cache
def histories() -> list[bytes]:
    detector = load_detector(FOLDER / "table_entities" / "model")
    path = night() / "state.npz"
    detector.entities_.save(path)
    content = path.read_bytes()
    path.unlink()
    return [content]


def read_state(data: bytes, folder: Path) -> None:
    path = folder / "state.npz"
    path.write_bytes(data)
    detector = load_detector(FOLDER / "table_entities" / "model")
    own = detector.entities_
    state = EntityHistories.load(path)
    if state.columns == own.columns:
        rows = pd.read_parquet(FOLDER / "inputs" / "cards.parquet").tail(20)
        finite(detector.assess(state.extend(rows)).select_dtypes("number"))


# ------------------------------------------------------------------ models


def models() -> list[str]:
    """Return the golden models: one of each kind."""
    return sorted(path.parent.name for path in FOLDER.glob("*/model"))


@cache
def case_of(name: str) -> dict[str, Any]:
    cases = json.loads((FOLDER / "manifest.json").read_text())["cases"]
    return next(case for case in cases if case["name"] == name)


@cache
def items_of(name: str) -> Any:
    """Return a few of the items that the golden model is asked about."""
    path = FOLDER / "inputs" / case_of(name)["input"]
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        return frame.tail(12) if name == "table_entities" else frame.head(12)
    return np.load(path)["images"][:2] if path.suffix == ".npz" else path


def seeds_of_model(name: str) -> list[bytes]:
    """Return each file of a model: its name and, after a line end, what it holds."""
    model = FOLDER / name / "model"
    return [file.encode() + b"\n" + (model / file).read_bytes() for file in MODEL_FILES]


def change_model(data: bytes, dice: random.Random) -> bytes:
    """Change the file, not its name."""
    file, _, content = data.partition(b"\n")
    change = changed_tensors if file.endswith(b".safetensors") else changed_json
    return file + b"\n" + change(content, dice)


def read_model(name: str, data: bytes, folder: Path) -> None:
    """Load the model with a file in another's place, listed with its digest, and score."""
    file, _, content = data.partition(b"\n")
    place = folder / name
    if not place.exists():
        place.mkdir()
    for own in MODEL_FILES:
        shutil.copyfile(FOLDER / name / "model" / own, place / own)
    (place / file.decode()).write_bytes(content)
    sums = [f"{sha256_of(place / own)}  {own}\n" for own in sorted(MODEL_FILES)]
    (place / SUMS).write_text("".join(sums))
    given = {"features": filters()} if case_of(name)["features"] else {}
    detector: Any = load_detector(place, **given)
    items = items_of(name)
    if getattr(detector, "entities_", None) is not None:
        items = detector.entities_.copy().extend(items)
    raw, threshold = detector.assess(items)["raw_score"], detector.threshold_.value
    verdicts = judge_sound(raw, [None] * len(raw), detector.calibration_, threshold, "item")
    finite(verdicts.score[verdicts.is_scored])
    finite(verdicts.p_value[verdicts.is_scored])
    if hasattr(detector, "predict_proba") and detector.probability_ is not None:
        finite(detector.predict_proba(items))
    detector.reasons(items)


@cache
def filters() -> Any:
    sys.path.insert(0, str(GOLDEN.parent))
    from golden.backbone import Filters

    return Filters()


# ------------------------------------------------------------------ images


def images(form: str) -> list[bytes]:
    """Return valid images of a format: grey, in colour, with what the format has besides."""
    rng = np.random.default_rng(0)
    grey = Image.fromarray(rng.integers(0, 255, (24, 20), dtype=np.uint8))
    colour = Image.fromarray(rng.integers(0, 255, (24, 20, 3), dtype=np.uint8))
    further: dict[str, list[tuple[Image.Image, dict[str, Any]]]] = {
        "PNG": [(grey.convert("P"), {}), (colour.convert("RGBA"), {}), (deep(rng), {})],
        "JPEG": [(colour.convert("CMYK"), {}), (grey, {"progressive": True})],
        "TIFF": [
            (deep(rng), {}), (grey, {"compression": "tiff_lzw"}),
            (colour, {"compression": "tiff_adobe_deflate"}), (grey.convert("1"), {}),
            (Image.fromarray(rng.random((9, 9), dtype=np.float32)), {}),
        ],
        "BMP": [(grey.convert("P"), {}), (grey.convert("1"), {})],
        "WEBP": [(colour.convert("RGBA"), {"lossless": True})],
    }  # fmt: skip
    return [_saved(one, form, **how) for one, how in [(grey, {}), (colour, {}), *further[form]]]


def deep(rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 65535, (12, 10)).astype(np.uint16))


def _saved(image: Image.Image, form: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(buffer, form, exif=exif.tobytes(), **how) if form in ("JPEG", "WEBP") else (
        image.save(buffer, form, **how)
    )
    return buffer.getvalue()


def read_image(data: bytes, folder: Path) -> None:
    path = folder / "image.bin"
    path.write_bytes(data)
    pixels = decode_image(path, limits=SMALL)
    if pixels.dtype.kind == "f":
        finite(pixels)


def mask_seeds() -> list[bytes]:
    mask = Image.new("L", (20, 24))
    mask.paste(255, (3, 3, 9, 9))
    inks = mask.convert("P"), mask.convert("RGBA"), mask.convert("1"), mask
    return [_saved(one, form) for one in inks for form in ("PNG", "TIFF")]


def read_mask_of(data: bytes, folder: Path) -> None:
    path, image = folder / "mask.png", folder / "image.png"
    if not image.exists():
        Image.new("L", (20, 24), 100).save(image)
    path.write_bytes(data)
    read_mask(path, image)


# ------------------------------------------------------------------ all of them


def targets() -> Iterator[Target]:
    rows = payments()
    yield Target("table.csv", lambda: [csv(rows)], changed_lines, partial(read_rows, "rows.csv"))
    yield Target("table.tsv", lambda: [rows.to_csv(index=False, sep="\t").encode()],
                 changed_lines, partial(read_rows, "rows.tsv"))  # fmt: skip
    yield Target("table.csv.gz", lambda: [gzip.compress(csv(rows))], change_packed,
                 partial(read_rows, "rows.csv.gz"))  # fmt: skip
    yield Target("table.parquet", lambda: [parquet(rows)], changed_bytes,
                 partial(read_rows, "rows.parquet"))  # fmt: skip
    yield Target("table.zip", lambda: [zipped(csv(rows))], changed_bytes,
                 partial(read_rows, "rows.csv.zip"))  # fmt: skip
    yield Target("schema", lambda: [table_model().schema_.to_json().encode()], changed_json,
                 read_schema_file)  # fmt: skip
    yield Target("image list.csv", lambda: [csv(LISTED)], changed_lines,
                 partial(read_images_listed, "list.csv"))  # fmt: skip
    yield Target("image list.parquet", lambda: [parquet(LISTED)], changed_bytes,
                 partial(read_images_listed, "list.parquet"))  # fmt: skip
    yield Target("decisions", lambda: [csv(JUDGED)], changed_lines, read_decisions)
    yield Target("labels", lambda: [csv(JUDGED)], changed_lines, read_label_column)
    yield Target("threshold", threshold_seeds, changed_json, read_threshold)
    yield Target("manifest", lambda: seeds_of("manifest.json"), changed_json,
                 read_changed_manifest)  # fmt: skip
    changes = {"part-*.parquet": changed_bytes, "quarantine/*.jsonl": changed_json_lines,
               "review/day*.jsonl": changed_json_lines,
               "review/model-*.json": changed_json}  # fmt: skip
    for place, change in changes.items():
        yield Target(place, partial(seeds_of, place), change, partial(read_changed, place))
    yield Target("ledger", lambda: seeds_of("ledger.sqlite"), change_ledger, read_ledger)
    yield Target("state", histories, changed_bytes, read_state)
    for name in models():
        yield Target(f"model {name}", partial(seeds_of_model, name), change_model,
                     partial(read_model, name))  # fmt: skip
    for form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        yield Target(f"image {form}", partial(images, form), changed_bytes, read_image)
    yield Target("mask", mask_seeds, changed_bytes, read_mask_of)

"""The configurations of `same_scores.py` that go through the command line, from files to files.

Every file that a command writes is kept, and what it prints; commands run in an empty folder, with
relative paths, so that no path of the machine gets into them.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from same_scores_cases import SMALL, ask, case
from same_scores_data import (
    card_payments,
    discs_and_squares,
    keep,
    payments,
    plates,
    spoilt,
    strange_payments,
    write_images,
)

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, load_detector
from vae_anomaly.cli import main

TRAIN = ("--no-register", "--max-steps", "20", "--id-column", "id")
POLICIES: dict[str, tuple[str, ...]] = {
    "target_fpr": ("--target-fpr", "0.05"),
    "alarms": ("--max-alarms-per-day", "20", "--volume", "500"),
    "quantile": ("--quantile", "0.9"),
    "tail": ("--tail-fpr", "0.001"),
    "fdr": ("--fdr", "0.2"),
    "capacity": ("--capacity", "10"),
    "f_beta": ("--f-beta", "1"),
    "youden": ("--youden",),
    "cost": ("--cost-fp", "1", "--cost-fn", "50"),
    "cost_amount": ("--cost-fp", "1", "--cost-fn", "0.5", "--amount", "loss"),
    "precision": ("--min-precision", "0.8"),
    "recall": ("--min-recall", "0.8"),
}


def command(folder: Path, name: str, *arguments: object) -> None:
    """Run a command and keep its exit code and what it printed."""
    said = io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
    if code not in (0, None, 3, 4, 6):  # refused, bad items, anomalies
        raise RuntimeError(f"{arguments} ended with {code}: {errors.getvalue()[-500:]}")
    refusal = errors.getvalue().splitlines()[-1:] if code in (3, 4) else []
    keep(folder, f"{name}.code", "\n".join([f"{code or 0}", *refusal]))
    document = said.getvalue().startswith("{")
    (folder / f"{name}.said.{'json' if document else 'txt'}").write_text(said.getvalue())


def keep_files(folder: Path, name: str) -> None:
    """Keep everything that lies in a folder, or one file."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if Path(name).is_dir():
        shutil.copytree(name, folder / name, dirs_exist_ok=True)
    else:
        shutil.copy(name, folder / name)


def labelled_payments(n: int = 150) -> pd.DataFrame:
    """Return strange and usual payments; the column fraud says which is which."""
    strange = strange_payments().iloc[:12].assign(fraud=1)
    return pd.concat([payments(n, 5).assign(fraud=0), strange], ignore_index=True)


def train_payments(n: int = 300, **parameters: Any) -> None:
    """Train on payments, into the folder model."""
    given = {"preset": "fast", "max_steps": 20, "random_state": 0} | parameters
    TabularVAEDetector(**given).fit(payments(n, 1).drop(columns="id")).save("model")


def train_plates(n: int = 40, **parameters: Any) -> None:
    """Train on plates, into the folder model."""
    given = SMALL | {"preset": "fast"} | parameters
    ImageVAEDetector(**given).fit(plates(n, 1)).save("model")


def write_labelled_plates() -> None:
    """Write test/good and test/hole."""
    images = spoilt(plates(24, 3))
    write_images(Path("parts/test/good"), images[1::2])
    write_images(Path("parts/test/hole"), images[::2])


# ---------------------------------------------------------------------- training


@case("command/train-table")
def train_table(folder: Path) -> None:
    labelled_payments(400).to_csv("days.csv", index=False)
    options = ("--label", "fraud", "--kind", "items=categorical", "--ignore", "tip")
    command(folder, "schema", "data", "schema", "days.csv", "--label", "fraud")
    command(folder, "check", "data", "check", "days.csv", "--label", "fraud", "--json")
    command(folder, "train", "train", "table", "days.csv", *options, *TRAIN, "--out", "model",
            "--groups", "card", "--json")  # fmt: skip
    keep_files(folder, "model")


@case("command/train-table-sampled")
def train_sampled(folder: Path) -> None:
    Path("days").mkdir()
    for day in range(3):
        payments(900, day).to_parquet(f"days/{day}.parquet")
    command(folder, "train", "train", "table", "days", *TRAIN, "--out", "model", "--json",
            "--sample-rows", "1500", "--contamination", "0.05")  # fmt: skip
    keep_files(folder, "model")


@case("command/train-table-schema")
def train_schema(folder: Path) -> None:
    payments(300, 1).to_csv("days.csv", index=False)
    command(folder, "schema", "data", "schema", "days.csv", "--id-column", "id", "--out", "s.json")
    schema = Path("s.json").read_text()
    Path("s.json").write_text(schema.replace('"numeric"', '"ignored"', 1))
    command(folder, "train", "train", "table", "days.csv", "--schema", "s.json", *TRAIN, "--out",
            "model", "--model", "conditional", "--condition", "trade", "--json")  # fmt: skip
    keep_files(folder, "s.json")
    keep_files(folder, "model")


@case("command/train-images")
def train_images(folder: Path) -> None:
    write_images(Path("good"), plates(20, 1))
    command(folder, "check", "data", "check", "good", "--json")
    command(folder, "train", "train", "images", "good", "--size", "64", "--max-steps", "6",
            "--no-register", "--out", "model", "--json")  # fmt: skip
    keep_files(folder, "model")


@case("command/train-images-conditional")
def train_conditional(folder: Path) -> None:
    write_images(Path("good"), *discs_and_squares(15, 1))
    command(folder, "train", "train", "images", "good", "--model", "conditional", "--condition",
            "folder", "--max-steps", "4", "--no-register", "--out", "model", "--json")  # fmt: skip
    keep_files(folder, "model")
    write_images(Path("tonight"), *discs_and_squares(5, 2))
    write_images(Path("tonight/ring"), discs_and_squares(1, 3)[0])
    command(folder, "score", "score", "images", "model", "tonight", "--out", "flags",
            "--heatmaps", "all", "--json")  # fmt: skip
    keep_files(folder, "flags")


# ---------------------------------------------------------------------- scoring


@case("command/score-table")
def score_table(folder: Path) -> None:
    train_payments()
    Path("days").mkdir()
    strange_payments().to_parquet("days/one.parquet")
    bad = strange_payments(40, 903)
    bad["amount"] = bad["amount"].astype(object)
    bad.loc[20, "amount"], bad.loc[21, "amount"] = "a lot", np.inf
    bad.loc[22, "id"], bad.loc[23, "id"] = bad.loc[24, "id"], None
    bad.to_csv("days/two.csv", index=False)
    payments(40, 904).drop(columns="chip").to_parquet("days/chipless.parquet")
    Path("days/broken.parquet").write_bytes(b"no table")
    for name in ("broken", "chipless", "first", "second"):  # two are refused, two go through
        command(folder, name, "score", "table", "model", "days", "--out", "flags", "--json",
                "--id-column", "id", "--max-bad-fraction", "0.9")  # fmt: skip
        Path(f"days/{name}.parquet").unlink(missing_ok=True)
    keep_files(folder, "flags")


@case("command/score-table-default")
def score_table_default(folder: Path) -> None:
    train_payments(preset="default", n=2_300)
    payments(3_000, 6).to_parquet("day.parquet")
    command(folder, "said", "score", "table", "model", "day.parquet", "--out", "flags",
            "--id-column", "id")  # fmt: skip
    keep_files(folder, "flags")


@case("command/score-entities")
def score_entities(folder: Path) -> None:
    card_payments(0, 12).to_parquet("training.parquet")
    declared = ("--entity", "card", "--time", "at", "--amount", "euro")
    command(folder, "train", "train", "table", "training.parquet", *declared, *TRAIN,
            "--out", "model", "--json")  # fmt: skip
    keep_files(folder, "model")
    Path("nights").mkdir()
    for day in (12, 13, 14):
        rows = card_payments(day)
        rows.loc[7, "euro"] *= 40.0
        rows.loc[9, "card"] = None
        rows.to_parquet(f"nights/{day}.parquet")
        command(folder, f"night{day}", "score", "table", "model", f"nights/{day}.parquet", "--out",
                "flags", "--json", "--max-bad-fraction", "0.5")  # fmt: skip
    command(folder, "all", "score", "table", "model", "nights", "--out", "at-once",
            "--max-bad-fraction", "0.5")  # fmt: skip
    keep_files(folder, "flags")
    keep_files(folder, "at-once")
    command(folder, "inspect", "inspect", "model", "nights/14.parquet:8", "--state", "flags",
            "--json")  # fmt: skip
    detector = load_detector("model")
    rows = detector.entities_.copy().extend(card_payments(12))
    keep(folder, "extended", rows)
    ask(folder / "extended-rows", detector, rows.iloc[:40])


def score_image_files(folder: Path, *options: str, **parameters: Any) -> None:
    train_plates(**parameters)
    write_images(Path("tonight"), spoilt(plates(12, 3)))
    write_images(Path("tonight/wide"), spoilt(plates(4, 4, size=(100, 130))))
    Path("tonight/broken.png").write_bytes(b"no image")
    command(folder, "said", "score", "images", "model", "tonight", "--out", "flags", "--json",
            "--max-bad-fraction", "0.5", *options)  # fmt: skip
    keep_files(folder, "flags")


@case("command/score-images")
def score_images(folder: Path) -> None:
    score_image_files(folder, "--heatmaps", "all", "--masks", "all")


@case("command/score-images-flagged")
def score_images_flagged(folder: Path) -> None:
    score_image_files(folder, preset="default", max_steps=8, target_fpr=0.1)


@case("command/score-images-tiles")
def score_images_tiles(folder: Path) -> None:
    score_image_files(folder, "--heatmaps", "all", "--masks", "all", tile_size=64, n=14)


@case("command/score-images-placed")
def score_images_placed(folder: Path) -> None:
    given = {"register": "shift", "foreground": "auto", "preset": "fast"}
    look = {"uniform": True, "most": 3}
    ImageVAEDetector(**SMALL | given).fit(plates(20, 1, **look)).save("model")
    write_images(Path("tonight"), spoilt(plates(12, 3, **look)))
    command(folder, "said", "score", "images", "model", "tonight", "--out", "flags", "--json",
            "--heatmaps", "all", "--masks", "all")  # fmt: skip
    keep_files(folder, "flags")


# ---------------------------------------------------------------------- measuring


def tune(folder: Path, given: str, *labels: str) -> None:
    """Ask for each policy, with labels and, where it can be, without."""
    for name, options in POLICIES.items():
        out = ("--out", f"{name}.json", "--json")
        if "--amount" in options and not labels:
            continue
        command(
            folder, name, "threshold", "tune", "model", "--input", given, *labels, *options, *out
        )
    for name in ("target_fpr", "alarms", "quantile", "tail"):
        command(folder, f"{name}_held_out", "threshold", "tune", "model", *POLICIES[name],
                "--out", f"{name}_held_out.json")  # fmt: skip
    command(folder, "compare", "threshold", "compare", "model", "f_beta.json", "--input", given,
            *labels, "--json")  # fmt: skip
    command(folder, "apply", "threshold", "apply", "model", "f_beta.json", "--json")
    command(folder, "show", "threshold", "show", "model", "--json")
    keep_files(folder, "model")
    for path in sorted(Path().glob("*.json")):
        keep_files(folder, path.name)


@case("command/threshold-table")
def threshold_table(folder: Path) -> None:
    train_payments()
    labelled = labelled_payments()
    labelled["loss"] = labelled["amount"].fillna(0.0)
    labelled.to_parquet("labelled.parquet")
    tune(folder, "labelled.parquet", "--labels", "fraud")


@case("command/threshold-images")
def threshold_images(folder: Path) -> None:
    train_plates()
    write_labelled_plates()
    tune(folder, "parts")


@case("command/evaluate-table")
def evaluate_table(folder: Path) -> None:
    train_payments()
    labelled_payments().to_parquet("labelled.parquet")
    command(folder, "said", "evaluate", "model", "labelled.parquet", "--labels", "fraud", "--by",
            "trade", "--group", "card", "--out", "evaluation", "--json")  # fmt: skip
    command(folder, "words", "evaluate", "model", "labelled.parquet", "--labels", "fraud")
    keep_files(folder, "evaluation")


@case("command/evaluate-images")
def evaluate_images(folder: Path) -> None:
    train_plates()
    write_labelled_plates()
    command(folder, "said", "evaluate", "model", "parts", "--out", "evaluation", "--json")
    keep_files(folder, "evaluation")


@case("command/probability")
def probability(folder: Path) -> None:
    train_payments()
    labelled = labelled_payments()
    labelled.to_parquet("labelled.parquet")
    for method in ("isotonic", "sigmoid"):
        command(folder, method, "probability", "fit", "model", "labelled.parquet", "--labels",
                "fraud", "--method", method, "--base-rate", "0.01", "--out", f"{method}.json",
                "--json")  # fmt: skip
        command(folder, f"{method}_apply", "probability", "apply", "model", f"{method}.json")
        keep(folder, f"{method}_proba", load_detector("model").predict_proba(labelled))
        keep_files(folder, f"{method}.json")
    keep_files(folder, "model")


# ---------------------------------------------------------------------- looking


@case("command/inspect-table")
def inspect_table(folder: Path) -> None:
    train_payments()
    strange_payments().to_parquet("day.parquet")
    command(folder, "row", "inspect", "model", "day.parquet:1", "--json")
    command(folder, "row_words", "inspect", "model", "day.parquet", "--row", "2")
    command(folder, "strangest", "inspect", "model", "day.parquet", "--top", "5", "--json")


@case("command/inspect-images")
def inspect_images(folder: Path) -> None:
    train_plates()
    write_images(Path("tonight"), spoilt(plates(6, 3)))
    titles = "matplotlib.axes.Axes.set_title", "matplotlib.figure.Figure.suptitle"
    with mock.patch(titles[0]), mock.patch(titles[1]):  # their words may change
        command(folder, "words", "inspect", "model", "tonight", "--out", "cards")
    command(folder, "json", "inspect", "model", "tonight/part-000.png", "--json")
    keep_files(folder, "cards")


def latent(folder: Path, given: str, a: str, b: str, ending: str) -> None:
    """Embed, sample, interpolate and traverse, into files."""
    command(folder, "embed", "latent", "embed", "model", given, "--out", "z.parquet", "--json")
    questions: dict[str, tuple[str, ...]] = {
        "sample": ("sample", "model", "--n", "6", "--sampler", "gmm"),
        "way": ("interpolate", "model", a, b, "--steps", "4"),
        "moved": ("traverse", "model", a, "--steps", "3"),
    }
    keep_files(folder, "z.parquet")
    for name, question in questions.items():
        command(folder, name, "latent", *question, "--out", f"{name}.{ending}", "--json")
        keep_files(folder, f"{name}.{ending}")


@case("command/latent-table")
def latent_table(folder: Path) -> None:
    train_payments()
    strange_payments().to_csv("day.csv", index=False)
    latent(folder, "day.csv", "day.csv:1", "day.csv:20", "csv")


@case("command/latent-images")
def latent_images(folder: Path) -> None:
    train_plates()
    write_images(Path("tonight"), spoilt(plates(6, 3)))
    latent(folder, "tonight", "tonight/part-000.png", "tonight/part-003.png", "png")


@case("command/sweep-table")
def sweep_table(folder: Path) -> None:
    payments(200, 1).to_csv("days.csv", index=False)
    command(folder, "said", "sweep", "table", "days.csv", "--no-track", "--steps", "20", "--beta",
            "1,4", "--latent-dim", "2", "--id-column", "id", "--json")  # fmt: skip


@case("command/sweep-images")
def sweep_images(folder: Path) -> None:
    write_images(Path("good"), plates(20, 1))
    command(folder, "said", "sweep", "images", "good", "--no-track", "--steps", "6", "--beta", "1",
            "--latent-dim", "4", "--size", "16", "--json")  # fmt: skip


# ---------------------------------------------------------------------- elsewhere


def exported(folder: Path, **parameters: Any) -> None:
    """Keep what an ONNX file says; its bytes hold names of modules, which move."""
    if find_spec("onnxruntime") is None or find_spec("onnxscript") is None:
        keep(folder, "skipped", "the extra onnx is not installed")
        return
    import onnxruntime

    train_plates(**parameters)
    load_detector("model").export_onnx("model.onnx")
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    answers = session.run(None, {given: spoilt(plates(6, 3))[..., None]})
    for output, answer in zip(session.get_outputs(), answers, strict=True):
        keep(folder, output.name, answer)


@case("command/export-default")
def export_default(folder: Path) -> None:
    exported(folder, preset="default", max_steps=8)


@case("command/export-conv")
def export_conv(folder: Path) -> None:
    exported(folder, model="conv", max_steps=4)


def store() -> str:
    """Return the address of an empty MLflow store in this folder."""
    os.environ["VAE_ANOMALY_CACHE"] = str(Path("cache").absolute())
    return f"sqlite:///{Path('store.db').absolute()}"


def serve(uri: str, name: str, rows: pd.DataFrame) -> Any:
    """Return what MLflow's function of a registered model says."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    return mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(rows)


@case("command/registered-table")
def registered_table(folder: Path) -> None:
    """Score with a model of the registry, review what it flags, and tune by that."""
    at = ("--tracking-uri", store())
    payments(600, 1).to_csv("days.csv", index=False)
    command(folder, "train", "train", "table", "days.csv", "--max-steps", "20", "--id-column",
            "id", "--name", "cards", *at)  # fmt: skip
    labelled = labelled_payments(400)
    labelled.drop(columns="fraud").to_parquet("day.parquet")
    command(folder, "score", "score", "table", "models:/cards@champion", "day.parquet", "--out",
            "flags", *at)  # fmt: skip
    keep_files(folder, "flags")
    command(folder, "sample", "feedback", "sample", "models:/cards@champion", "--scores", "flags",
            "--n", "60", *at)  # fmt: skip
    keep_files(folder, "decisions.csv")
    sheet = pd.read_csv("decisions.csv")
    real = set(labelled["id"][labelled["fraud"] == 1])
    sheet["verdict"] = ["confirmed" if item in real else "false alarm" for item in sheet["item"]]
    sheet.to_csv("decisions.csv", index=False)
    command(folder, "import", "feedback", "import", "models:/cards@champion", "decisions.csv",
            "--who", "Ada", *at)  # fmt: skip
    for name, wish in (("f_beta", "1"), ("min_precision", "0.7")):
        command(folder, f"tune_{name}", "threshold", "tune", "models:/cards@champion", "--scores",
                "flags", "--feedback", f"--{name.replace('_', '-')}", wish, "--json",
                "--out", f"{name}.json", *at)  # fmt: skip
        keep_files(folder, f"{name}.json")
    rows = strange_payments().drop(columns="id")
    rows["paid_at"] = rows["paid_at"].astype(str)  # as a server gets them
    keep(folder, "served", serve(at[1], "cards", rows))


@case("command/registered-images")
def registered_images(folder: Path) -> None:
    uri = store()
    write_images(Path("good"), plates(20, 1))
    command(folder, "train", "train", "images", "good", "--size", "64", "--preset", "fast",
            "--name", "plates", "--tracking-uri", uri)  # fmt: skip
    fresh = write_images(Path("fresh"), spoilt(plates(6, 3)))
    contents = [*(path.read_bytes() for path in fresh), b"no image", b""]
    keep(folder, "served", serve(uri, "plates", pd.DataFrame({"image": contents})))

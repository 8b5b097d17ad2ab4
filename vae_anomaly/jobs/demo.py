"""The whole path on input that it makes itself: train, register, score a night, tune, draw pages.

Nothing here is special to the demo but the input: every step is the call that a user's job makes.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from vae_anomaly.batch import RunSummary, read_results, score_images, score_tables
from vae_anomaly.data.images.folders import list_images
from vae_anomaly.data.synthetic import write_surfaces, write_transactions
from vae_anomaly.data.tables.entity_histories import EntityColumns
from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.errors import ConfigError
from vae_anomaly.evaluation import apply_threshold, bind, held_out_normals, tune
from vae_anomaly.files import write_json
from vae_anomaly.jobs.report.model import write_model_page
from vae_anomaly.jobs.report.night.facts import Wanted
from vae_anomaly.jobs.report.night.write import write_night
from vae_anomaly.jobs.train_images import train_images_job
from vae_anomaly.jobs.train_table import train_table_job
from vae_anomaly.jobs.training_report import Destination
from vae_anomaly.jobs.training_rows import TableColumns
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.thresholds import Threshold
from vae_anomaly.tracking import load, tracking_uri

MARKER = "demo.json"
TRAINING_DAYS = 25
_DAYS = 30
ROWS = 60_000
GOOD_TRAIN, GOOD_TEST, DEFECTIVE = 200, 60, 60
ALARMS_PER_DAY = 10.0
WHY = "first model of the demo"
ENTITIES = EntityColumns(("customer_id",), time="timestamp", amount="amount")
NOT_FEATURES = {"transaction_id": "identifier", "customer_id": "identifier"}
SURFACES, CARDS = "models:/surfaces@champion", "models:/cards@champion"


@dataclass(frozen=True)
class NightResult:
    """What one night's scoring found, beside what had been planted."""

    what: str
    scored: int
    flagged: int
    planted: int  # anomalies put into the input
    found: int  # those of them that were flagged
    false_alarms: int
    quarantined: int
    seconds: float


@dataclass(frozen=True)
class DemoReport:
    """Everything that the demo has to tell."""

    nights: tuple[NightResult, ...]  # images, transactions; then these at the tuned threshold
    folder: Path
    store: str  # MLflow tracking URI
    models: dict[str, str]  # what each is called in the registry
    thresholds: dict[str, float]
    top_flag: dict[str, str | float]  # the most anomalous transaction with its reasons
    pages: dict[str, str]  # what each shows, and its HTML file
    seconds: float


def run_demo(
    folder: str | Path = "vae-anomaly-demo",
    *,
    random_state: int = 0,
    progress: Progress | None = None,
) -> DemoReport:
    """Make data, train both detectors, score the following nights, tune a threshold, draw pages.

    All goes to a folder, where an earlier demo is replaced; ConfigError where it holds other files.
    The same seed gives the same figures on the same machine.
    """
    start, progress = time.perf_counter(), progress or null_progress
    root = _fresh(Path(folder))
    store = tracking_uri((root / "store").resolve())
    write_surfaces(
        root / "images", GOOD_TRAIN, GOOD_TEST, DEFECTIVE, random_state=random_state,
        progress=progress,
    )  # fmt: skip
    write_transactions(
        root / "transactions", ROWS, _DAYS, random_state=random_state, progress=progress
    )
    images = _images_night(root, store, random_state, progress)
    cards, flags = _transactions_night(root, store, random_state, progress)
    tuned, threshold = _tuned_night(root, store, progress)
    report = DemoReport(
        nights=(images, cards, tuned),
        folder=root,
        store=store,
        models={"images": SURFACES, "transactions": CARDS},
        thresholds={"transactions": threshold.value},
        top_flag=_top_flag(flags),
        pages=_pages(root, store, progress),
        seconds=time.perf_counter() - start,
    )
    write_json(asdict(report) | {"folder": str(root)}, root / MARKER)
    return report


def _fresh(root: Path) -> Path:
    """Empty the folder of an earlier demo; refuse to touch anything else."""
    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root} is a file, where a folder is to be made. Choose another --out.")
    if root.exists() and any(root.iterdir()):
        if not (root / MARKER).is_file():
            raise ConfigError(
                f"{root} holds files that are not an earlier demo's. "
                "Choose another folder with --out."
            )
        shutil.rmtree(root)
    write_json({}, root / MARKER)
    return root


def _images_night(root: Path, store: str, seed: int, progress: Progress) -> NightResult:
    images = root / "images"
    detector = ImageVAEDetector(random_state=seed)
    train_images_job(
        detector, images, Destination("surfaces", uri=store, evidence=WHY), progress=progress
    )
    tonight = images / "test"
    summary = score_images(
        SURFACES, tonight, root / "flags" / "images", uri=store, progress=progress
    )
    planted = {item.id for item in list_images(tonight) if item.is_anomaly}
    return _compare("surface images", summary, planted)


def _transactions_night(
    root: Path, store: str, seed: int, progress: Progress
) -> tuple[NightResult, pd.DataFrame]:
    train_table_job(
        TabularVAEDetector(random_state=seed),
        _days(root)[:TRAINING_DAYS],
        Destination("cards", uri=store, evidence=WHY),
        TableColumns(
            kinds=NOT_FEATURES,
            label=f"{_labels_file(root)}:is_fraud",
            id_column="transaction_id",
        ),
        entities=ENTITIES,
        progress=progress,
    )
    return _score_cards(root, store, "transactions", progress)


def _tuned_night(root: Path, store: str, progress: Progress) -> tuple[NightResult, Threshold]:
    """Let the owner ask for fewer alarms, store that as a new version, and score again."""
    progress("tune threshold", 0, 1)
    detector, model = load(CARDS, store)
    normals, request = held_out_normals(detector), {"max_alarms_per_day": ALARMS_PER_DAY}
    threshold = bind(tune(normals, request, volume=ROWS / _DAYS).threshold, model)
    apply_threshold(
        CARDS, threshold, uri=store, reason=f"at most {ALARMS_PER_DAY:g} false alarms a day"
    )
    progress("tune threshold", 1, 1)
    night, _ = _score_cards(root, store, f"transactions, {ALARMS_PER_DAY:g} alarms a day", progress)
    return night, threshold


def _score_cards(
    root: Path, store: str, what: str, progress: Progress
) -> tuple[NightResult, pd.DataFrame]:
    out = root / "flags" / "transactions"
    nights = [str(path) for path in _days(root)[TRAINING_DAYS:]]
    summary = score_tables(CARDS, nights, out, uri=store, progress=progress)
    return _compare(what, summary, _labels(root)), read_results(out)


def _pages(root: Path, store: str, progress: Progress) -> dict[str, str]:
    """Draw what people open: both nights, the transactions at the tuned threshold, both models."""
    pages: dict[str, str] = {}
    for done, (what, ref) in enumerate({"images": SURFACES, "transactions": CARDS}.items()):
        progress("draw pages", 2 * done, 4)
        night, _ = write_night(root / "flags" / what, wanted=Wanted(ref, store))
        progress("draw pages", 2 * done + 1, 4)
        model, _ = write_model_page(ref, root / f"model-{what}.html", store)
        pages |= {f"the night's {what}": str(night), f"the model of {what}": str(model)}
    progress("draw pages", 4, 4)
    return pages


def _days(root: Path) -> list[Path]:
    return sorted((root / "transactions" / "days").glob("*.parquet"))


def _labels_file(root: Path) -> Path:
    return root / "transactions" / "labels.parquet"


def _labels(root: Path) -> set[str]:
    """Return the ids of the planted frauds."""
    labels = pd.read_parquet(_labels_file(root))
    return set(labels.loc[labels["is_fraud"] == 1, "transaction_id"].astype(str))


def _compare(what: str, summary: RunSummary, planted: set[str]) -> NightResult:
    results = read_results(summary.out)
    is_planted = results["id"].astype(str).isin(planted)
    flagged = results["is_anomaly"].astype(bool)
    return NightResult(
        what=what,
        scored=len(results),
        flagged=int(flagged.sum()),
        planted=int(is_planted.sum()),
        found=int((flagged & is_planted).sum()),
        false_alarms=int((flagged & ~is_planted).sum()),
        quarantined=summary.quarantined,
        seconds=summary.seconds,
    )


def _top_flag(flags: pd.DataFrame) -> dict[str, str | float]:
    top = flags.sort_values("score", ascending=False).iloc[0]
    reasons = top[["reason_1", "reason_2", "reason_3"]].dropna()
    return {"id": str(top["id"]), "score": float(top["score"]), "reasons": "; ".join(reasons)}

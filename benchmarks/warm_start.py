"""What a warm start saves, and what it costs: a model on newer data, begun cold and begun warm.

    python benchmarks/warm_start.py DATA
    python benchmarks/warm_start.py DATA --sets bottle --model conv

DATA holds folders of images as for mvtec.py; "table" is made here. A first model learns from the
first half of the normals; then one is trained on all of them, cold, and one with the first model's
weights (half the steps at half the rate, see `detectors.warm_start`); "short" begins cold and has
as few steps: what it reaches is not owed to the weights. Printed are optimisation
steps and seconds of the whole fit, the validation ELBO, AUROC and recall on labelled test items,
and the share of new normals flagged at a stated 1 % and 5 %: the warm one has seen half of its
held-out items before.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vae_anomaly import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.synthetic import simulate_transactions
from vae_anomaly.detectors.begin import begin_with
from vae_anomaly.metrics import auroc
from vae_anomaly.thresholds import Threshold

SETS = ("bottle", "casting", "table")
SUFFIXES = (".png", ".jpg", ".jpeg")
Make = Callable[[int], Any]


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def report(name: str, how: str, detector: Any, seconds: float, test: Any, labels: Any) -> None:
    records = detector.history_.records
    steps = int(records[-1]["step"]) if records else 0
    scores = detector.anomaly_score(test)
    reference, flagged = detector.calibration_.reference_scores(), []
    for fpr in (0.01, 0.05):
        bound = Threshold.from_fpr(reference, max(fpr, 1.0 / (len(reference) + 1))).value
        flagged.append((np.mean(scores[~labels] > bound), np.mean(scores[labels] > bound)))
    elbo = max((record["val_elbo"] for record in records), default=float("nan"))
    rates = "  ".join(
        f"at {fpr:.0%}: {normal:.2%} of normals, {odd:.1%} of anomalies"
        for fpr, (normal, odd) in zip((0.01, 0.05), flagged, strict=True)
    )
    print(
        f"{name:16} {how:5} steps {steps:5} seconds {seconds:7.1f} val_elbo {elbo:10.2f} "
        f"AUROC {100 * auroc(labels, scores):6.2f}  {rates}",
        flush=True,
    )


def compare(name: str, make: Make, half: Any, whole: Any, test: Any, labels: Any, n: int) -> None:
    for seed in range(n):
        first, steps = make(seed).fit(half), None
        for how in ("cold", "warm", "short"):
            detector = make(100 + seed)
            if how == "warm":
                begin_with(detector, first)
            if how == "short":
                detector.set_params(max_steps=steps)
            started = time.perf_counter()
            detector.fit(whole)
            seconds = time.perf_counter() - started
            steps = int(detector.history_.records[-1]["step"])
            report(name, how, detector, seconds, test, labels)


def images(folder: Path, model: str, most: int, seeds: int) -> None:
    good = files(folder / "train" / "good")
    good = [good[i] for i in np.random.default_rng(0).permutation(len(good))[:most]]
    tests = files(folder / "test")
    labels = np.array([path.parent.name != "good" for path in tests])
    read = [decode_image(path) for path in good]
    test = [decode_image(path) for path in tests]

    def make(seed: int) -> ImageVAEDetector:
        return ImageVAEDetector(image_size=128, model=model, random_state=seed)

    where = f"{folder.name} {model}"
    compare(where, make, read[: len(read) // 2], read, test, labels, seeds)


def table(model: str, seeds: int) -> None:
    rows = simulate_transactions(n=30_000, days=30).sample(frac=1.0, random_state=0)
    labels = rows.pop("is_fraud").to_numpy() == 1
    dropped = ["transaction_id", "timestamp", "customer_id", "fraud_pattern", "merchant", "country"]
    dropped += ["card_country", "device"]  # of which more rows have more values: it is refused
    rows = rows.drop(columns=dropped)
    normal, odd = rows[~labels], rows[labels]
    test = pd.concat([normal.iloc[8_000:16_000], odd])
    marks = np.repeat([False, True], [8_000, len(odd)])

    def make(seed: int) -> TabularVAEDetector:
        return TabularVAEDetector(model=model, random_state=seed)

    whole = normal.iloc[:8_000]
    compare(f"table {model}", make, whole.iloc[:4_000], whole, test, marks, seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--model", default="bank")
    parser.add_argument("--most", type=int, default=200, help="images")
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in given.sets:
        if name == "table":
            table("vae" if given.model == "bank" else given.model, given.seeds)
        else:
            images(given.data / name, given.model, given.most, given.seeds)


if __name__ == "__main__":
    main()

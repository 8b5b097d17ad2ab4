"""False alarms on a source that has shifted, before and after `models recalibrate`.

    python benchmarks/recalibration.py DATA
    python benchmarks/recalibration.py DATA --sets casting --draws 500

DATA holds folders with ``train/good``, ``test/good`` and defects beside it in ``test``; "table" is
made here. Per set one model is trained (preset fast) on 180 images or 2,000 rows. Normals that it
has not seen are shifted as a new lamp (80 % of the light), a softer lens (Gaussian, 2 pixels) or
prices (x 1.5) would; so are the defects. Of them n are drawn at random, the calibration is made
anew on these, and the others say which share is flagged at the stated rate. Printed are the share
before, and over the draws mean and middle 95 %, beside what chance allows: beta-binomial, as in
calibration.py. Recall is that of the shifted defects at the threshold, the mean over draws. Raw
scores stay, so the ranking (AUROC) does too.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from calibration import band
from scipy import ndimage

from vae_anomaly import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.arrays import Floats
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.synthetic import simulate_transactions
from vae_anomaly.metrics import auroc
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.thresholds import Threshold

SETS = ("casting", "magnetic_tiles", "table")
SUFFIXES = (".png", ".jpg", ".jpeg")
N_TRAIN = 180
SIZES = (100, 200, 400)


def lamp(image: np.ndarray) -> np.ndarray:
    return (0.8 * image.astype(np.float32)).round().astype(np.uint8)


def lens(image: np.ndarray) -> np.ndarray:
    sigma = (2.0, 2.0, 0.0)[: image.ndim]
    return ndimage.gaussian_filter(image.astype(np.float32), sigma).round().astype(np.uint8)


SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda x: x,
    "lamp": lamp,
    "lens": lens,
}


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def pixels(paths: list[Path]) -> list[np.ndarray]:
    return [decode_image(path) for path in paths]


def report(name: str, old: Threshold, calibration: ConformalCalibration, normal: Floats,
           defect: Floats, fpr: float, n_draws: int) -> None:  # fmt: skip
    rng = np.random.default_rng(0)
    before = float(np.mean(calibration.anomaly_score(normal) > old.value))
    area = auroc(np.repeat([0, 1], [len(normal), len(defect)]), np.r_[normal, defect])
    for n in (n for n in SIZES if n < 0.8 * len(normal)):
        shares, recalls = [], []
        for _ in range(n_draws):
            order = rng.permutation(len(normal))
            made = ConformalCalibration.fit(normal[order[:n]])
            bound = Threshold.from_fpr(made.reference_scores(), max(fpr, 1 / (n + 1))).value
            shares.append(np.mean(made.anomaly_score(normal[order[n:]]) > bound))
            recalls.append(np.mean(made.anomaly_score(defect) > bound))
        low, high = np.quantile(shares, [0.025, 0.975])
        m = len(normal) - n
        allowed = [count / m for count in band(max(fpr, 1 / (n + 1)), n, n, m)]
        print(f"{name:24} {n:5} {fpr:5.0%} {before:8.1%} {np.mean(shares):8.2%} "
              f"[{low:.1%}-{high:.1%}] chance [{allowed[0]:.1%}-{allowed[1]:.1%}]  "
              f"recall {np.mean(recalls):.1%} AUROC {100 * area:.2f}")  # fmt: skip


def images(folder: Path, n_draws: int) -> None:
    rng = np.random.default_rng(0)
    good = files(folder / "train" / "good")
    good = [good[i] for i in rng.permutation(len(good))]
    detector = ImageVAEDetector(image_size=128, preset="fast", random_state=0)
    detector.fit(pixels(good[:N_TRAIN]))
    new = pixels([*good[N_TRAIN:], *files(folder / "test" / "good")])
    bad = pixels([p for p in files(folder / "test") if p.parent.name != "good"])
    for shift, change in SHIFTS.items():
        normal, defect = (
            np.asarray(detector.examine([change(one) for one in some]).raw_score)
            for some in (new, bad)
        )
        for fpr in (0.01, 0.05):
            old = Threshold.from_fpr(detector.calibration_.reference_scores(), fpr)
            where = f"{folder.name}, {shift}"
            report(where, old, detector.calibration_, normal, defect, fpr, n_draws)


def table(n_draws: int) -> None:
    rows = simulate_transactions(n=10_000, days=30).sample(frac=1.0, random_state=0)
    labels = rows.pop("is_fraud").to_numpy() == 1
    rows = rows.drop(columns=["transaction_id", "timestamp", "customer_id", "fraud_pattern"])
    normal, odd = rows[~labels], rows[labels]
    detector = TabularVAEDetector(preset="fast", random_state=0).fit(normal.iloc[:2000])
    for shift in (1.0, 1.5):
        some = [one.assign(amount=one["amount"] * shift) for one in (normal.iloc[2000:], odd)]
        raw = [np.asarray(detector.examine(one).raw_score) for one in some]
        for fpr in (0.01, 0.05):
            old = Threshold.from_fpr(detector.calibration_.reference_scores(), fpr)
            where = f"table, amounts x {shift:g}"
            report(where, old, detector.calibration_, *raw, fpr, n_draws)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--draws", type=int, default=200)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print("source                       n  rate   before   after     middle 95 %")
    for name in given.sets:
        table(given.draws) if name == "table" else images(given.data / name, given.draws)


if __name__ == "__main__":
    main()

"""What one or two bad frames among good training images cost `ImageVAEDetector`.

    python benchmarks/bad_frames.py DATA                     five sets, preset fast: the table
    python benchmarks/bad_frames.py DATA --preset default --sets bottle casting
    python benchmarks/bad_frames.py DATA --kinds over-exposed
    python benchmarks/bad_frames.py DATA --clean 4           is a good image ever left out?
    python benchmarks/bad_frames.py DATA --white 2000        the same of the look at white pixels
    python benchmarks/bad_frames.py --rule                   the rule alone, on draws of known laws

DATA holds folders in the MVTec layout: bottle, magnetic_tiles, kolektorsdd, solar_poly, casting.
Trained is on the first 180 good images, and on the same with one or two frames more: copies of
good ones that are black, over-exposed (times three, clipped) or half-read (black from 45 % on), or
one more good image. The table has, as means over ``--seeds``, recall and the rate of test/good
flagged at a stated 1 %, AUROC, recall over that without bad frames, and how many of them were left
out and named, with how many good images. One seed says little: of 180 normals the largest one alone
sets the threshold, and one image more deals the folds anew. ``--keep`` shows what happens where bad
frames stay. ``--clean`` fits so many random draws of 180 of each set
without bad frames, and counts good images left out and test/good flagged beside its 95 % band
(beta-binomial). ``--white`` trains nothing: it draws so many times from all good images of a set,
of training and test, and counts the draws of which the look at white pixels leaves any out. Set
OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import betabinom

from vae_anomaly import ImageVAEDetector
from vae_anomaly.arrays import AnyArray, Floats
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.over_exposed import over_exposed, white_shares
from vae_anomaly.metrics import auroc
from vae_anomaly.scoring.outliers import HEAVY, NATS, standing_out

SETS = ("bottle", "magnetic_tiles", "kolektorsdd", "solar_poly", "casting")
N_GOOD = 180
STATED = 0.01


def clipped(image: AnyArray) -> AnyArray:
    """Return an image three times as bright, clipped."""
    return np.clip(image * 3.0, 0, 255).astype(np.uint8)


def half_read(image: AnyArray) -> AnyArray:
    """Return an image of which the camera has sent the first 45 % of the rows."""
    cut = image.copy()
    cut[int(0.45 * len(cut)) :] = 0
    return cut


KINDS: dict[str, Callable[[AnyArray], AnyArray]] = {
    "black": lambda image: image * 0,
    "over-exposed": clipped,
    "half-read": half_read,
}


def images_of(folder: Path, most: int | None = None, seed: int | None = None) -> list[AnyArray]:
    """Return the images of a folder, the first ones or a draw of them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if seed is not None:
        drawn = np.random.default_rng(seed).permutation(len(paths))[:most]
        paths = [paths[i] for i in np.sort(drawn)]
    return [decode_image(path) for path in paths[:most]]


def test_images(root: Path) -> tuple[list[AnyArray], list[AnyArray]]:
    """Return good and defective test images."""
    kinds = sorted((root / "test").iterdir())
    bad = [image for kind in kinds if kind.name != "good" for image in images_of(kind)]
    return images_of(root / "test" / "good"), bad


def bad_frames(args: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Measure each set with no, one and two bad frames of each kind, and with one more good one."""
    for name in args.sets:
        good = images_of(args.data / name / "train" / "good", N_GOOD + 1)
        test = test_images(args.data / name)
        alone = np.nan
        for kind, n in [("none", 0), ("good", 1), *product(args.kinds, (1, 2))]:
            frames = good[N_GOOD:]
            if kind in KINDS or not n:
                frames = [KINDS[kind](good[17 + 90 * i]) for i in range(n)]
            fits = [_measured(args, good[:N_GOOD], frames, test, s) for s in range(args.seeds)]
            row = pd.DataFrame(fits).mean()
            alone = row["recall"] if kind == "none" else alone
            yield {
                "set": name,
                "added": f"{n} {kind}" if n else kind,
                "recall": row["recall"],
                "of none": row["recall"] / alone if alone else np.nan,
                "AUROC": row["AUROC"],
                "flagged good": row["flagged good"],
                "named": f"{row['named']:.3g} of {n}",
                "good left out": row["good left out"],
            }


def _measured(
    args: argparse.Namespace,
    good: list[AnyArray],
    frames: list[AnyArray],
    test: tuple[list[AnyArray], list[AnyArray]],
    seed: int,
) -> dict[str, float]:
    """Fit good images and a few frames more; the frames come last."""
    detector = ImageVAEDetector(
        preset=args.preset, random_state=seed, outliers="keep" if args.keep else "drop"
    ).fit([*good, *frames])
    scores = detector.anomaly_score([*test[0], *test[1]])
    is_bad = np.repeat([0, 1], [len(test[0]), len(test[1])])
    flagged = scores > detector.threshold_.value
    named = {item.id for item in detector.left_out_}
    ours = {str(len(good) + i) for i in range(len(frames))}
    return {
        "recall": float(flagged[is_bad == 1].mean()),
        "AUROC": auroc(is_bad, scores),
        "flagged good": float(flagged[is_bad == 0].mean()),
        "named": len(named & ours),
        "good left out": len(named - ours),
    }


def clean_draws(args: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Measure what the rule does where there is no bad frame."""
    for name in args.sets:
        normal, _ = test_images(args.data / name)
        for draw in range(args.clean):
            good = images_of(args.data / name / "train" / "good", N_GOOD, draw)
            detector = ImageVAEDetector(preset=args.preset, random_state=draw).fit(good)
            n, m = detector.calibration_.n, len(normal)
            k = max(1, int(STATED * (n + 1)))
            low, high = betabinom(m, k, n + 1 - k).ppf([0.025, 0.975])
            flags = int((detector.anomaly_score(normal) > detector.threshold_.value).sum())
            yield {
                "set": name,
                "draw": draw,
                "good left out": len(detector.left_out_),
                "flagged good": f"{flags} of {m}",
                "95 % band": f"{low:.0f} to {high:.0f}",
                "inside": bool(low <= flags <= high),
            }


def white_draws(args: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Count the draws of good images of which the look at white pixels leaves any out."""
    rng = np.random.default_rng(0)
    for name in args.sets:
        splits = [args.data / name / split / "good" for split in ("train", "test")]
        paths = [path for split in splits for path in sorted(split.rglob("*")) if path.is_file()]
        shares = np.array([white_shares(decode_image(path)) for path in paths])
        row: dict[str, object] = {"set": name, "images": len(shares)}
        row["first 180"] = int(over_exposed(shares[:N_GOOD]).sum())
        for n in (50, 60, 100, 180):
            draws = (rng.choice(len(shares), n, replace=False) for _ in range(args.white))
            row[f"draws of {n}"] = sum(bool(over_exposed(shares[d]).any()) for d in draws)
        yield {**row, "all": int(over_exposed(shares).sum())}


def rule_alone(n_draws: int = 2_000) -> Iterator[dict[str, object]]:
    """Draw scores of normals of known laws, and count the draws of which anything is left out."""
    shapes = {"": NATS, " heavy": HEAVY}
    rng = np.random.default_rng(0)

    def pareto(shape: float) -> Callable[[int], Floats]:
        return lambda n: ((1.0 - rng.random(n)) ** -shape - 1.0) / shape

    laws: dict[str, Callable[[int], Floats]] = {
        "exponential": lambda n: rng.exponential(size=n),
        "Gaussian": lambda n: rng.normal(size=n),
        "gamma, shape 4": lambda n: rng.gamma(4.0, size=n),
        "counts (Poisson 2)": lambda n: rng.poisson(2.0, size=n).astype(float),
        "lognormal": lambda n: np.exp(rng.normal(size=n)),
        "Pareto, shape 0.1": pareto(0.1),
        "Pareto, shape 0.3": pareto(0.3),
        "Pareto, shape 0.5": pareto(0.5),
        "Pareto, shape 1": pareto(1.0),
    }
    for name, draw in laws.items():
        row: dict[str, object] = {"law": name}
        for n, (words, shape) in product((10, 24, 180, 1000), shapes.items()):
            found = [standing_out(draw(n), shape=shape).any() for _ in range(n_draws)]
            row[f"{n}{words}"] = f"{100 * np.mean(found):.2f} %"
        yield row


def main() -> None:
    """Print what was asked for, row by row and then as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--clean", type=int, default=0, metavar="DRAWS")
    parser.add_argument("--white", type=int, default=0, metavar="DRAWS")
    parser.add_argument("--rule", action="store_true")
    args = parser.parse_args()
    if args.data is None and not args.rule:
        parser.error("name the folder with the data, or --rule")
    logging.getLogger("vae_anomaly").setLevel(logging.ERROR)
    measured = rule_alone() if args.rule else bad_frames(args)
    if args.clean or args.white:
        measured = clean_draws(args) if args.clean else white_draws(args)
    rows = []
    for row in measured:
        rows.append(row)
        print(
            pd.DataFrame([row]).round(3).to_string(index=False, header=len(rows) == 1), flush=True
        )
    print(pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()

"""What a learner of verdicts finds on images: false alarms at 95 % recall after some verdicts.

    python benchmarks/verdict_images.py castings DIR
    python benchmarks/verdict_images.py tiles DIR --presets fast default
    python benchmarks/verdict_images.py folder DIR --known 0

DIR is in the MVTec layout; ``tiles`` needs ``groups.csv`` as ``images.py`` does, and is measured on
its five tile-disjoint folds. A quarter of the good training images (``--known``; whole tiles) does
not train: it is the learner's first night, of items that are known to be good. The test images are
cut in halves, no tile on both sides. One half comes as ten nights of which ten images each are
looked at: eight by probability, one by score, one at random. The other half is never looked at; of
it false alarms at 95 % recall are counted, by the raw score and by what 20, 50 and 100 verdicts
have taught. Means over random halves and orders (``--orders``, of each fold). More than half of
the test images are defective, so those that nobody looks at stand for normals only with ``--stand``
and where no image is known to be good.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from image_methods import Images, Split, decoded, folder_split
from image_sets import tile_splits

from vae_anomaly import ImageVAEDetector
from vae_anomaly.arrays import AnyArray, Floats, Ints
from vae_anomaly.detectors.learner_features import learner_features, ridge_for
from vae_anomaly.metrics import auroc
from vae_anomaly.verdicts.learner import VerdictLearner
from vae_anomaly.verdicts.ledger import ItemVerdict, NightItems

NIGHTS, REVIEWS, AUDITS = 10, 9, 1
REPORTED = (2, 5, 10)  # nights after which is measured: 20, 50 and 100 verdicts
RECALL = 0.95


@dataclass(frozen=True)
class Scored:
    """Features of the known good images and of the test images of a split."""

    names: tuple[str, ...]
    known: Floats
    test: Floats
    labels: Ints
    groups: AnyArray

    def night(self, number: int, rows: Ints) -> NightItems:
        """Return some test images as the items of a night."""
        return NightItems(number, [str(row) for row in rows], self.test[rows], self.names)


def splits_of(what: str, root: Path) -> Iterator[tuple[Split, AnyArray]]:
    """Yield splits, and which test images belong together."""
    if what != "tiles":
        split = folder_split(root)
        yield split, np.arange(len(split.test))
        return
    table = pd.read_csv(root / "groups.csv")
    tile_of = dict(zip(table["path"], table["tile"], strict=True))
    for split in tile_splits(root, "tiles-folds"):
        places = [Path(str(path)).relative_to(root).as_posix() for path in split.test]
        yield split, np.array([tile_of[place] for place in places])


def scored(split: Split, groups: AnyArray, preset: str, known: float) -> Scored:
    """Train on a part of the good images, and examine the others and the test images."""
    own = np.arange(len(split.train)) if split.groups is None else split.groups
    order = np.random.default_rng(0).permutation(np.unique(own))
    held = np.isin(own, order[: int(known * len(order))])
    train = [image for image, out in zip(split.train, held, strict=True) if not out]
    detector = ImageVAEDetector(random_state=0, preset=preset)
    detector.fit(train, groups=None if split.groups is None else own[~held])
    kept = [image for image, out in zip(split.train, held, strict=True) if out]
    names, test = features_of(detector, split.test)
    good = features_of(detector, kept)[1] if kept else test[:0]
    return Scored(names, good, test, split.labels, groups)


def features_of(detector: ImageVAEDetector, images: Images) -> tuple[tuple[str, ...], Floats]:
    parts = [learner_features(detector.examine(some)) for some in decoded(images)]
    return parts[0][0], np.concatenate([values for _, values in parts])


def kept_or_scored(
    path: Path | None, split: Split, groups: AnyArray, preset: str, known: float
) -> Scored:
    """Read the features of an earlier run, or train and keep them."""
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held}
        return Scored(tuple(arrays.pop("names").tolist()), **arrays)
    found = scored(split, groups, preset, known)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **vars(found))
    return found


def lived(
    data: Scored, seed: int, ridge: float | None, *, stand: bool
) -> list[tuple[float, float]]:
    """Return false alarms and AUROC on images never looked at, at first and after verdicts."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.unique(data.groups))
    reviewed = np.isin(data.groups, chosen[: len(chosen) // 2])
    judged, stream = np.flatnonzero(~reviewed), rng.permutation(np.flatnonzero(reviewed))
    learner = VerdictLearner(ridge=ridge or ridge_for(data.names), random_state=seed)
    if len(data.known):
        ids = [f"known {row}" for row in range(len(data.known))]
        learner.keep(learner.rank(NightItems(0, ids, data.known, data.names)), [])
    labels, figures = data.labels[judged], [figures_of(data.test[judged, 0], data.labels[judged])]
    for night, rows in enumerate(np.array_split(stream, NIGHTS), start=1):
        review(learner, data, night, rows, stand=stand)
        if night in REPORTED:
            ranked = learner.rank(data.night(night + 1, judged))
            figures.append(figures_of(ranked.judged.surprise, labels))
    return figures


def review(learner: VerdictLearner, data: Scored, night: int, rows: Ints, *, stand: bool) -> None:
    """Rank the images of a night, look at some, and learn from what they are."""
    ranked = learner.rank(data.night(night, rows))
    chosen = learner.choose(ranked, REVIEWS, audit=AUDITS).places
    kept = learner.keep(ranked, chosen)
    if len(data.known) and not stand:
        learner.ledger_.nights[night] = replace(kept, stands=np.zeros_like(kept.stands))
    learner.update(
        ItemVerdict(str(row), bool(data.labels[row]), night + 1, night) for row in rows[chosen]
    )


def figures_of(score: Floats, labels: Ints) -> tuple[float, float]:
    """Return the share of good images above the score that 95 % of defects reach, and AUROC."""
    defects = np.sort(score[labels == 1])[::-1]
    bound = defects[int(np.ceil(RECALL * len(defects))) - 1]
    return float((score[labels == 0] >= bound).mean()), auroc(labels, score)


def measure(args: argparse.Namespace, preset: str) -> None:
    """Print the mean figures of a preset."""
    runs = []
    for place, (split, groups) in enumerate(splits_of(args.what, args.folder)):
        name = f"{args.folder.name}-{preset}-{args.known:g}-{place}.npz"
        path = None if args.cache is None else args.cache / name
        data = kept_or_scored(path, split, groups, preset, args.known)
        runs += [lived(data, seed, args.ridge, stand=args.stand) for seed in range(args.orders)]
    alarms, area = np.mean(runs, axis=0).T
    error = np.std([run[-1][0] - run[0][0] for run in runs]) / np.sqrt(len(runs))
    print(
        f"{args.folder.name}, {preset}: false alarms at 95 % recall "
        f"{' -> '.join(f'{rate:.3f}' for rate in alarms)} (change by orders +-{error:.3f}), "
        f"AUROC {area[0]:.3f} -> {area[-1]:.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["castings", "tiles", "folder"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--presets", nargs="+", default=["fast"])
    parser.add_argument("--known", type=float, default=0.25, help="share of good training images")
    parser.add_argument("--stand", action="store_true", help="unreviewed ones stand for normals")
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--ridge", type=float, help="weight of the prior; ours by default")
    parser.add_argument("--cache", type=Path, help="a folder for features, to train only once")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for preset in args.presets:
        measure(args, preset)


if __name__ == "__main__":
    main()

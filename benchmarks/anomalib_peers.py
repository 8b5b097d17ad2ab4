"""Train Anomalib's GANomaly or DRAEM, which need no downloaded weights, and print their AUROC.

    python -m venv peers && peers/bin/pip install torch==2.13.0 anomalib==2.7.0
    OMP_NUM_THREADS=1 peers/bin/python benchmarks/anomalib_peers.py DIR --model ganomaly
    OMP_NUM_THREADS=1 peers/bin/python benchmarks/anomalib_peers.py DIR --model draem

Run in an environment of its own: Anomalib brings 70 packages, and this script does not import ours.
DIR is in the MVTec layout; for the magnetic tiles that is fold 0. Training ends after ``--epochs``
or after ``--cpu-minutes`` of this process, whichever comes first, and what was reached is printed.
Model and data loading are Anomalib's with its defaults, but for:

* Images have 64 pixels, not 256: at 256, GANomaly (188 million parameters) took 33 CPU seconds
  for a step of 32 images, DRAEM (97 million) 72 for one of 8; at 64, DRAEM takes 4.4 (128: 16).
* DRAEM's artificial defects are Anomalib's own Perlin noise: the images of textures (DTD) would
  have to be downloaded. Its batch is 8, as published.

The raw score of the torch model is read, since GANomaly's own test loop rescales scores by the
extremes seen so far. DRAEM has a map: its pixel AUROC is measured on a grid of 128, with masks made
as in ``images.py``. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

if torch.version.cuda is None and "cpu" not in version("torchvision"):
    # The index's torchvision is built for CUDA; beside a CPU build of torch its own operators do
    # not load. Nothing here uses them, but its import asks that these two are declared.
    _operators = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import anomalib
from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.models import Draem, Ganomaly
from lightning.pytorch import Callback
from sklearn.metrics import roc_auc_score
from torch.nn.functional import interpolate

GRID = 128  # side on which pixel figures are measured, as in images.py


class CpuBudget(Callback):
    """End training after some CPU seconds of this process."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.steps = seconds, 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self.began = time.process_time()

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        """Stop where the time is spent."""
        self.steps += 1
        spent = time.process_time() - self.began
        print(f"step {self.steps}, {spent:.0f} CPU s", file=sys.stderr, flush=True)
        if spent > self.seconds:
            trainer.should_stop = True


def open_folder(root: Path, batch: int) -> Folder:
    """Return Anomalib's reader of a folder in the MVTec layout."""
    kinds = sorted(path.name for path in (root / "test").iterdir() if path.name != "good")
    data = Folder(
        name=root.name,
        root=root,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir=[f"test/{kind}" for kind in kinds],
        train_batch_size=batch,
        eval_batch_size=batch,
        num_workers=0,
        val_split_mode="same_as_test",
        test_split_mode="from_dir",
    )
    data.setup()
    return data


def build_ganomaly(size: int) -> Ganomaly:
    """Return GANomaly for images of a size."""
    ready = Ganomaly.configure_pre_processor(image_size=(size, size))
    return Ganomaly(pre_processor=ready, evaluator=False, visualizer=False)


def build_draem(size: int) -> Draem:
    """Return DRAEM; a folder without textures leaves it the noise that it makes itself."""
    ready = Draem.configure_pre_processor(image_size=(size, size))
    with tempfile.TemporaryDirectory() as empty:
        return Draem(dtd_dir=empty, pre_processor=ready, evaluator=False, visualizer=False)


@dataclass(frozen=True)
class Peer:
    """How a model is made, and the batch and epochs of its schedule (paper, Anomalib's example)."""

    build: Callable[[int], Any]
    batch: int
    epochs: int


PEERS = {"ganomaly": Peer(build_ganomaly, 32, 100), "draem": Peer(build_draem, 8, 700)}


def train(model: Any, data: Folder, epochs: int, seconds: float) -> CpuBudget:
    """Train a model with Anomalib's engine."""
    budget = CpuBudget(seconds)
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=[budget],
            limit_val_batches=0,
            logger=False,
            default_root_dir=folder,
            enable_progress_bar=False,
        )
        engine.fit(model, datamodule=data)
    return budget


@dataclass(frozen=True)
class Verdict:
    """Raw scores of the test images, and their maps where the model has some."""

    paths: list[Path]
    scores: NDArray[np.float32]
    heat: NDArray[np.float32] | None


def score(model: Any, data: Folder) -> Verdict:
    """Return what a model says about the test images; higher = more anomalous."""
    model.eval()
    paths, scores, heat = [], [], []
    with torch.no_grad():
        for batch in data.test_dataloader():
            said = model.model(model.pre_processor.transform(batch.image))
            paths += [Path(path) for path in batch.image_path]
            scores.append(said.pred_score.reshape(-1))
            if said.anomaly_map is not None:
                maps = said.anomaly_map[:, None]
                heat.append(interpolate(maps, (GRID, GRID), mode="bilinear")[:, 0])
    return Verdict(paths, torch.cat(scores).numpy(), torch.cat(heat).numpy() if heat else None)


def figures(root: Path, said: Verdict) -> dict[str, float]:
    """Return the AUROC on images, by kind, and on pixels where there are maps and masks, in %."""
    kinds = np.array([path.parent.name for path in said.paths])
    defective = kinds != "good"
    row = {"image": 100 * roc_auc_score(defective, said.scores)}
    for kind in sorted(set(kinds[defective])):
        chosen = (kinds == kind) | ~defective
        row[kind] = 100 * roc_auc_score(defective[chosen], said.scores[chosen])
    if said.heat is not None and (root / "ground_truth").is_dir():
        masks = np.stack([grid_mask(root, path) for path in said.paths])
        row["pixel"] = 100 * roc_auc_score(masks.ravel(), said.heat.ravel())
    return row


def grid_mask(root: Path, path: Path) -> NDArray[np.bool_]:
    """Return where an image is defective: cells more than half inside, at least the fullest."""
    if path.parent.name == "good":
        return np.zeros((GRID, GRID), bool)
    with Image.open(root / "ground_truth" / path.parent.name / f"{path.stem}_mask.png") as file:
        share = (np.asarray(file) > 0).astype(np.float32)
    for _ in range(2):  # exact areas, one axis after the other
        share = share.repeat(GRID, axis=0).reshape(GRID, *share.shape).mean(axis=1).T
    return np.asarray(share > min(0.5, 0.999 * float(share.max())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=list(PEERS), default="ganomaly")
    parser.add_argument("--epochs", type=int, help="at most (100, DRAEM 700)")
    parser.add_argument("--cpu-minutes", type=float, default=5.0)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch", type=int, help="images (32, DRAEM 8)")
    args = parser.parse_args()
    peer = PEERS[args.model]
    batch = args.batch or peer.batch
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = open_folder(args.folder, batch)
    model = peer.build(args.image_size)
    budget = train(model, data, args.epochs or peer.epochs, 60 * args.cpu_minutes)
    seconds = time.process_time() - budget.began
    row = figures(args.folder, score(model, data))
    n = len(data.train_data)
    print(
        f"anomalib {anomalib.__version__}, {args.model}, {args.image_size} px: {budget.steps} "
        f"steps of {batch} ({budget.steps * batch / n:.1f} epochs of {n}), {seconds:.0f} CPU s; "
        "AUROC, %: " + ", ".join(f"{name} {value:.1f}" for name, value in row.items())
    )


if __name__ == "__main__":
    main()

"""Train Anomalib's GANomaly, which needs no downloaded weights, and print its image AUROC.

    python -m venv peers && peers/bin/pip install torch==2.13.0 anomalib==2.7.0
    OMP_NUM_THREADS=1 peers/bin/python benchmarks/anomalib_peers.py DATA/magnetic_tiles

Run in an environment of its own: Anomalib brings 70 packages, and this script does not import ours.
DIR is in the MVTec layout; for the magnetic tiles that is fold 0. Training ends after ``--epochs``
or after ``--cpu-minutes`` of this process, whichever comes first, and what was reached is printed.
Model and data loading are Anomalib's with its defaults, but for 64 pixels in the place of 256: at
256 the model has 188 million parameters, and one step of 32 pictures took 33 CPU seconds. The raw
score of the torch model is read, since GANomaly's own test loop rescales scores by the extremes
seen so far. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

if torch.version.cuda is None and "cpu" not in version("torchvision"):
    # The index's torchvision is built for CUDA; beside a CPU build of torch its own operators do
    # not load. Nothing here uses them, but its import asks that these two are declared.
    _operators = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import anomalib
from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.models import Ganomaly
from lightning.pytorch import Callback
from sklearn.metrics import roc_auc_score


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


def build(size: int) -> Ganomaly:
    """Return a model for pictures of a size."""
    ready = Ganomaly.configure_pre_processor(image_size=(size, size))
    return Ganomaly(pre_processor=ready, evaluator=False, visualizer=False)


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


def image_auroc(model: Any, data: Folder) -> float:
    """Return the AUROC of the raw scores of the test pictures."""
    model.eval()
    scores, labels = [], []
    with torch.no_grad():
        for batch in data.test_dataloader():
            ready = model.pre_processor.transform(batch.image)
            scores.append(model.model(ready).pred_score.reshape(-1))
            labels.append(batch.gt_label.reshape(-1))
    return float(roc_auc_score(torch.cat(labels).numpy(), torch.cat(scores).numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--cpu-minutes", type=float, default=5.0)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = open_folder(args.folder, args.batch)
    model = build(args.image_size)
    budget = train(model, data, args.epochs, 60 * args.cpu_minutes)
    seconds = time.process_time() - budget.began
    auroc = image_auroc(model, data)
    n = len(data.train_data)
    print(
        f"anomalib {anomalib.__version__}, GANomaly, {args.image_size} px: {budget.steps} steps of "
        f"{args.batch} ({budget.steps * args.batch / n:.1f} epochs of {n}), {seconds:.0f} CPU s; "
        f"image AUROC {100 * auroc:.1f} %"
    )


if __name__ == "__main__":
    main()

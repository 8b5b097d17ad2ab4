"""What the tests of benchmarks share: a script as a module, and a tiny set of images."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BACKBONE = """
from torch import nn
from torch.nn import functional

class Blocks(nn.Module):
    def __init__(self, layers=(8,)):
        super().__init__()
        self.layers = layers

    def forward(self, images):
        return [functional.avg_pool2d(images, n) for n in self.layers]
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import a benchmark the way that running it does."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder of one set and one backbone: 20 images train, 4 good and 4 holed test."""
    root = tmp_path / "data"
    surface = 120 + 20 * np.sin(np.arange(64) / 5)
    images = (surface + rng.normal(0, 3, (28, 64, 64))).astype(np.uint8)
    images[24:, 24:36, 20:40] = 0
    for i, image in enumerate(images):
        split = "train/good" if i < 20 else "test/good" if i < 24 else "test/hole"
        (root / "bottle" / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / "bottle" / split / f"{i}.png")
    (root / "blocks.py").write_text(BACKBONE)
    return root

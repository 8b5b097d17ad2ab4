"""What is asked of timm and its hub, where neither is installed: two models, a cache, a network."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

NAMES = ("mobilenetv2_100", "resnet18", "wide_resnet50_2")


class Stages(nn.Module):
    """Five convolutions, each halving the sides, as `forward_intermediates` of timm shows them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [3, *(width + i for i in range(5))]
        self.blocks = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(sizes))
        self.pretrained_cfg = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.2)}

    def forward_intermediates(self, x, indices, stop_early, intermediates_only):
        maps = []
        for block in self.blocks:
            x = torch.relu(block(x))
            maps.append(x)
        return maps if indices is None else [maps[i] for i in indices]

    def prune_intermediate_layers(self, indices, prune_norm, prune_head) -> None:
        self.blocks = self.blocks[: max(indices) + 1]


def stages(name: str, seed: int = 0) -> Stages:
    """Return a model of that name with weights drawn from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Stages(4 + NAMES.index(name.partition(".")[0]))


@dataclass
class Hub:
    """Files that lie in the cache, those that the network would give, and what was asked of it."""

    root: Path
    is_connected: bool = True
    asked: list[str] = field(default_factory=list)

    def offer(self, name: str, *, cached: bool = False) -> Path:
        """Let the network, or the cache, have the weights of a model."""
        path = self.root / ("cache" if cached else "network") / "timm" / name / "model.safetensors"
        path.parent.mkdir(parents=True)
        save_file(stages(name).state_dict(), path)
        return path

    def try_to_load_from_cache(self, repo_id, filename, revision=None):
        path = self.root / "cache" / repo_id / filename
        return str(path) if path.is_file() else None

    def hf_hub_download(self, repo_id, filename, revision=None):
        self.asked.append(repo_id)
        if not self.is_connected:
            raise ConnectionError("Name or service not known")
        path = self.root / "cache" / repo_id / filename
        path.parent.mkdir(parents=True)
        return str(shutil.copy(self.root / "network" / repo_id / filename, path))


def pretend_timm(monkeypatch: pytest.MonkeyPatch, root: Path) -> Hub:
    """Put both in the place of what is installed."""
    timm, hub, known = ModuleType("timm"), ModuleType("huggingface_hub"), Hub(root)
    timm.is_model = lambda name: name.partition(".")[0] in NAMES
    timm.list_models = lambda pattern: list(NAMES)
    timm.create_model = lambda name, pretrained, num_classes: stages(name, seed=1)
    timm.get_pretrained_cfg = lambda name: SimpleNamespace(
        hf_hub_id=None if name.endswith(".pickled") else f"timm/{name}", license="apache-2.0"
    )
    hub.try_to_load_from_cache = known.try_to_load_from_cache
    hub.hf_hub_download = known.hf_hub_download
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return known

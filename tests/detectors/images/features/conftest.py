"""A pretended timm with its hub, and a file of weights of one of its models."""

from __future__ import annotations

import pytest
from pretended_timm import pretend_timm, stages
from safetensors.torch import save_file


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return pretend_timm(monkeypatch, tmp_path / "hub")


@pytest.fixture
def weights(tmp_path) -> str:
    save_file(stages("resnet18").state_dict(), tmp_path / "resnet18.safetensors")
    return str(tmp_path / "resnet18.safetensors")

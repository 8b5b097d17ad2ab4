"""Names of devices, and what a GPU must be told; none of it needs one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vae_anomaly import devices
from vae_anomaly.devices import (
    check_workers,
    device_name,
    device_of,
    exact_float32,
    torch_device,
)
from vae_anomaly.errors import ConfigError

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "", None, 0])
def test_what_is_no_device_is_refused_and_the_names_are_told(name):
    with pytest.raises(ConfigError, match=r"cpu, cuda, cuda:N .* auto. Got"):
        device_name(name)


@needs_no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_a_gpu_that_is_not_there_is_refused_with_the_remedy(name):
    with pytest.raises(ConfigError, match=rf"'{name}' was asked for.*device='cpu', or 'auto'"):
        torch_device(name)


@needs_no_gpu
def test_auto_is_the_processor_where_there_is_no_gpu():
    assert torch_device("auto") == torch.device("cpu")


def test_a_module_lies_where_its_weights_lie():
    assert device_of(nn.Linear(1, 1).to("meta")) == torch.device("meta")
    assert device_of(nn.Identity()) == torch.device("cpu")


def test_a_gpu_computes_in_float32_and_is_left_as_it_was():
    def settings() -> list[object]:
        return [getattr(owner, name) for owner, name, _ in devices._exact_settings()]

    before = settings()
    with exact_float32(torch.device("cuda")):
        assert settings() == [value for _, _, value in devices._exact_settings()] != before
    assert settings() == before
    assert torch.backends.cudnn.allow_tf32  # the older name can still be asked for


def test_the_processor_is_told_nothing():
    before = torch.backends.cudnn.deterministic
    with exact_float32(torch.device("cpu")):
        assert torch.backends.cudnn.deterministic is before


def test_a_few_processes_may_share_a_gpu_and_any_number_the_processor():
    check_workers("cpu", 100)
    check_workers("cuda:0", 8)
    with pytest.raises(ConfigError, match=r"workers=9 for 1 .*workers=8 or fewer"):
        check_workers("cuda:0", 9)

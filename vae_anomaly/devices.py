"""Where networks compute: on the processor, or on a GPU with CUDA. Nothing else may differ.

The device belongs to a run, never to a model: model directories hold arrays of the processor, and
whoever loads one says where it is to score.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from vae_anomaly.errors import ConfigError
from vae_anomaly.words import number_of, verb_for

if TYPE_CHECKING:
    import torch
    from torch import nn

MAX_WORKERS: Final = 8
"""Processes that may share one GPU: each has a context of about half a gigabyte there."""

_NAME: Final = re.compile(r"auto|cpu|cuda(:\d+)?")


def device_name(device: object) -> str:
    """Return "cpu", "cuda" or "cuda:N": what ``device=`` comes to on this machine.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:N", "auto"}
        "auto" is "cuda" where there is a GPU, else "cpu".

    Raises
    ------
    ConfigError
        If there is no such device here, or it is no name of one.

    Examples
    --------
    >>> device_name("cpu")
    'cpu'
    """
    name = str(device)
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "The 'device' parameter must be one of cpu, cuda, cuda:N (the GPU of that number) or "
            f"auto. Got {device!r}."
        )
    if name == "cpu":
        return name
    count = _n_gpus()
    if name == "auto":
        return "cuda" if count else "cpu"
    _check_gpu(name, count)
    return name


def torch_device(device: object) -> torch.device:
    """Return the device that ``device=`` means, "cuda" with the number of the current GPU."""
    return _opened(device_name(device))


def to_device(module: nn.Module, device: str) -> torch.device:
    """Bring a module to the device that ``device=`` means, and return that.

    Raises
    ------
    ConfigError
        As `device_name`.
    """
    place = torch_device(device)
    if device_of(module) != place:
        module.to(place)
    return place


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's weights lie; the processor where it has none."""
    import torch

    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def check_workers(device: str, workers: int) -> None:
    """Refuse more processes than GPUs can take; ``device`` is what `device_name` returned."""
    if device == "cpu":
        return
    gpus = _n_gpus() if device == "cuda" else 1
    most = MAX_WORKERS * gpus
    if workers > most:
        raise ConfigError(
            f"At most {MAX_WORKERS} processes may share a GPU, where each holds a context and its "
            f"own copy of the model; got workers={workers} for {gpus} of them (device={device}). "
            f"Give workers={most} or fewer, or device='cpu'."
        )


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Let float32 mean float32 on a GPU, and the same input give the same output.

    Convolutions are computed in TensorFloat-32, with 10 bits of mantissa, unless told otherwise,
    and may be summed in another order each time. The settings are put back afterwards; on the
    processor nothing is done.
    """
    if device.type != "cuda":
        yield
        return
    settings = _exact_settings()
    before = [getattr(owner, name) for owner, name, _ in settings]
    try:
        for owner, name, value in settings:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(settings, before, strict=True):
            setattr(owner, name, value)


def _exact_settings() -> list[tuple[Any, str, object]]:
    """Return owner, name and value of what has to be set, as this version of torch calls it."""
    from torch import backends

    cudnn: Any = backends.cudnn
    matmul: Any = backends.cuda.matmul
    settings: list[tuple[Any, str, object]] = [
        (cudnn, "deterministic", True),
        (cudnn, "benchmark", False),
    ]
    if hasattr(matmul, "fp32_precision"):  # torch 2.9; old and new names must not be mixed
        return [
            *settings,
            (cudnn.conv, "fp32_precision", "ieee"),
            (matmul, "fp32_precision", "ieee"),
        ]
    return [*settings, (cudnn, "allow_tf32", False), (matmul, "allow_tf32", False)]


def _check_gpu(name: str, count: int) -> None:
    """Refuse a GPU that is not there."""
    import torch

    if not count:
        built = torch.version.cuda is not None
        why = "torch finds no GPU with CUDA" if built else "this torch is built for the CPU only"
        remedy = "Check nvidia-smi" if built else "Install a CUDA build of torch (pytorch.org)"
        raise ConfigError(
            f"device={name!r} was asked for, but {why}. {remedy}, or take device='cpu', or 'auto', "
            "which uses a GPU only where there is one."
        )
    number = int(name.partition(":")[2] or 0)
    if number >= count:
        raise ConfigError(
            f"device={name!r} was asked for, but there {verb_for(count)} "
            f"{number_of(count, 'GPU')}, numbered from 0. Take one of cuda:0 to cuda:{count - 1}."
        )


def _opened(name: str) -> torch.device:
    """Return the device of a name that `device_name` found; "cuda" gets its number."""
    import torch

    if name == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(name)


def _n_gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0

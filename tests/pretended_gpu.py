"""A device that is none: it computes on the processor, and refuses what a GPU would refuse.

Its name is "meta", a device that every build of torch knows and that cannot compute by itself.
Inside `PretendedGPU` a tensor brought there keeps its values, meets only tensors that were brought
there as well, and comes back only when told to. What comes back must equal what the processor says.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

PLACE = torch.device("meta")
_MOVES = (torch.ops.aten.copy_.default,)


class _There(torch.Tensor):
    """A tensor on the pretended GPU; ``inner`` holds its values."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> _There:
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), inner.stride(), inner.storage_offset(),
            dtype=inner.dtype, device=PLACE,
        )  # fmt: skip
        made.inner = inner
        return made

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError("can't convert a tensor of the pretended GPU to numpy; use cpu() first")
        return self.cpu().numpy()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, data: Any, **_: Any) -> torch.Tensor:
        return torch.tensor(data, dtype=self.dtype).to(PLACE)  # torch's own never asks the mode

    def __repr__(self, **_: Any) -> str:
        return f"There({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class PretendedGPU(TorchDispatchMode):
    """While it is entered, ``torch.device("meta")`` is a GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if func is torch.ops.aten._has_compatible_shallow_copy_type.default:
        return False  # a module that moves gets new parameters
    given = tree_flatten((args, kwargs))[0]
    tensors = [value for value in given if isinstance(value, torch.Tensor)]
    strangers = [tuple(t.shape) for t in tensors if t.ndim and not isinstance(t, _There)]
    meets = any(isinstance(t, _There) for t in tensors)
    if meets and strangers and func not in _MOVES:
        raise RuntimeError(f"{func} met tensors of both devices; of the processor: {strangers}")
    named = [torch.device(value) for value in given if isinstance(value, torch.device)]
    args, kwargs = tree_map(_inside, (args, kwargs))
    with _disable_current_modes():
        out = func(*args, **kwargs)
    if func._schema.is_mutable:
        return next((t for t in tensors if _inside(t) is out), out)
    goes = PLACE in named if named else meets
    return tree_map(_outside, out) if goes else out


def _inside(value: Any) -> Any:
    """Return what stands for a value on the processor."""
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value.inner if isinstance(value, _There) else value


def _outside(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    with torch.inference_mode(mode=False):  # views of weights cannot be marked as inference's own
        return _There(value)

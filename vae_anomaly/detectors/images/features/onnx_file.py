"""A backbone that its user brings as an ONNX file; its bytes are stored with the model.

The contract is that of `backbone`: the file takes images (N, 3 or C, S, S), float32 in [0, 1], and
gives one or several maps (N, F, h, w). Images go through it one by one, which costs no more than
together and gives each the same maps in any company; through a file with a fixed batch as many as
it takes. It runs on the processor, wherever the rest of the model lies.

References
----------
ONNX Runtime, https://onnxruntime.ai, MIT.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from vae_anomaly.arrays import AnyFloats, Floats32
from vae_anomaly.errors import ConfigError, MissingExtraError
from vae_anomaly.files import in_home
from vae_anomaly.words import names_of, reason_of

ENDING: Final = ".onnx"
ONNX: Final = "onnx:"
PLACE: Final = "vae_anomaly::Backbone"
"""Operator that stands for the file in a graph that is traced; the export puts its nodes there."""

_QUIET: Final = 4  # only what is fatal goes to stderr; all else is raised
_NAMED: Final = 4


class OnnxFeatures(nn.Module):
    """The maps that an ONNX file makes of images, as a module that can be copied and stored.

    Parameters
    ----------
    data : bytes
        The file, with its weights inside.
    name : str
        What it is called in messages.
    """

    file: Tensor

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__()
        self.name = name
        self.register_buffer("file", torch.from_numpy(np.frombuffer(data, np.uint8).copy()))
        self.maps: list[int] = []  # places of the maps among its outputs, once it has run
        self._shapes: list[tuple[int, ...]] = []
        self._session: Any = None

    @property
    def data(self) -> bytes:
        """The file."""
        return self.file.numpy(force=True).tobytes()

    @property
    def session(self) -> Any:
        """What runs the file: made when it is first needed, with as many threads as torch has.

        Raises
        ------
        MissingExtraError, ConfigError
            If onnxruntime is not installed, or does not take the file.
        """
        if self._session is None:
            self._session = _session(self.data, self.name)
        return self._session

    @property
    def takes(self) -> tuple[int | None, ...]:
        """Shape of the images that the file takes; None where it leaves a size open."""
        shape = self.session.get_inputs()[0].shape
        return tuple(size if isinstance(size, int) else None for size in shape)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return maps (N, F, h, w) of images (N, 1 or 3, S, S) in [0, 1], where the images lie."""
        if images.shape[1] == 1 and self.takes[1] == 3:
            images = images.repeat(1, 3, 1, 1)
        if torch.compiler.is_compiling():
            return self._place(images)
        pixels, n = images.numpy(force=True).astype(np.float32), self.takes[0] or 1
        chunks = [self.answers(pixels[i : i + n]) for i in range(0, len(pixels), n)]
        self.maps = _maps(chunks[0])
        joined = [np.concatenate([chunk[i] for chunk in chunks]) for i in self.maps]
        self._shapes = [maps.shape[1:] for maps in joined]
        return [torch.from_numpy(maps).to(images.device) for maps in joined]

    def _place(self, images: Tensor) -> list[Tensor]:
        """Return what stands for the maps in a graph that is traced; it has run before."""
        shapes = [(images.shape[0], *shape) for shape in self._shapes]
        types = [torch.float32] * len(shapes)
        return list(torch.onnx.ops.symbolic_multi_out(PLACE, [images], dtypes=types, shapes=shapes))

    def answers(self, pixels: Floats32) -> list[AnyFloats]:
        """Return all that the file says of images (n, C, S, S), at most as many as it takes."""
        n, asked = len(pixels), self.session.get_inputs()[0]
        missing = (self.takes[0] or n) - n
        if missing:
            pixels = np.concatenate([pixels, pixels[-1:].repeat(missing, axis=0)])
        said = self.session.run(None, {asked.name: np.ascontiguousarray(pixels)})
        return [answer[:n] for answer in said]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: all but the session, which it makes for itself."""
        return {**self.__dict__, "_session": None}


def is_onnx(features: object) -> bool:
    """Tell whether ``features=`` names an ONNX file."""
    return isinstance(features, str) and features.lower().endswith(ENDING)


def read_onnx(file: str | Path, image_size: int, channels: int) -> OnnxFeatures:
    """Return the backbone that a file holds, after a look at what it says of one image.

    Raises
    ------
    MissingExtraError
        If onnx or onnxruntime is not installed.
    ConfigError
        If the file cannot be read, takes other images, or gives no maps.
    """
    found = OnnxFeatures(_whole(in_home(file)), str(file))
    _check_input(found, image_size, channels)
    size = (1, found.takes[1] or channels, image_size, image_size)
    pixels = np.random.default_rng(0).random(size, np.float32)
    try:
        answers = found.answers(pixels)
    except Exception as err:
        raise ConfigError(
            f"{file} fails on images {size}, float32: {reason_of(err)}. Export it for images of "
            "this size, or with sizes left open."
        ) from err
    if not _maps(answers):
        raise ConfigError(_no_maps(found, answers, pixels))
    return found


def _check_input(found: OnnxFeatures, image_size: int, channels: int) -> None:
    """Refuse a file that takes something else than images of this size and these channels."""
    inputs, name = found.session.get_inputs(), found.name
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
        told = names_of([f"{one.name} {one.type} {one.shape}" for one in inputs])
        raise ConfigError(
            f"{name} must have one input, images (N, C, S, S) of float32; got {told}. Export it "
            "with such an input; what is fixed besides belongs inside."
        )
    _, colours, *sides = found.takes
    wrong = {side for side in sides if side not in (None, image_size)}
    if wrong:
        raise ConfigError(
            f"{name} takes images of {' x '.join(str(s or 'any') for s in sides)} pixels, but gets "
            f"{image_size} x {image_size}. {_size_remedy(sides)}"
        )
    if colours not in (None, channels) and (colours, channels) != (3, 1):
        raise ConfigError(
            f"{name} takes images of {colours} channels, but gets {channels}. Give "
            f"channels={colours} (--channels), or export it for {channels}."
            if colours in (1, 3)
            else f"{name} takes images of {colours} channels; there are such of 1 and 3 only. "
            "Export it for one of these."
        )


def _size_remedy(sides: list[int | None]) -> str:
    """Return what to do about a file of another size."""
    side = sides[0]
    if side is not None and len(set(sides)) == 1 and side % 16 == 0 and side >= 64:
        return f"Give image_size={side} (--size; of tiles tile_size), or leave sizes open."
    return "Export it with sizes left open, or for a square whose side is a multiple of 16."


def _maps(answers: list[AnyFloats]) -> list[int]:
    """Return which of the answers are maps: what has been pooled to one cell is none."""
    return [i for i, one in enumerate(answers) if one.ndim == 4 and min(one.shape[2:]) > 1]


def _no_maps(found: OnnxFeatures, answers: list[AnyFloats], pixels: Floats32) -> str:
    """Say that a file gives no maps, and which it could give."""
    shapes = names_of([str(answer.shape) for answer in answers])
    inside = names_of([f"{name!r} {shape}" for name, shape in _inside(found, pixels)], _NAMED)
    return (
        f"{found.name} gives {shapes}, where maps (N, F, h, w) are wanted: cut it before pooling. "
        f"Maps that it makes on the way: {inside or 'none'}. "
        "onnx.utils.extract_model(FILE, NEW_FILE, [INPUT], [NAMES]) cuts it there."
    )


def _inside(found: OnnxFeatures, pixels: Floats32) -> list[tuple[str, tuple[int, ...]]]:
    """Return name and shape of the last maps of each size inside of a file, coarser ones last."""
    onnx = _package("onnx")
    proto = onnx.load_from_string(found.data)
    given = {output.name for output in proto.graph.output}
    names = [name for node in proto.graph.node for name in node.output if name]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    try:
        session = _session(proto.SerializeToString(), found.name)
        known = [output.name for output in session.get_outputs()]
        said = session.run(None, {session.get_inputs()[0].name: pixels})
    except Exception:  # noqa: BLE001 - it only adds to a message
        return []
    last: dict[int, tuple[str, tuple[int, ...]]] = {}
    order = {name: place for place, name in enumerate(names)}
    for name, answer in sorted(zip(known, said, strict=True), key=lambda one: order[one[0]]):
        if _maps([answer]):
            last[answer.shape[2]] = (name, answer.shape)
    return [last[side] for side in sorted(last, reverse=True)][-_NAMED:]


def _whole(path: Path) -> bytes:
    """Return a file's bytes, with the weights that torch writes into a second file beside it."""
    onnx = _package("onnx")
    try:
        data = path.read_bytes()
        proto = onnx.load_from_string(data)
        is_apart = onnx.external_data_helper.uses_external_data
        if not any(map(is_apart, proto.graph.initializer)):
            return data
        return bytes(onnx.load(str(path)).SerializeToString())
    except OSError as err:
        raise ConfigError(f"features={str(path)!r} cannot be read: {reason_of(err)}.") from err
    except Exception as err:
        raise ConfigError(
            f"{path} is no ONNX file that can be read whole: {reason_of(err)}. Export it again, or "
            "put the file with its weights beside it."
        ) from err


def _session(data: bytes, name: str) -> Any:
    """Return a session on the processor that gives the same answer each time."""
    runtime = _package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as err:
        raise ConfigError(
            f"onnxruntime {runtime.__version__} does not take {name}: {reason_of(err)}. Export it "
            "with operators of the ONNX standard only, for an opset that this version knows."
        ) from err


def _package(name: str) -> Any:
    """Return onnx or onnxruntime, which reports to its maker unless told otherwise."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(
            f"A backbone in an ONNX file needs {name}, which is not installed: "
            "pip install 'vae_anomaly[onnx]'"
        ) from None

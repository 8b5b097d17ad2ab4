"""Write a fitted image detector as one ONNX file that scores without Python.

The file holds all that follows decoding: resizing, network, score, calibration. Before anything is
kept it is run beside the detector on the same images, of several sizes, one at a time and
together; a file that says something else is not written.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from vae_anomaly.arrays import AnyFloats, Bytes
from vae_anomaly.data.images.resize import RESIZER
from vae_anomaly.detectors.images.examination import examine
from vae_anomaly.detectors.images.features.onnx_file import OnnxFeatures
from vae_anomaly.detectors.images.heatmaps import resize_heat
from vae_anomaly.detectors.images.image_list import open_images
from vae_anomaly.detectors.images.model import ImageModel
from vae_anomaly.detectors.images.networks.bank import BankNetwork
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.images.onnx.graph import OUTPUTS, ScoringGraph
from vae_anomaly.detectors.images.onnx.inline import inlined, onnx_backbone
from vae_anomaly.errors import ConfigError, MissingExtraError, ModelRefusedError, StorageError
from vae_anomaly.files import in_home, replace_file
from vae_anomaly.persistence import SUMS
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.version import __version__
from vae_anomaly.words import names_of

INPUT: Final = "images"
"""Name of the file's input: uint8 of shape (N, H, W, C)."""

TOLERANCE: Final = 1e-4
"""By how much, in each output, file and detector may differ: relative beyond 1."""


@dataclass(frozen=True)
class OnnxExport:
    """A detector that was written as ONNX.

    Parameters
    ----------
    image_channels : {1, 3}
        Channels of the images that it takes.
    largest_difference : float
        Between file and detector in the anomaly score of the images compared.
    threshold : float
        Anomaly score above which an item is flagged; in the file's metadata as well.
    """

    path: Path
    image_channels: int
    size_bytes: int
    largest_difference: float
    threshold: float


def export_onnx(
    model: ImageModel,
    calibration: ConformalCalibration,
    threshold: float,
    path: str | Path,
    *,
    side: int,
    image_channels: int | None = None,
) -> OnnxExport:
    """Write a model's scoring, from decoded pixels on, as one ONNX file.

    Parameters
    ----------
    threshold : float
        Anomaly score above which an item is flagged.
    path : str or Path
        An existing file is replaced; folders are made as named.
    side : int, pixels
        Of the heatmaps that the file gives.
    image_channels : {1, 3}, optional
        Channels of the images; those of the model by default.

    Raises
    ------
    MissingExtraError
        If the extra ``onnx`` is not installed.
    ModelRefusedError
        If the model cannot be written as ONNX, or the file would not score as it does.
    ConfigError
        If the channels are not 1 or 3.
    StorageError
        If the file cannot be written, or would lie in the folder of a model.
    """
    target = _file_place(path)
    channels = model.channels if image_channels is None else image_channels
    if channels not in (1, 3):
        raise ConfigError(f"Images have 1 or 3 channels; got image_channels={channels!r}.")
    model = model.on_processor()
    network = _network_with_a_graph(model)
    runtime = _required_extra()
    backbone = onnx_backbone(network)
    batches = _probes(side, channels)
    wanted = [_answer(model, calibration, batch, side) for batch in batches]  # fills caches too
    graph = ScoringGraph(network, model.score, calibration, side, model.heat_level).eval()
    metadata = {
        "vae_anomaly.version": __version__,
        "vae_anomaly.model": network.spec.kind,
        "vae_anomaly.image_size": side,
        "vae_anomaly.resizer": RESIZER,
        "vae_anomaly.threshold": threshold,
        "vae_anomaly.heat_level": model.heat_level,
        "vae_anomaly.held_out_normals": calibration.n,
    }
    data = _translated(graph, batches[0], metadata, backbone)
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    difference = _compare(session, batches, wanted)
    with replace_file(target, "Free some space or choose another file.") as temporary:
        temporary.write_bytes(data)
    return OnnxExport(target, channels, len(data), difference, threshold)


def _file_place(path: str | Path) -> Path:
    """Return where the file goes, before anything is computed."""
    target = in_home(path)
    if str(path).endswith(("/", os.sep)) or target.is_dir():
        raise StorageError(f"{path} is a folder, where a file is to be written. Name the file.")
    model = next((f for f in target.absolute().parents if (f / SUMS).is_file()), None)
    if model is not None:
        raise StorageError(
            f"{path} would lie in {model}, the folder of a model, which can then no longer be "
            "read: it is checked file by file. Choose another folder."
        )
    return target


def _network_with_a_graph(model: ImageModel) -> BankNetwork | PixelNetwork:
    if model.conditions:
        raise ModelRefusedError(
            "A conditional model cannot be exported: an image whose condition is unknown is judged "
            "by another number of passes, which a graph cannot decide. Train model='bank' for each "
            f"of {names_of(model.conditions, 5)}, or score it here."
        )
    if model.placing.registration is not None or model.placing.foreground is not None:
        raise ModelRefusedError(
            "A model that shifts images or paints their background cannot be exported: the graph "
            "begins after that. Train one with register='off' and foreground='off', or score it "
            "here."
        )
    if not isinstance(model.network, BankNetwork | PixelNetwork):
        raise ModelRefusedError(
            f"A model that scores by {type(model.network).__name__} cannot be exported: it "
            "takes more than one pass over an image. Train one without, or score it here."
        )
    return model.network


def _required_extra() -> Any:
    """Return onnxruntime, if all that is needed is installed.

    It makes a folder in the user's home and reports to its maker, already when it is imported.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        for name in ("onnx", "onnxscript"):
            import_module(name)
        return import_module("onnxruntime")
    except ImportError as err:
        raise MissingExtraError(
            f"Export to ONNX needs {err.name}, which is not installed: "
            "pip install 'vae_anomaly[onnx]'"
        ) from None


def _probes(size: int, channels: int) -> list[Bytes]:
    """Return images that file and detector are compared on: smooth, larger and smaller, 2 + 1."""
    generator = np.random.default_rng(0)
    batches = []
    for height, width, n in ((size + 16, size + 40, 2), (size - 24, size, 1)):
        coarse = generator.uniform(0.2, 0.8, (n, channels, 4, 4)).astype(np.float32)
        smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), (height, width))
        noisy = smooth.numpy() + generator.normal(0.0, 0.02, smooth.shape)
        pixels = np.clip(noisy.transpose(0, 2, 3, 1), 0.0, 1.0) * 255.0
        batches.append(pixels.astype(np.uint8))
    return [*batches, batches[0][1:]]


def _answer(
    model: ImageModel, calibration: ConformalCalibration, pixels: Bytes, side: int
) -> tuple[AnyFloats, ...]:
    """Return what the file is to say of images (n, H, W, C), as `OUTPUTS` names it."""
    examination = examine(model, calibration, replace(open_images(pixels), placing=model.placing))
    heatmaps = resize_heat(examination.heatmap, (side, side))
    return examination.raw_score, examination.anomaly_score, examination.p_value, heatmaps


def _translated(
    graph: ScoringGraph,
    example: Bytes,
    metadata: dict[str, object],
    backbone: OnnxFeatures | None,
) -> bytes:
    """Return the graph as the bytes of an ONNX file; its metadata are JSON values."""
    n = torch.export.Dim("n")
    shape = {0: n, 1: torch.export.Dim("height", min=2), 2: torch.export.Dim("width", min=2)}
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph,
                (torch.from_numpy(example),),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes=(shape,),
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError, ValueError) as err:
        reason = str(err).strip().splitlines()[0][:300]
        raise ModelRefusedError(
            f"A model of kind {graph.network.spec.kind!r} cannot be exported to ONNX: "
            f"{reason}. model='bank' and model='conv' can."
        ) from err
    assert program is not None  # noqa: S101 - only without dynamo
    proto = program.model_proto
    if backbone is not None:
        proto = inlined(proto, backbone)
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=json.dumps(value))
    return bytes(proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of its own affairs."""
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        loud.setLevel(level)


def _compare(session: Any, batches: list[Bytes], wanted: list[tuple[AnyFloats, ...]]) -> float:
    """Return the largest difference in the anomaly score; refuse a file that differs."""
    largest = 0.0
    for images, expected in zip(batches, wanted, strict=True):
        answers = session.run(None, {INPUT: images})
        for name, ours, theirs in zip(OUTPUTS, expected, answers, strict=True):
            if not np.allclose(theirs, ours, rtol=TOLERANCE, atol=TOLERANCE):
                raise ModelRefusedError(
                    f"The ONNX file would not score as the detector does: its {name} differs by "
                    f"{np.abs(theirs - ours).max():.2g}. Nothing was written; please report it "
                    "with the versions of torch, onnx and onnxruntime."
                )
        largest = max(largest, float(np.abs(answers[1] - expected[1]).max()))
    return largest

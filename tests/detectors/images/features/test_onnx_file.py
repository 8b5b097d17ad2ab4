"""A backbone in an ONNX file: stored with the model, and refused where it breaks the contract."""

from __future__ import annotations

import copy
import re
import sys

import numpy as np
import pytest
import torch
from detectors.images.features.test_backbone import SIZE, fitted, holed, plates
from sklearn.metrics import roc_auc_score

from vae_anomaly.detectors import load_detector
from vae_anomaly.detectors.images.features.onnx_file import read_onnx
from vae_anomaly.errors import ConfigError, MissingExtraError, ModelRefusedError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FLOAT32, FLOAT64 = 1, 11  # as the format numbers them


def written(path, *, takes=("n", 1, "h", "w"), gives=("fine", "coarse"), weight=1.0):
    """Write a file of two convolutions, at strides 8 and 16, and a classifier behind them."""
    rng, channels = np.random.default_rng(0), takes[1] if isinstance(takes[1], int) else 1
    shapes = {"a": (6, channels, 11, 11), "b": (9, 6, 3, 3), "c": (9, 1000)}
    arrays = {
        name: (weight * rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    node, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        node("Conv", ["images", "a"], ["x"], strides=[8, 8], pads=[5, 5, 5, 5]),
        node("Relu", ["x"], ["fine"]),
        node("Conv", ["fine", "b"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["y"], ["coarse"]),
        node("GlobalAveragePool", ["coarse"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("MatMul", ["flat", "c"], ["logits"]),
    ]
    taken, given = info("images", FLOAT32, takes), [info(name, FLOAT32, None) for name in gives]
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return saved(path, onnx.helper.make_graph(nodes, "backbone", [taken], given, weights))


def saved(path, graph) -> str:
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.save(model, path)
    return str(path)


@pytest.fixture(scope="module")
def plugged(tmp_path_factory):
    path = written(tmp_path_factory.mktemp("onnx") / "backbone.onnx")
    return fitted(path, preset="default", max_steps=20)


def test_defects_rank_above_good_images_with_a_file_of_random_weights(plugged):
    good = plates(30, 2)
    scores = plugged.anomaly_score(np.concatenate([good, holed(good)]))
    assert roc_auc_score(np.repeat([0, 1], 30), scores) > 0.9
    told = (
        r"backbone.onnx: the file backbone.onnx, stored with the model; SHA-256 of the file \w{64}"
    )
    assert re.fullmatch(told, plugged.features_)


def test_a_saved_model_holds_the_file_and_needs_it_no_more(plugged, tmp_path):
    file = tmp_path / "own.onnx"
    written(file)
    detector, images = fitted(str(file)), plates(9, 5)
    path = detector.save(tmp_path / "model")
    file.unlink()
    loaded = load_detector(path)
    again = load_detector(loaded.save(tmp_path / "again"))
    for other in (loaded, again, copy.deepcopy(loaded)):
        np.testing.assert_allclose(
            other.anomaly_score(images), detector.anomaly_score(images), atol=1e-5
        )
    assert loaded.features_ == detector.features_


def test_an_image_has_one_score_alone_and_in_a_batch(plugged):
    images = plates(11, 4)
    alone = [plugged.examine(one[None]).raw_score[0] for one in images]
    np.testing.assert_allclose(plugged.examine(images).raw_score, alone, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_and_a_fixed_size_are_respected(tmp_path, batch):
    images = torch.rand(7, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    fixed = written(tmp_path / "fixed.onnx", takes=(batch, 1, SIZE, SIZE))
    said = read_onnx(fixed, SIZE, 1)(images)
    wanted = read_onnx(written(tmp_path / "open.onnx"), SIZE, 1)(images)
    assert [tuple(maps.shape) for maps in said] == [(7, 6, 8, 8), (7, 9, 4, 4)]
    for ours, theirs in zip(said, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_grey_images_go_into_a_file_that_takes_colour(tmp_path):
    path = written(tmp_path / "colour.onnx", takes=("n", 3, "h", "w"))
    assert np.isfinite(fitted(path).anomaly_score(plates(2, 3))).all()


def test_maps_are_taken_from_a_file_that_gives_a_class_as_well(tmp_path):
    path = written(tmp_path / "both.onnx", gives=("logits", "coarse"))
    maps = read_onnx(path, SIZE, 1)(torch.zeros(2, 1, SIZE, SIZE))
    assert [tuple(one.shape) for one in maps] == [(2, 9, 4, 4)]


def test_weights_in_a_second_file_come_along(tmp_path):
    whole = onnx.load(written(tmp_path / "whole.onnx"))
    onnx.save(whole, tmp_path / "split.onnx", save_as_external_data=True, location="weights.bin",
              size_threshold=0)  # fmt: skip
    found = read_onnx(tmp_path / "split.onnx", SIZE, 1)
    (tmp_path / "weights.bin").unlink()
    wanted = read_onnx(tmp_path / "whole.onnx", SIZE, 1)
    images = torch.rand(2, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(copy.deepcopy(found)(images)[0], wanted(images)[0], atol=1e-6)
    with pytest.raises(ConfigError, match="put the file with its weights beside it"):
        read_onnx(tmp_path / "split.onnx", SIZE, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gives": ("logits",)}, r"\(1, 1000\).*cut it before pooling.*'fine'.*'coarse'"),
        ({"gives": ("pooled",)}, r"\(1, 9, 1, 1\).*cut it before pooling"),
        ({"takes": ("n", 1, 128, 128)}, r"128 x 128 pixels, but gets 64 x 64. Give image_size=128"),
        ({"takes": ("n", 1, 299, 299)}, "with sizes left open"),
        ({"takes": ("n", 4, "h", "w")}, "takes images of 4 channels"),
        ({"weight": float("nan")}, "NaN or infinity"),
    ],
    ids=["classes", "pooled", "size", "odd size", "channels", "nan"],
)
def test_a_file_that_breaks_the_contract_is_refused_with_a_remedy(tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        fitted(written(tmp_path / "backbone.onnx", **options))


@pytest.mark.parametrize(
    ("kind", "shape"), [(FLOAT32, ("n", 1, "h")), (FLOAT64, ("n", 1, "h", "w"))],
    ids=["rank", "float64"],
)  # fmt: skip
def test_a_file_that_takes_something_else_is_refused(tmp_path, kind, shape):
    info = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["images"], ["maps"])
    graph = onnx.helper.make_graph(
        [node], "nothing", [info("images", kind, shape)], [info("maps", kind, shape)]
    )
    with pytest.raises(ConfigError, match=r"must have one input, images \(N, C, S, S\) of float32"):
        read_onnx(saved(tmp_path / "other.onnx", graph), SIZE, 1)


def test_colour_for_a_file_that_takes_grey_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"channels=1 \(--channels\)"):
        fitted(written(tmp_path / "backbone.onnx"), channels=3)


def test_what_is_no_onnx_file_is_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(ConfigError, match="no ONNX file"):
        fitted(str(tmp_path / "text.onnx"))
    with pytest.raises(ConfigError, match=r"absent.onnx.*cannot be read: .*No such file"):
        fitted(str(tmp_path / "absent.onnx"))


def test_without_onnxruntime_the_error_names_the_command(tmp_path, monkeypatch):
    path = written(tmp_path / "backbone.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vae_anomaly\[onnx\]'"):
        fitted(path)


def test_a_model_with_a_file_leaves_as_one_onnx_file_that_scores_the_same(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    options = {"takes": ("n", 3, "h", "w"), "gives": ("logits", "coarse", "fine")}
    detector = fitted(written(tmp_path / "backbone.onnx", **options))
    loaded = load_detector(detector.save(tmp_path / "model"))
    told = loaded.export_onnx(tmp_path / "whole.onnx")
    session = runtime.InferenceSession(told.path, providers=["CPUExecutionProvider"])
    images = plates(3, 8)
    raw = session.run(["raw_score"], {"images": images[..., None]})[0]
    np.testing.assert_allclose(raw, detector.examine(images).raw_score, atol=1e-3)


def test_a_file_with_a_fixed_batch_stays_out_of_a_graph_for_any_number(tmp_path):
    detector = fitted(written(tmp_path / "backbone.onnx", takes=(1, 1, SIZE, SIZE)))
    with pytest.raises(ModelRefusedError, match="exported with an open batch"):
        detector.export_onnx(tmp_path / "whole.onnx")


def test_tiles_go_through_one_file_that_is_stored_once(tmp_path):
    path = written(tmp_path / "backbone.onnx")
    detector = fitted(path, tile_size=SIZE)
    saved, images = detector.save(tmp_path / "model"), plates(3, 7)
    from safetensors.numpy import load_file

    kept = load_file(saved / "weights.safetensors")
    assert [name for name in kept if name.endswith(".file")] == ["halves.0.bank.backbone.file"]
    np.testing.assert_allclose(
        load_detector(saved).anomaly_score(images), detector.anomaly_score(images), atol=1e-5
    )

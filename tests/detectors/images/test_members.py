"""Every member of the family looks at images, and a change of product is no alarm."""

from __future__ import annotations

import json
import logging

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from vae_anomaly.batch import read_results, score_images
from vae_anomaly.cli.train import images as train_images
from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.image_list import open_images
from vae_anomaly.detectors.images.networks.pixels import ALIASES, MODELS, PIXEL_MEMBERS
from vae_anomaly.errors import ConfigError, DataError, NotEnoughDataError
from vae_anomaly.evaluation import score_items
from vae_anomaly.metrics import auroc
from vae_anomaly.persistence import read_model, write_model

DENSE_OR_CONV = sorted(PIXEL_MEMBERS)


def parts(product: str, n: int, seed: int) -> np.ndarray:
    """Render smooth bright discs or rough dark squares, (n, 64, 64) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    disc = 0.3 + 0.5 * (np.hypot(y - 32, x - 32) < 18)
    square = 0.7 - 0.55 * ((abs(y - 32) < 14) & (abs(x - 32) < 14))
    base, rough = {"disc": (disc, 0.01), "square": (square, 0.12)}[product]
    light = rng.uniform(0.99, 1.01, (n, 1, 1))
    images = base * light + rng.normal(0.0, rough, (n, 64, 64))
    return np.clip(images * 255.0, 0, 255).astype(np.uint8)


def spoilt(images: np.ndarray) -> np.ndarray:
    broken = images.copy()
    broken[:, 24:34, 24:34] = 255 - broken[:, 24:34, 24:34]
    return broken


GOOD = np.concatenate([parts("disc", 30, 1), parts("square", 30, 2)])
PRODUCTS = np.repeat(["disc", "square"], 30)
FRESH = np.concatenate([parts("disc", 6, 3), parts("square", 5, 4)])
FRESH_PRODUCTS = np.repeat(["disc", "square"], [6, 5])
_FITTED: dict[str, ImageVAEDetector] = {}


def fitted(model: str) -> ImageVAEDetector:
    """Fit each member once, for a few steps."""
    if model not in _FITTED:
        told = {"conditions": PRODUCTS} if model == "conditional" else {}
        steps = 4 if model == "importance_weighted" else 10
        detector = ImageVAEDetector(model=model, max_steps=steps, random_state=0)
        _FITTED[model] = detector.fit(GOOD, **told)
    return _FITTED[model]


def opened(model: str, images: np.ndarray, products: np.ndarray = FRESH_PRODUCTS):
    return open_images(images, conditions=products if model == "conditional" else None)


@pytest.mark.parametrize("model", DENSE_OR_CONV)
def test_every_member_ranks_a_planted_defect_above_good_images(model):
    scores = [
        fitted(model).anomaly_score(opened(model, images)) for images in (FRESH, spoilt(FRESH))
    ]
    assert auroc(np.repeat([0, 1], len(FRESH)), np.concatenate(scores)) > 0.9


@pytest.mark.parametrize("model", DENSE_OR_CONV)
def test_a_score_is_the_same_alone_in_a_batch_and_after_reload(model, tmp_path):
    detector = fitted(model)
    whole = detector.examine(opened(model, FRESH))
    alone = [
        detector.examine(opened(model, FRESH[i : i + 1], FRESH_PRODUCTS[i : i + 1])).raw_score[0]
        for i in (0, 3, 10)
    ]
    np.testing.assert_allclose(alone, whole.raw_score[[0, 3, 10]], atol=1e-4)
    again = load_detector(detector.save(tmp_path / "model")).examine(opened(model, FRESH))
    np.testing.assert_allclose(again.raw_score, whole.raw_score, atol=1e-4)
    np.testing.assert_allclose(again.heatmap, whole.heatmap, atol=1e-4)


@pytest.mark.parametrize("model", DENSE_OR_CONV)
def test_latents_come_back_as_images(model):
    detector, products = fitted(model), opened(model, FRESH)
    z = detector.transform(products)
    assert (z.dtype, len(z)) == (np.float32, len(FRESH))
    told = FRESH_PRODUCTS if model == "conditional" else None
    images = detector._decode(z, told)
    np.testing.assert_allclose(images, detector.reconstruct(products), atol=1e-5)
    assert detector.metrics_["active_units"] <= detector.metrics_["latents"]


def test_the_bank_decodes_latents_to_an_evenly_lit_preview():
    detector = ImageVAEDetector(64, preset="fast", random_state=0).fit(GOOD[:30])
    z = detector.transform(FRESH[:6])
    preview = detector._decode(z)
    assert z.shape == (6, detector.network_.linear.vae.latent_dim)
    assert preview.shape == (6, 16, 16)
    middle, corner = preview[:, 6:10, 6:10].mean(), preview[:, :3, :3].mean()
    assert 1.0 >= middle > corner >= 0.0
    assert detector.metrics_["active_units"] == len(z[0])


@pytest.mark.parametrize("model", ["conv", "vq", "ladder", "vamp", "mixture"])
def test_draws_from_the_prior_have_the_shape_of_the_latents(model):
    detector = fitted(model)
    drawn = detector.network_.draw_prior(3, torch.Generator().manual_seed(0)).detach().numpy()
    assert drawn.shape == detector.transform(FRESH[:3]).shape
    assert detector._decode(drawn).shape == (3, 64, 64)


def test_an_autoencoder_has_no_prior_to_draw_from():
    with pytest.raises(ConfigError, match="no prior"):
        fitted("autoencoder").network_.draw_prior(3)


def test_evidence_is_what_the_model_itself_says():
    kl = {model: fitted(model).evidence(FRESH)["kl"].to_numpy() for model in DENSE_OR_CONV}
    assert (kl["autoencoder"] == 0.0).all()
    np.testing.assert_allclose(kl["vq"], 64 * np.log(64), rtol=1e-5)
    detector = fitted("ladder")
    x = detector.network_.standardise(torch.from_numpy(FRESH[:, None] / np.float32(255)))
    said = detector.network_.vae(x, sample=False)
    np.testing.assert_allclose(kl["ladder"], said.kl_per_layer.sum(1).detach(), rtol=1e-3)
    evidence = detector.evidence(FRESH)
    total = evidence["reconstruction_nll"] + evidence["kl"]
    np.testing.assert_allclose(evidence["negative_elbo"], total)
    assert min(kl[model].min() for model in ("conv", "beta", "ladder", "vamp")) > 0.0


def test_the_alias_is_the_plain_model():
    made = [ImageVAEDetector(model=m, max_steps=1, random_state=0) for m in ("vae", "conv")]
    first, second = (detector.fit(GOOD[:12]).examine(FRESH).raw_score for detector in made)
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_a_model_saved_before_there_were_members_still_loads(tmp_path):
    detector = fitted("conv")
    state = read_model(detector.save(tmp_path / "new"))
    for name in ("beta", "condition"):
        del state.config[name]
    del state.preprocessing["conditions"]
    del state.preprocessing["network"]["description"]
    old = load_detector(write_model(state, tmp_path / "old"))
    np.testing.assert_allclose(
        old.examine(FRESH).raw_score, detector.examine(FRESH).raw_score, atol=1e-4
    )


def test_a_large_beta_is_warned_of_before_and_after_training(caplog):
    with caplog.at_level(logging.WARNING):
        detector = ImageVAEDetector(model="conv", beta=1e5, max_steps=12, random_state=0).fit(GOOD)
    assert detector.metrics_["expected_active_units"] == 0
    assert "collapse expected" in caplog.text
    assert detector.metrics_["active_units"] < 13
    assert "latents are active" in caplog.text
    assert "lower beta" in caplog.text


# ---------------------------------------------------------------------- conditions


@pytest.mark.parametrize("product", ["disc", "square"])
def test_a_night_of_one_product_has_the_alarms_that_were_promised_and_no_more(product):
    detector = fitted("conditional")
    night = parts(product, 40, 9)
    seen = detector.examine(night, conditions=[product] * 40)
    assert set(seen.judged_as) == {product}
    flagged = seen.anomaly_score > detector.threshold_.value
    assert flagged.mean() <= detector.threshold_.expected_fpr.high
    broken = detector.examine(spoilt(night), conditions=[product] * 40)
    assert broken.anomaly_score.min() > seen.anomaly_score.max()


def test_a_rough_product_is_not_hotter_than_a_smooth_one_when_it_is_told():
    nights = {product: parts(product, 16, 9) for product in ("disc", "square")}
    plain = {p: fitted("conv").examine(night).heatmap.mean() for p, night in nights.items()}
    detector = fitted("conditional")
    told = {
        p: detector.examine(night, conditions=[p] * 16).heatmap.mean()
        for p, night in nights.items()
    }
    assert abs(told["square"]) < 0.25
    assert abs(told["disc"]) < 0.25
    assert plain["square"] - plain["disc"] > 2 * abs(told["square"] - told["disc"])


def test_a_image_told_to_be_the_other_product_is_stranger():
    detector = fitted("conditional")
    right = detector.examine(FRESH, conditions=FRESH_PRODUCTS).raw_score
    wrong = detector.examine(FRESH, conditions=FRESH_PRODUCTS[::-1]).raw_score
    swapped = FRESH_PRODUCTS[::-1] != FRESH_PRODUCTS
    assert (wrong[swapped] > right[swapped]).all()


@pytest.mark.parametrize("told", ["ring", None], ids=["never seen", "not told"])
def test_an_unknown_product_is_judged_as_the_one_that_fits_best(told, caplog):
    detector = fitted("conditional")
    unknown = detector.examine(FRESH, conditions=[told] * len(FRESH))
    known = detector.examine(FRESH, conditions=FRESH_PRODUCTS)
    assert unknown.judged_as == tuple(FRESH_PRODUCTS)
    np.testing.assert_allclose(unknown.raw_score, known.raw_score, atol=1e-4)
    assert "never seen in training" in caplog.text
    reasons = detector.reasons(open_images(FRESH, conditions=[told] * len(FRESH)))
    expected = "its product is not told" if told is None else "product 'ring' was never seen"
    assert all(said[0].startswith(expected) for said in reasons)
    assert "judged as 'square'" in reasons[-1][0]


@pytest.fixture
def products_on_disk(tmp_path):
    """Training images and a night with a product that training has not seen."""
    root = tmp_path / "train"
    for i, (image, product) in enumerate(zip(GOOD[10:50], PRODUCTS[10:50], strict=True)):
        (root / product).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / product / f"{i:02d}.png")
    night = tmp_path / "night"
    for product, images in (("disc", FRESH[:4]), ("square", FRESH[-4:]), ("ring", FRESH[:2])):
        (night / product).mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(night / product / f"{i}.png")
    return root, night


def trained(source, condition: str) -> ImageVAEDetector:
    make = ImageVAEDetector(model="conditional", condition=condition, max_steps=8, random_state=0)
    return make.fit(source)


def test_a_night_with_a_new_product_is_scored_by_folder(products_on_disk, tmp_path):
    root, night = products_on_disk
    detector = trained(root, "folder")
    assert detector.conditions_ == ("disc", "square")
    model = detector.save(tmp_path / "model")
    header = json.loads((model / "detector.json").read_text())
    assert header["preprocessing"]["conditions"] == ["disc", "square"]
    summary = score_images(model, night, tmp_path / "out", heatmaps="none")
    assert (summary.rows_out, summary.quarantined) == (10, 0)
    results = read_results(tmp_path / "out").set_index("id")["score"]
    seen = detector.examine(night)
    np.testing.assert_allclose(results[list(seen.ids)], seen.anomaly_score, atol=1e-3)
    judged = dict(zip(seen.ids, seen.judged_as, strict=True))
    assert (judged["square/0.png"], judged["ring/0.png"]) == ("square", "disc")


def test_a_column_of_the_manifest_tells_the_product(products_on_disk, tmp_path):
    root, night = products_on_disk
    for folder in (root, night):
        paths = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
        table = {"path": [p.as_posix() for p in paths], "sku": [p.parent.name for p in paths]}
        pd.DataFrame(table).to_csv(folder / "list.csv", index=False)
    detector = trained(root / "list.csv", "sku")
    assert detector.conditions_ == ("disc", "square")
    judged = detector.examine(night / "list.csv").judged_as
    assert [*judged[:4], *judged[-4:]] == ["disc"] * 4 + ["square"] * 4
    model = detector.save(tmp_path / "model")
    assert score_images(model, night / "list.csv", tmp_path / "out").skipped == 0
    corrected = (night / "list.csv").read_text().replace(",ring", ",disc")
    (night / "list.csv").write_text(corrected)
    assert (
        score_images(model, night / "list.csv", tmp_path / "out").skipped == 1
    )  # of 2 groups of folders


def test_every_product_is_trained_on_even_where_each_is_one_group():
    groups = np.where(PRODUCTS == "disc", "only", np.arange(len(GOOD)).astype(str))
    make = ImageVAEDetector(model="conditional", max_steps=4, random_state=0)
    detector = make.fit(GOOD, groups=groups, conditions=PRODUCTS)
    assert len(detector.examine(FRESH, conditions=FRESH_PRODUCTS).raw_score) == len(FRESH)
    with pytest.raises(NotEnoughDataError, match="all there is of a condition"):
        make.fit(GOOD, groups=PRODUCTS, conditions=PRODUCTS)


def test_few_images_of_a_product_are_warned_of(caplog):
    make = ImageVAEDetector(model="conditional", max_steps=2, random_state=0)
    make.fit(GOOD[:36], conditions=PRODUCTS[:36])
    assert "Few images of square (6)" in caplog.text


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "vampp"}, "did you mean 'vamp'"),
        ({"model": "semi_supervised"}, "labelled classes"),
        ({"model": "conditional"}, "condition='folder'"),
        ({"model": "conv", "condition": "folder"}, "belongs to model='conditional'"),
        ({"model": "bank", "beta": 2.0}, "Got beta=2 with model='bank'"),
        ({"model": "vq", "beta": 2.0}, "Got beta=2 with model='vq'"),
        ({"model": "conv", "beta": -1.0}, "a number >= 0"),
        ({"model": "conv", "latent_dim": 0}, "'latent_dim' parameter .* an int >= 1"),
    ],
    ids=str,
)
def test_parameters_without_meaning_are_refused(parameters, message):
    with pytest.raises(ConfigError, match=message):
        ImageVAEDetector(**parameters).fit(GOOD)


def test_conditions_for_a_model_that_has_none_are_refused():
    with pytest.raises(ConfigError, match="belongs to model='conditional'"):
        ImageVAEDetector(model="conv").fit(GOOD, conditions=PRODUCTS)
    with pytest.raises(ConfigError, match="belongs to model='conditional'"):
        fitted("conv").examine(FRESH, conditions=FRESH_PRODUCTS)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (["disc"] * len(GOOD), "at least 2 conditions"),
        (["disc"] * (len(GOOD) - 1) + [None], "1 of 60 training images has no condition"),
        (["disc", "square"], "one condition for each image"),
    ],
    ids=["one", "missing", "too few"],
)
def test_conditions_that_cannot_be_learned_are_refused(conditions, message):
    with pytest.raises(DataError, match=message):
        ImageVAEDetector(model="conditional").fit(GOOD, conditions=conditions)


def test_the_command_line_offers_what_the_detector_takes():
    (model,) = (option for option in train_images.params if option.name == "model")
    assert set(model.type.choices) == {*MODELS, *ALIASES}


def test_files_that_tell_no_condition_are_refused_with_the_remedy(products_on_disk, tmp_path):
    _, night = products_on_disk
    detector = fitted("conditional")
    model = detector.save(tmp_path / "model")
    column = load_detector(model).set_params(condition="sku").save(tmp_path / "by-column")

    def score(m):
        score_images(m, night, tmp_path / "out")

    def evaluate(m):
        score_items(load_detector(m), night)

    for judge in (score, evaluate):
        with pytest.raises(ConfigError, match=r"set_params\(condition='folder'\)"):
            judge(model)
        with pytest.raises(DataError, match="columns path and sku"):
            judge(column)
    told = load_detector(model).set_params(condition="folder").save(tmp_path / "told")
    assert score_images(told, night, tmp_path / "out").rows_out == 10

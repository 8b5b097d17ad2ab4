from __future__ import annotations

import json
import logging

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from vae_anomaly import load_detector
from vae_anomaly.detectors.tabular.detector import TabularVAEDetector
from vae_anomaly.detectors.tabular.settings import TABLE_MEMBERS
from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.persistence import read_model, write_model

QUICK = {"max_steps": 60, "hidden": 16, "preset": "fast", "random_state": 0}
PLAIN = [name for name in TABLE_MEMBERS if name not in ("vae", "conditional")]


def related(n: int, seed: int = 0) -> np.ndarray:
    """Return rows of four readings of one quantity."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) * [1.0, 2.0, -1.0, 0.5] + 0.1 * rng.normal(size=(n, 4))


def broken(n: int, seed: int = 0) -> np.ndarray:
    """Return rows whose second reading has the wrong sign; every cell is usual by itself."""
    rows = related(n * 2, seed)
    rows = rows[np.abs(rows[:, 1]) > 0.8][:n]
    rows[:, 1] *= -1.0
    return rows


def parts(n: int, seed: int = 0, share_of_b: float = 0.3) -> pd.DataFrame:
    """Return parts of two products, which are pressed with different settings."""
    rng = np.random.default_rng(seed)
    b = rng.random(n) < share_of_b
    heat, load = rng.normal(size=n), rng.normal(size=n)
    return pd.DataFrame(
        {
            "temperature": np.where(b, 80.0 + 6.0 * heat, 20.0 + 2.0 * heat),
            "force": np.where(b, 2.0 - 0.2 * heat, 5.0 + 0.5 * heat) + 0.05 * rng.normal(size=n),
            "speed": np.where(b, 150.0, 300.0) + 20.0 * load,
            "power": np.where(b, 30.0, 10.0) + 3.0 * load + 0.5 * rng.normal(size=n),
            "product": np.where(b, "B", "A"),
        }
    )


@pytest.fixture(scope="module", params=PLAIN)
def member(request) -> TabularVAEDetector:
    return TabularVAEDetector(model=request.param, **QUICK).fit(related(2_000))


@pytest.fixture(scope="module")
def conditional() -> TabularVAEDetector:
    options = QUICK | {"max_steps": 150}
    return TabularVAEDetector(model="conditional", condition="product", **options).fit(parts(4_000))


def test_every_member_ranks_broken_rows_above_normal_ones(member):
    normal, strange = related(300, seed=5), broken(100, seed=6)
    scores = member.anomaly_score(np.concatenate([normal, strange]))
    assert roc_auc_score(np.repeat([0, 1], [300, 100]), scores) > 0.9
    assert (scores[:300] > member.threshold_.value).mean() < 0.05


def test_a_row_scores_the_same_alone_in_a_batch_and_after_reload(member, tmp_path):
    rows = related(20, seed=7)
    together = member.assess(rows)
    alone = pd.concat([member.assess(rows[[i]]) for i in range(3)], ignore_index=True)
    np.testing.assert_allclose(alone["raw_score"], together["raw_score"][:3], rtol=1e-6)
    again = load_detector(member.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(again.assess(rows), together)
    pd.testing.assert_frame_equal(again.evidence(rows), member.evidence(rows))
    assert again.reasons(rows) == member.reasons(rows)
    assert again.get_params() == member.get_params()


def test_contributions_sum_and_the_broken_cell_is_reasoned_about(member):
    rows = broken(5, seed=8)
    raw = member.assess(rows)["raw_score"]
    np.testing.assert_allclose(member.explain(rows).sum(axis=1), raw, rtol=1e-9)
    assert all(member.reasons(rows))


def test_evidence_is_that_of_the_members_own_prior(member):
    evidence = member.evidence(related(30, seed=9))
    assert np.isfinite(evidence.to_numpy()).all()
    if member.model == "autoencoder":
        assert not {"kl", "negative_elbo", "iw_nll"} & set(evidence.columns)
        return
    total = evidence["reconstruction_nll"] + evidence["kl"]
    np.testing.assert_allclose(evidence["negative_elbo"], total)
    assert (evidence["kl"] >= -1e-6).all()
    # over draws of z the bound is no worse than the ELBO; this ELBO is taken at the posterior mean
    assert evidence["iw_nll"].mean() < evidence["negative_elbo"].mean() + 1.0


def test_rows_are_reconstructed_embedded_and_generated(member):
    rows = related(100, seed=10)
    rebuilt = member.reconstruct(rows)
    assert np.square(rebuilt.to_numpy() - rows).mean() < np.square(rows).mean()
    assert member.transform(rows).shape == (100, member.model_.main.network.latent_dim)
    assert np.isfinite(member.transform(rows)).all()
    if member.model == "autoencoder":
        with pytest.raises(ConfigError, match="no prior"):
            member.sample(5)
        return
    sample = member.sample(200, random_state=1)
    pd.testing.assert_frame_equal(sample, member.sample(200, random_state=1))
    assert 0.3 < sample.iloc[:, 1].std() < 5.0


def test_active_units_are_counted(member):
    latents, active = member.metrics_["latents"], member.metrics_["active_units"]
    assert 0 <= active <= latents
    assert active >= 1 or member.model == "ladder"  # whose latents wake up later
    assert 0 <= member.metrics_["expected_active_units"] <= latents


@pytest.mark.parametrize("model", ["mixture", "ladder", "conditional"])
def test_scarce_rows_and_mixed_columns_work_for_members_that_train_alone(model):
    rows = parts(80).assign(shift=lambda t: np.where(t["speed"] > 200, "day", "night"))
    condition = "product" if model == "conditional" else None
    few = QUICK | {"max_steps": 5}
    fit = TabularVAEDetector(model=model, condition=condition, **few).fit(rows)
    assert fit.calibration_.n == 80
    assert "elbo_surprise" in fit.evidence(rows.iloc[:3]).columns
    np.testing.assert_allclose(fit.explain(rows).sum(axis=1), fit.assess(rows)["raw_score"])


def test_another_mix_of_products_is_no_alarm(conditional):
    rows = parts(6_000, seed=3, share_of_b=0.9)
    flagged = pd.Series(conditional.predict(rows) == -1).groupby(rows["product"]).mean()
    # 1 % of 560 and of 240 held-out normals: three standard errors either side reach 2.9 %
    assert flagged.between(0.0, 0.03).all(), flagged


@pytest.mark.parametrize(("claimed", "share_of_b"), [("A", 1.0), ("B", 0.0)])
def test_values_of_the_other_product_are_flagged(conditional, claimed, share_of_b):
    rows = parts(100, seed=4, share_of_b=share_of_b).assign(product=claimed)
    assert (conditional.predict(rows) == -1).all()
    assert conditional.reasons(rows.iloc[:1])[0]


def test_reasons_compare_within_the_product(conditional):
    row = parts(1, seed=4, share_of_b=0.0).assign(temperature=80.0)  # usual for B
    (reasons,) = conditional.reasons(row)
    assert reasons[0] == "temperature 80, usual with product 'A' is 17 to 23"


def test_a_product_never_seen_is_an_alarm_that_is_named(conditional):
    rows = parts(50, seed=5).assign(product="C")
    assert (conditional.predict(rows) == -1).all()
    assert all(
        told[0] == "product 'C', never seen in training" for told in conditional.reasons(rows)
    )


def test_the_conditional_elbo_joins_and_does_not_ask_for_the_condition(conditional):
    assert "elbo" in conditional.model_.weights
    evidence = conditional.evidence(parts(20, seed=6))
    assert evidence["elbo_surprise"].gt(0).all()
    likelihood = TabularVAEDetector(
        model="conditional", condition="product", score="elbo", **QUICK
    ).fit(parts(2_000))
    # the condition adds no reconstruction error: what is left over is spread evenly
    assert likelihood.explain(parts(5, seed=6))["product"].abs().max() < 1.0


def test_a_conditional_model_survives_the_disk(conditional, tmp_path):
    rows = pd.concat([parts(30, seed=7), parts(3, seed=8).assign(product="C")])
    again = load_detector(conditional.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(again.assess(rows), conditional.assess(rows))
    raw = conditional.assess(rows)["raw_score"]
    np.testing.assert_allclose(conditional.explain(rows).sum(axis=1), raw, rtol=1e-9)
    alone = [float(conditional.assess(rows.iloc[[i]])["raw_score"].iloc[0]) for i in (0, 31)]
    np.testing.assert_allclose(alone, raw.iloc[[0, 31]], rtol=1e-6)


def test_generated_and_reconstructed_rows_keep_to_their_product(conditional):
    sample = conditional.sample(400, random_state=0)
    assert (sample["product"] == "B").mean() == pytest.approx(0.3, abs=0.1)
    means = sample.groupby("product")["temperature"].mean()
    assert means["A"] == pytest.approx(20, abs=3)
    assert means["B"] == pytest.approx(80, abs=6)
    rows = parts(20, seed=9)
    assert (conditional.reconstruct(rows)["product"] == rows["product"]).all()


def test_a_boolean_column_can_be_the_condition():
    rows = parts(2_500).assign(product=lambda t: t["product"] == "B")
    fit = TabularVAEDetector(model="conditional", condition="product", **QUICK).fit(rows)
    wrong = parts(50, seed=3, share_of_b=1.0).assign(product=False)
    assert (fit.predict(wrong) == -1).all()
    right = parts(1_000, seed=4, share_of_b=0.9).assign(product=lambda t: t["product"] == "B")
    assert (fit.predict(right) == -1).mean() < 0.03


REFUSED = {
    "unknown": ({"model": "bta"}, r"'model'.*one of vae, beta.*did you mean 'beta'"),
    "labels": ({"model": "semi_supervised"}, "learns classes from labels.*conditional"),
    "grid": ({"model": "vq"}, "convolutions.*mixture"),
    "no condition": ({"model": "conditional"}, "condition=None.*--condition product"),
    "condition without": ({"condition": "product"}, "Only model='conditional'"),
    "beta of none": ({"model": "autoencoder", "beta": 1.0}, "no meaning for model='autoencoder'"),
    "no beta": ({"beta": 0.0}, "'beta'.*without KL it is no VAE"),
    "elbo of none": ({"model": "autoencoder", "score": "elbo"}, "needs a prior"),
    "no column": ({"model": "conditional", "condition": "shop"}, "no column.*temperature"),
    "number": ({"model": "conditional", "condition": "speed"}, "--kind speed=categorical"),
}


@pytest.mark.parametrize(("options", "told"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_with_the_remedy(options, told):
    with pytest.raises(ConfigError, match=told):
        TabularVAEDetector(**options, **QUICK).fit(parts(50))


def test_a_collapse_that_was_forecast_is_said_once(caplog):
    with caplog.at_level(logging.WARNING):
        fit = TabularVAEDetector(beta=200.0, **QUICK).fit(related(2_000))
    assert fit.metrics_["active_units"] == 0
    assert fit.metrics_["expected_active_units"] == 0
    assert [r.message.split(":")[0] for r in caplog.records] == ["posterior collapse expected"]


@pytest.mark.parametrize("rows", [related(2_000), parts(2_000)], ids=["numbers", "mixed"])
def test_ordinary_tables_warn_of_nothing(rows, caplog):
    with caplog.at_level(logging.WARNING):
        TabularVAEDetector(hidden=16, preset="fast", random_state=0).fit(rows)
    assert not caplog.records


def test_a_model_saved_before_there_were_members_still_loads(tmp_path):
    fit = TabularVAEDetector(**QUICK).fit(related(60))
    state = fit._state()
    for name in ("model", "condition"):
        state.config.pop(name)
    state.config["beta"] = 2.0
    assert "condition" not in json.dumps(state.preprocessing)
    rows = related(5, seed=1)
    again = load_detector(write_model(state, tmp_path / "old"))
    np.testing.assert_array_equal(again.anomaly_score(rows), fit.anomaly_score(rows))
    assert again.model == "vae"


def test_a_description_with_an_unknown_entry_is_refused(tmp_path):
    fit = TabularVAEDetector(model="ladder", **QUICK | {"max_steps": 3}).fit(related(20))
    state = read_model(fit.save(tmp_path / "model"))
    state.preprocessing["views"][0]["vae"]["description"]["wings"] = 2
    with pytest.raises(ModelRefusedError, match="wings"):
        load_detector(write_model(state, tmp_path / "other"))

from __future__ import annotations

from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.objectives import (
    KLSchedule,
    clamp_logvar,
    free_bits_kl,
    gaussian_kl,
    gaussian_log_prob,
    importance_weighted_nll,
    negative_elbo,
)


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 4, 3), (2, 3, 4, 5), (2, 1, 3, 2, 2)], ids=str)
def test_gaussian_kl_equals_torch_distributions_in_any_number_of_dimensions(shape):
    mean = torch.randn(shape, generator=gen(), dtype=torch.float64)
    logvar = torch.randn(shape, generator=gen(1), dtype=torch.float64)
    q, p = Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0)
    torch.testing.assert_close(gaussian_kl(mean, logvar), kl_divergence(q, p), rtol=1e-12, atol=0)


def test_kl_of_the_prior_itself_is_exactly_zero():
    assert (gaussian_kl(torch.zeros(3, 2), torch.zeros(3, 2)) == 0).all()


def test_kl_at_a_tiny_log_variance_does_not_cancel_to_zero():
    logvar = torch.tensor([1e-4])
    naive = 0.5 * (torch.exp(logvar) - 1 - logvar)
    kl = gaussian_kl(torch.zeros(1), logvar)
    assert abs(float(kl) - 2.5e-9) < 2e-11
    assert abs(float(naive) - 2.5e-9) > 1e-9  # what the expm1 is for


def test_kl_is_computed_in_float32_for_half_precision_inputs():
    logvar = torch.tensor([0.1], dtype=torch.bfloat16)
    kl = gaussian_kl(torch.zeros(1, dtype=torch.bfloat16), logvar)
    assert kl.dtype == torch.float32
    assert float(kl) == pytest.approx(2.6e-3, rel=0.02)


def test_kl_gradients_match_finite_differences():
    mean = torch.randn(3, 2, dtype=torch.float64, generator=gen()).requires_grad_()
    logvar = torch.randn(3, 2, dtype=torch.float64, generator=gen(1)).requires_grad_()
    assert torch.autograd.gradcheck(gaussian_kl, (mean, logvar))


def test_gaussian_log_prob_equals_torch_distributions():
    x, mean = torch.tensor([1.5, -2.0]), torch.tensor([0.5, 3.0])
    logvar = torch.tensor([-0.7, 1.1])
    expected = Normal(mean, (0.5 * logvar).exp()).log_prob(x)
    torch.testing.assert_close(gaussian_log_prob(x, mean, logvar), expected)


def test_clamped_log_variance_is_safe_in_float32_and_allows_small_sigma():
    wild = clamp_logvar(torch.tensor([-1e9, 0.3, 1e9], dtype=torch.float64))
    assert wild.dtype == torch.float32
    assert torch.isfinite(torch.exp(wild)).all()
    assert torch.isfinite(torch.exp(-wild)).all()
    assert float(torch.exp(0.5 * wild[0])) < 1e-6  # not a lower bound like [2, 20]


def test_free_bits_floor_applies_after_the_batch_mean():
    kl = torch.tensor([[0.0, 5.0], [2.0, 5.0]])  # first latent: mean 1
    assert float(free_bits_kl(kl, 0.5)) == 6.0  # a floor per sample would give 6.25
    assert float(free_bits_kl(kl, 1.5)) == 6.5


def test_the_gradient_of_the_kl_is_on_at_default_settings():
    mean = torch.full((4, 3), 2.0, requires_grad=True)
    kl = gaussian_kl(mean, torch.zeros(4, 3))
    negative_elbo(torch.zeros(4), kl).backward()
    assert (mean.grad > 0).all()


def test_negative_elbo_is_mean_nll_plus_beta_kl():
    terms = torch.tensor([1.0, 3.0]), torch.tensor([[0.5, 1.0], [1.5, 0.0]])
    assert float(negative_elbo(*terms)) == pytest.approx(2.0 + 1.5)
    assert float(negative_elbo(*terms, beta=4.0)) == pytest.approx(2.0 + 6.0)


def test_stacked_members_get_the_loss_they_would_get_alone():
    nll, kl = torch.rand(3, 5, generator=gen()), torch.rand(3, 5, 2, generator=gen(1))
    alone = sum(negative_elbo(nll[k], kl[k], 0.7, 0.4) for k in range(3))
    torch.testing.assert_close(negative_elbo(nll, kl, 0.7, 0.4), alone)


def test_loss_does_not_change_when_the_batch_is_duplicated():
    nll, kl = torch.rand(5, generator=gen()), torch.rand(5, 2, generator=gen(1))
    once = negative_elbo(nll, kl, 1.0, 0.3)
    torch.testing.assert_close(once, negative_elbo(nll.repeat(4), kl.repeat(4, 1), 1.0, 0.3))


def test_importance_weights_at_image_scale_do_not_underflow():
    nll = importance_weighted_nll(torch.full((10, 2), -12_000.0))
    torch.testing.assert_close(nll, torch.full((2,), 12_000.0))


def test_importance_weighted_nll_divides_by_the_number_of_draws():
    weights = torch.tensor([[1.0], [3.0], [0.5]]).log()
    assert float(importance_weighted_nll(weights)) == pytest.approx(-log(1.5))


def test_no_draws_is_an_error_that_names_the_shape():
    with pytest.raises(ConfigError, match=r"at least 1 draw.*\(0, 4\).*n_draws"):
        importance_weighted_nll(torch.empty(0, 4))


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (KLSchedule("constant", 2.0, 100), {0: 2.0, 50: 2.0, 100: 2.0}),
        (KLSchedule("linear", 2.0, 100), {0: 0.0, 50: 1.0, 99: 1.98, 100: 2.0, 5000: 2.0}),
        (KLSchedule("linear", 1.0, 0), {0: 1.0, 1: 1.0}),
        (
            KLSchedule("cyclical", 4.0, 400, cycles=4, ramp=0.5),
            {0: 0.0, 25: 2.0, 50: 4.0, 99: 4.0, 100: 0.0, 125: 2.0, 399: 4.0, 400: 4.0, 425: 4.0},
        ),
    ],
    ids=["constant", "linear", "no-warm-up", "cyclical"],
)
def test_kl_schedule_has_exact_values_at_start_middle_and_end(schedule, values):
    assert {step: schedule(step) for step in values} == pytest.approx(values)


@given(
    st.sampled_from(["constant", "linear", "cyclical"]),
    st.floats(0, 10),
    st.integers(0, 1000),
    st.integers(0, 2000),
)
def test_kl_schedule_stays_within_zero_and_beta(kind, beta, warmup, step):
    assert 0 <= KLSchedule(kind, beta, warmup)(step) <= beta


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "cosine"}, {"beta": -1}, {"warmup_steps": -1}, {"cycles": 0}, {"ramp": 0.0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_kl_schedule_names_the_parameter_that_is_wrong(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(ConfigError, match=f"{name!r}.*must be.*Got {value!r}"):
        KLSchedule(**wrong)

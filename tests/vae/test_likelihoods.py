from __future__ import annotations

from math import log

import numpy as np
import pytest
import scipy.stats
import torch
from torch.nn import functional as F

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    Likelihood,
    NegativeBinomialLikelihood,
    OptimalGaussianLikelihood,
    OrdinalLikelihood,
    PoissonLikelihood,
    StudentTLikelihood,
)

D = 3


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reals() -> torch.Tensor:
    return torch.randn(6, D, generator=gen(2)) * 2


CASES: dict[str, tuple[Likelihood, torch.Tensor]] = {
    "gaussian": (GaussianLikelihood(D), reals()),
    "gaussian-shared": (GaussianLikelihood(D, per_feature=False), reals()),
    "optimal-gaussian": (OptimalGaussianLikelihood().eval(), reals()),
    "student-t": (StudentTLikelihood(D), reals()),
    "bernoulli": (BernoulliLikelihood(), (reals() > 0).float()),
    "categorical": (CategoricalLikelihood(4), torch.randint(4, (6, D), generator=gen()).float()),
    "ordinal": (OrdinalLikelihood(5, D), torch.randint(5, (6, D), generator=gen()).float()),
    "poisson": (PoissonLikelihood(), torch.randint(9, (6, D), generator=gen()).float()),
    "negative-binomial": (
        NegativeBinomialLikelihood(D),
        torch.randint(9, (6, D), generator=gen()).float(),
    ),
    "logistic": (
        DiscretizedLogisticLikelihood(D),
        torch.randint(256, (6, D), generator=gen()) / 255,
    ),
}
each = pytest.mark.parametrize(("likelihood", "target"), CASES.values(), ids=CASES.keys())


def params_for(likelihood: Likelihood, *lead: int) -> torch.Tensor:
    tail = () if likelihood.n_params == 1 else (likelihood.n_params,)
    return torch.randn(*lead, D, *tail, generator=gen(3)) * 0.7


@each
def test_every_likelihood_keeps_its_shapes_under_any_leading_dimensions(likelihood, target):
    params = params_for(likelihood, 2, 6)
    assert likelihood.nll(params, target.expand(2, 6, D)).shape == (2, 6, D)
    assert likelihood.mean(params).shape == (2, 6, D)
    assert likelihood.sample(params, gen()).shape == (2, 6, D)


@each
def test_same_generator_gives_the_same_draws(likelihood, target):
    params = params_for(likelihood, 6)
    assert torch.equal(likelihood.sample(params, gen(5)), likelihood.sample(params, gen(5)))


@each
def test_reductions_are_float32_whatever_the_network_computed_in(likelihood, target):
    nll = likelihood.nll(params_for(likelihood, 6).bfloat16(), target)
    assert nll.dtype == torch.float32
    assert torch.equal(likelihood(params_for(likelihood, 6).bfloat16(), target), nll)
    assert torch.equal(likelihood.log_prob(params_for(likelihood, 6).bfloat16(), target), -nll)


@each
def test_gradients_are_finite_far_from_the_data(likelihood, target):
    params = (params_for(likelihood, 6) * 100).requires_grad_()
    likelihood.nll(params, target).sum().backward()
    assert torch.isfinite(params.grad).all()
    for parameter in likelihood.parameters():
        assert torch.isfinite(parameter.grad).all()


@each
def test_nll_of_a_sample_does_not_depend_on_its_batch(likelihood, target):
    params = params_for(likelihood, 6)
    alone = torch.cat([likelihood.nll(params[i : i + 1], target[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(likelihood.nll(params, target), alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "likelihood",
    # a code has no mean, and the logistic is cut at the ends of its scale
    [CASES[name][0] for name in CASES if name not in ("categorical", "logistic")],
    ids=[name for name in CASES if name not in ("categorical", "logistic")],
)
def test_the_mean_of_many_draws_is_the_mean(likelihood):
    params = params_for(likelihood, 1).expand(40_000, D)
    drawn = likelihood.sample(params, gen())
    spread = drawn.std(0) / 200  # standard error
    assert ((drawn.mean(0) - likelihood.mean(params[:1])[0]).abs() < 5 * spread).all()


def test_gaussian_equals_scipy_with_constants_kept():
    likelihood = GaussianLikelihood(2, init_log_sigma=-0.4, min_log_sigma=-3.0)
    assert likelihood.log_sigma.tolist() == pytest.approx([-0.4, -0.4], abs=1e-6)
    nll = likelihood.nll(torch.tensor([[0.5, 1.0]]), torch.tensor([[2.0, -1.0]]))
    expected = -scipy.stats.norm.logpdf([2.0, -1.0], [0.5, 1.0], np.exp(-0.4))
    np.testing.assert_allclose(nll.detach()[0], expected, rtol=1e-5)


def test_sigma_stays_above_its_floor_with_a_gradient_left():
    likelihood = GaussianLikelihood(1, min_log_sigma=-3.0)
    with torch.no_grad():
        likelihood.raw_log_sigma.fill_(-9.0)
    assert float(likelihood.log_sigma.detach()) > -3.0
    likelihood.nll(torch.zeros(4, 1), torch.ones(4, 1)).sum().backward()
    assert float(likelihood.raw_log_sigma.grad) != 0


def test_one_sigma_per_channel_broadcasts_over_space():
    likelihood = GaussianLikelihood((3, 1, 1))
    x = torch.randn(2, 3, 5, 4, generator=gen())
    assert likelihood.nll(torch.zeros_like(x), x).shape == x.shape
    assert likelihood.log_sigma.shape == (3, 1, 1)


def test_a_start_below_the_floor_is_refused():
    with pytest.raises(ConfigError, match=r"init_log_sigma.*GaussianLikelihood.*above.*Got -4"):
        GaussianLikelihood(1, init_log_sigma=-4.0)


def test_optimal_sigma_is_the_error_of_the_batch_in_training_and_a_memory_in_evaluation():
    likelihood = OptimalGaussianLikelihood(momentum=0.9).train()
    target = torch.randn(500, 4, generator=gen()) * 3
    nll = likelihood.nll(torch.zeros_like(target), target)
    rmse = target.square().mean().sqrt()
    expected = 0.5 + float(rmse.log()) + 0.5 * log(2 * torch.pi)
    assert float(nll.mean()) == pytest.approx(expected, rel=1e-5)
    assert float(likelihood.eval().log_sigma.exp()) == pytest.approx(float(rmse), rel=1e-5)


def test_optimal_sigma_is_not_moved_by_scoring():
    likelihood = OptimalGaussianLikelihood().train()
    likelihood.nll(torch.zeros(9, 2), torch.ones(9, 2))
    before = likelihood.eval().log_sigma.clone()
    likelihood.nll(torch.zeros(9, 2), 7 * torch.ones(9, 2))
    assert torch.equal(before, likelihood.log_sigma)


def test_student_t_equals_scipy():
    likelihood = StudentTLikelihood(1, init_log_sigma=0.3, init_dof=4.0)
    x = torch.linspace(-20, 20, 9).unsqueeze(1)
    nll = likelihood.nll(torch.full_like(x, 1.0), x).detach().squeeze(1)
    expected = -scipy.stats.t.logpdf(x.squeeze(1), 4.0, loc=1.0, scale=np.exp(0.3))
    np.testing.assert_allclose(nll, expected, rtol=1e-4)


def test_bernoulli_keeps_its_gradient_where_probabilities_would_lose_it():
    logits = torch.tensor([30.0], requires_grad=True)
    nll = BernoulliLikelihood().nll(logits, torch.zeros(1))
    nll.sum().backward()
    assert float(nll.detach()) == pytest.approx(30.0)
    assert float(logits.grad) == pytest.approx(1.0)


def test_categorical_equals_cross_entropy():
    logits, codes = torch.randn(7, 2, 5, generator=gen()), torch.randint(5, (7, 2), generator=gen())
    expected = F.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="none")
    nll = CategoricalLikelihood(5).nll(logits, codes.float())
    torch.testing.assert_close(nll, expected.reshape(7, 2))


def test_ordinal_probabilities_sum_to_one_and_move_up_with_the_position():
    likelihood = OrdinalLikelihood(6)
    position = torch.linspace(-60, 60, 25).unsqueeze(1)
    p = likelihood.class_log_prob(position).exp()
    torch.testing.assert_close(p.sum(-1), torch.ones(25, 1))
    means = likelihood.mean(position).squeeze(1)
    assert (means.diff() >= 0).all()
    torch.testing.assert_close(means, (p * torch.arange(6.0)).sum(-1).squeeze(1))


def test_two_ordinal_classes_are_a_bernoulli():
    likelihood = OrdinalLikelihood(2)
    logits, y = torch.tensor([[0.3], [-4.0]]), torch.tensor([[1.0], [0.0]])
    torch.testing.assert_close(likelihood.nll(logits, y), BernoulliLikelihood().nll(logits, y))


def test_poisson_equals_scipy():
    log_rate, counts = torch.tensor([0.2, 3.0, -2.0]), torch.tensor([0.0, 25.0, 2.0])
    nll = PoissonLikelihood().nll(log_rate, counts)
    np.testing.assert_allclose(nll, -scipy.stats.poisson.logpmf(counts, log_rate.exp()), rtol=1e-5)


def test_negative_binomial_equals_scipy():
    likelihood = NegativeBinomialLikelihood(init_log_r=0.5)
    log_mean, counts = torch.tensor([0.2, 3.0, -2.0]), torch.tensor([0.0, 25.0, 2.0])
    r = np.exp(0.5)
    expected = -scipy.stats.nbinom.logpmf(counts, r, r / (r + log_mean.exp().numpy()))
    np.testing.assert_allclose(likelihood.nll(log_mean, counts).detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("log_scale", [-6.5, -4.0, 0.0], ids=["sharp", "usual", "broad"])
@pytest.mark.parametrize("location", [-0.5, 0.0, 0.37, 1.2])
def test_logistic_masses_of_all_grey_levels_sum_to_one(location, log_scale):
    likelihood = DiscretizedLogisticLikelihood(init_log_sigma=log_scale)
    levels = torch.arange(256).unsqueeze(1) / 255
    nll = likelihood.nll(torch.full_like(levels, location), levels)
    assert float(torch.exp(-nll.detach().double()).sum()) == pytest.approx(1.0, abs=1e-4)
    assert torch.isfinite(nll).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: CategoricalLikelihood(1),
        lambda: OrdinalLikelihood(1),
        lambda: StudentTLikelihood(init_dof=2.0),
        lambda: DiscretizedLogisticLikelihood(n_levels=1),
    ],
    ids=["categorical", "ordinal", "student-t", "logistic"],
)
def test_a_parameter_that_makes_no_distribution_is_refused(make):
    with pytest.raises(ConfigError, match=r"must be .*Got [12]\."):
        make()

from __future__ import annotations

import copy

import pytest
import torch
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
)

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.likelihoods import GaussianLikelihood
from vae_anomaly.vae.model import VAE
from vae_anomaly.vae.networks import MLPDecoder, MLPEncoder, seeded
from vae_anomaly.vae.objectives import gaussian_kl, gaussian_log_prob
from vae_anomaly.vae.priors import (
    ExemplarPrior,
    GaussianMixturePrior,
    StandardNormalPrior,
    VampPrior,
)

Z = 3


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture() -> GaussianMixturePrior:
    prior = GaussianMixturePrior(Z, 4, spread=2.0, generator=gen(4))
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([0.3, -0.5, 1.0, 0.0]))
        prior.logvars.normal_(generator=gen(5))
    return prior


def as_distribution(prior: GaussianMixturePrior) -> MixtureSameFamily:
    log_w, means, logvars = prior.components()
    parts = Independent(Normal(means, (0.5 * logvars).exp()), 1)
    return MixtureSameFamily(Categorical(logits=log_w), parts)


def test_standard_normal_prior_equals_the_closed_form():
    mean, logvar = torch.randn(5, Z, generator=gen()), torch.randn(5, Z, generator=gen(1))
    prior = StandardNormalPrior(Z)
    assert torch.equal(prior.kl(mean, logvar), gaussian_kl(mean, logvar))
    expected = Normal(0.0, 1.0).log_prob(mean).sum(-1)
    torch.testing.assert_close(prior.log_prob(mean), expected)


def test_mixture_log_density_is_exact():
    prior, z = mixture(), torch.randn(2, 7, Z, generator=gen()) * 3
    torch.testing.assert_close(prior.log_prob(z), as_distribution(prior).log_prob(z))


def test_mixture_kl_is_an_upper_bound_on_the_true_kl():
    prior = mixture()
    mean, logvar = torch.randn(6, Z, generator=gen()) * 2, torch.randn(6, Z, generator=gen(1)) - 1
    z = mean + torch.randn(50_000, 6, Z, generator=gen(2)) * (0.5 * logvar).exp()
    true = (gaussian_log_prob(z, mean, logvar).sum(-1) - prior.log_prob(z)).mean(0)
    bound = prior.kl(mean, logvar)
    assert bound.shape == (6, 1)
    assert (bound.squeeze(1) >= true - 0.02).all()
    assert (bound.squeeze(1) <= 1.2 * true + 0.3).all()  # and no empty one


def test_a_mixture_of_one_standard_normal_has_the_exact_kl():
    prior = GaussianMixturePrior(Z, 1, spread=0.0)
    mean, logvar = torch.randn(5, Z, generator=gen()), torch.randn(5, Z, generator=gen(1))
    expected = gaussian_kl(mean, logvar).sum(-1, keepdim=True)
    torch.testing.assert_close(prior.kl(mean, logvar), expected)


def test_draws_of_a_mixture_have_its_density():
    prior = mixture()
    drawn, expected = prior.sample(40_000, gen(9)), as_distribution(prior).mean
    assert ((drawn.mean(0) - expected).abs() < 5 * drawn.std(0) / 200).all()
    assert torch.equal(prior.sample(5, gen(1)), prior.sample(5, gen(1)))


def vae_with(prior: VampPrior) -> VAE:
    with seeded(0):
        return VAE(MLPEncoder((4,), 8, Z), MLPDecoder((4,), 8, Z), GaussianLikelihood(4), prior)


def test_exemplar_prior_is_the_mixture_of_the_exemplars_posteriors():
    exemplars = torch.randn(5, 4, generator=gen())
    vae = vae_with(ExemplarPrior(exemplars))
    mean, logvar = vae.encode(exemplars)
    z = torch.randn(6, Z, generator=gen(3))
    each = Normal(mean, (0.5 * logvar).exp()).log_prob(z.unsqueeze(1)).sum(-1)
    torch.testing.assert_close(vae.log_prior(z), torch.logsumexp(each, 1) - torch.tensor(5.0).log())
    assert list(vae.prior.parameters()) == []


def test_pseudo_inputs_of_a_vamp_prior_are_learned():
    vae = vae_with(VampPrior(torch.randn(5, 4, generator=gen())))
    vae.train()(torch.randn(8, 4, generator=gen(1)), generator=gen()).kl.sum().backward()
    assert float(vae.prior.pseudo_inputs.grad.abs().sum()) > 0


def test_a_copied_vae_asks_its_own_encoder_for_the_prior():
    vae = vae_with(ExemplarPrior(torch.randn(5, 4, generator=gen())))
    twin, z = copy.deepcopy(vae), torch.zeros(1, Z)
    before = twin.log_prior(z).clone()
    with torch.no_grad():
        vae.encoder.head.bias.add_(3.0)
    assert torch.equal(before, twin.log_prior(z))
    assert not torch.equal(before, vae.log_prior(z))


def test_an_encoder_is_stored_once():
    vae = vae_with(VampPrior(torch.randn(5, 4, generator=gen())))
    assert [name for name in vae.state_dict() if name.startswith("prior.")] == [
        "prior.pseudo_inputs"
    ]


def test_a_vamp_prior_without_a_model_says_what_to_do():
    with pytest.raises(ConfigError, match=r"no encoder yet.*Pass the prior to a VAE"):
        VampPrior(torch.zeros(2, 4)).sample(1)


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"'n_components'.*at least 1. Got 0"):
        GaussianMixturePrior(2, 0)

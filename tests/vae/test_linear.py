"""The closed-form linear VAE against probabilistic PCA's exact numbers."""

from __future__ import annotations

import pytest
import torch
from sklearn.decomposition import PCA

from vae_anomaly.errors import NotEnoughDataError
from vae_anomaly.vae.linear import LinearVAE
from vae_anomaly.vae.model import VAE
from vae_anomaly.vae.objectives import gaussian_kl


@pytest.fixture
def data() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(4, 12, generator=generator, dtype=torch.float64)
    z = torch.randn(300, 4, generator=generator, dtype=torch.float64)
    noise = torch.randn(300, 12, generator=generator, dtype=torch.float64)
    return z @ mix + 0.3 * noise + 2.0


@pytest.fixture
def model(data) -> LinearVAE:
    return LinearVAE.fit(data, 3).eval()


def marginal(model: LinearVAE) -> torch.distributions.MultivariateNormal:
    decoder = model.basis * model.scale
    eye = torch.eye(len(model.location), dtype=decoder.dtype)
    return torch.distributions.MultivariateNormal(
        model.location, decoder @ decoder.T + model.noise_variance * eye
    )


def test_log_prob_is_that_of_the_marginal_gaussian(model, data):
    torch.testing.assert_close(model.log_prob(data), marginal(model).log_prob(data))


def test_log_likelihood_equals_sklearns_probabilistic_pca(model, data):
    n = len(data)
    # scikit-learn divides by n - 1; maximum likelihood divides by n
    reference = PCA(3, svd_solver="full").fit(data.numpy())
    scale = (n - 1) / n
    assert float(model.noise_variance) == pytest.approx(reference.noise_variance_ * scale, rel=1e-9)
    torch.testing.assert_close(
        model.variance, torch.as_tensor(reference.explained_variance_ * scale)
    )


def test_elbo_equals_log_prob_because_the_posterior_is_exact(model, data):
    torch.testing.assert_close(model.elbo(data), model.log_prob(data), rtol=0, atol=1e-9)


def test_another_posterior_has_a_lower_elbo(model, data):
    mean, logvar = model.encode(data)
    wider = logvar + 0.5
    decoder = model.basis * model.scale
    rest = (data - model.decode(mean)).square().sum(1)
    wobble = (decoder.square().sum(0) * wider.exp()).sum(1)
    d = data.shape[1]
    nll = 0.5 * ((rest + wobble) / model.noise_variance)
    nll = nll + 0.5 * d * torch.log(2 * torch.pi * model.noise_variance)
    elbo = -(nll + gaussian_kl(mean, wider).sum(1))
    assert bool((elbo < model.log_prob(data) - 1e-3).all())


def test_no_other_weights_are_more_likely(model, data):
    best = model.log_prob(data).mean()
    for name in ("location", "basis", "variance", "noise_variance"):
        other = LinearVAE.fit(data, 3)
        with torch.no_grad():
            getattr(other, name).mul_(1.02)
        if name != "basis":  # a longer basis is no orthonormal basis
            assert other.log_prob(data).mean() < best
    assert LinearVAE.fit(data, 2).log_prob(data).mean() < best


@pytest.mark.parametrize("n", [5, 40], ids=["fewer samples than features", "more"])
def test_projection_is_that_of_pca(n, data):
    few = data[:n]
    model = LinearVAE.fit(few, 3)
    reference = PCA(3, svd_solver="full").fit(few.numpy())
    expected = reference.inverse_transform(reference.transform(few.numpy()))
    torch.testing.assert_close(model.project(few), torch.as_tensor(expected))


def test_reconstruction_shrinks_towards_the_mean(model, data):
    near = (model.reconstruct(data) - model.location).norm(dim=1)
    far = (model.project(data) - model.location).norm(dim=1)
    assert bool((near < far).all())


def test_forward_agrees_with_its_parts_and_is_deterministic_in_eval(model, data):
    output = model(data)
    torch.testing.assert_close(output.recon, model.reconstruct(data))
    torch.testing.assert_close(output.nll, model.nll_per_dim(data).sum(1))
    torch.testing.assert_close(model(data).nll, output.nll, rtol=0, atol=0)
    model.train()
    first, second = (model(data, generator=torch.Generator().manual_seed(s)).recon for s in (0, 1))
    assert float((first - second).abs().max()) > 1e-3


def test_terms_beside_the_projection_are_those_of_the_forward_pass(model, data):
    plane, log_prob, terms = model.project_and_terms(data)
    output = model(data, sample=False)
    torch.testing.assert_close(plane, model.project(data))
    torch.testing.assert_close(log_prob, model.log_prob(data))
    torch.testing.assert_close(terms, torch.stack((output.nll, output.kl), 1))


def test_a_gradient_trained_linear_vae_does_not_beat_the_closed_form(data):
    """What `VAE` would have to learn has the same optimum: a step from it goes downhill."""
    from vae_anomaly.vae.likelihoods import GaussianLikelihood
    from vae_anomaly.vae.networks import MLPDecoder, MLPEncoder, seeded
    from vae_anomaly.vae.training import TrainingConfig, fit_vae

    x = data.float()
    with seeded(0):
        vae = VAE(MLPEncoder((12,), (), 3), MLPDecoder((12,), (), 3), GaussianLikelihood(1))
    config = TrainingConfig(max_steps=400, batch_size=100, lr=2e-2, lr_schedule="cosine")
    fit_vae(vae, x, config=config)
    with torch.no_grad():
        output = vae(x, sample=True, generator=torch.Generator().manual_seed(0))
    best = float(LinearVAE.fit(x, 3).log_prob(x).mean())
    assert float(output.elbo.mean()) < best
    assert float(output.elbo.mean()) == pytest.approx(best, abs=2.0)


def test_shape_of_the_samples_is_kept_and_latents_are_bounded_by_the_data():
    x = torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    model = LinearVAE.fit(x, 100)
    assert model.latent_dim == 5
    assert model.reconstruct(x).shape == x.shape
    assert LinearVAE.fit(x, 0).project(x).shape == x.shape


def test_two_fits_have_the_same_signs(data):
    torch.testing.assert_close(LinearVAE.fit(data, 3).basis, LinearVAE.fit(data.clone(), 3).basis)


def test_weights_survive_a_state_dict(model, data):
    other = LinearVAE(model.shape, model.latent_dim).double()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.log_prob(data), model.log_prob(data), rtol=0, atol=0)


def test_one_sample_is_refused():
    with pytest.raises(NotEnoughDataError, match="at least 2"):
        LinearVAE.fit(torch.zeros(1, 3), 1)

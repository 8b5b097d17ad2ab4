from __future__ import annotations

import pytest
import torch

from vae_anomaly.errors import ConfigError, NotEnoughDataError
from vae_anomaly.vae.ladder import LadderVAE
from vae_anomaly.vae.latents import (
    MixtureSampler,
    NormalSampler,
    attribute_direction,
    balance,
    embed,
    interpolate,
    latent_plane,
    latent_report,
    sample,
    traverse,
)
from vae_anomaly.vae.likelihoods import GaussianLikelihood
from vae_anomaly.vae.model import VAE
from vae_anomaly.vae.networks import MLPDecoder, MLPEncoder, seeded
from vae_anomaly.vae.variants import ConditionalVAE

SHAPE, Z = (1, 3, 2), 4


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(n: int = 30, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, *SHAPE, generator=gen(seed))


@pytest.fixture(scope="module")
def vae() -> VAE:
    with seeded(0):
        networks = MLPEncoder(SHAPE, 16, Z), MLPDecoder(SHAPE, 16, Z)
        return VAE(*networks, GaussianLikelihood((1, 1, 1))).eval()


def test_embedding_is_the_posterior_mean_whatever_the_batch_size(vae):
    x = data()
    mean, std = embed(vae, x, return_std=True)
    assert mean.shape == std.shape == (30, Z)
    assert mean.dtype == torch.float32
    torch.testing.assert_close(mean, vae.encode(x)[0].detach())
    torch.testing.assert_close(std, (0.5 * vae.encode(x)[1]).exp().detach())
    torch.testing.assert_close(embed(vae, x, batch_size=7), mean)


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_the_ends_of_an_interpolation_are_the_two_reconstructions(vae, mode):
    x = data(2)
    path = interpolate(vae, x[0], x[1], steps=5, mode=mode)
    assert path.shape == (5, *SHAPE)
    ends = vae.reconstruct(x).detach()
    torch.testing.assert_close(path[[0, -1]], ends, rtol=1e-4, atol=1e-5)


def test_a_spherical_way_keeps_its_distance_from_the_origin():
    from vae_anomaly.vae.latents import _slerp

    share = torch.linspace(0, 1, 11).unsqueeze(1)
    way = _slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), share)
    torch.testing.assert_close(way.norm(dim=1), torch.full((11,), 2.0))
    line = _slerp(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 0.0]), share)
    torch.testing.assert_close(line[:, 0], torch.linspace(1, 3, 11))
    zero = _slerp(torch.zeros(2), torch.tensor([3.0, 0.0]), share)
    assert torch.isfinite(zero).all()


def test_a_traversal_moves_one_latent_and_leaves_the_others(vae):
    z, values = embed(vae, data(1))[0], torch.tensor([-1.0, 0.0, 2.0])
    grid = traverse(vae, z, dims=[2, 0], values=values)
    assert grid.shape == (2, 3, *SHAPE)
    moved = z.clone()
    moved[2] = 2.0
    torch.testing.assert_close(grid[0, 2], vae.decode(moved.unsqueeze(0))[0].detach())
    assert traverse(vae, z).shape == (Z, 7, *SHAPE)


def test_a_plane_shows_every_pair_of_latents_where_a_plot_would():
    with seeded(0):
        networks = MLPEncoder(SHAPE, 16, 2), MLPDecoder(SHAPE, 16, 2)
    model = VAE(*networks, GaussianLikelihood((1, 1, 1))).eval()
    grid = latent_plane(model, steps=5, limit=2.0)
    assert grid.shape == (5, 5, *SHAPE)
    top_right = model.decode(torch.tensor([[2.0, 2.0]]))[0].detach()
    left_of_middle = model.decode(torch.tensor([[-1.0, 0.0]]))[0].detach()
    torch.testing.assert_close(grid[0, 4], top_right)
    torch.testing.assert_close(grid[2, 1], left_of_middle)


def test_an_attribute_direction_carries_the_attribute(vae):
    z = embed(vae, data())
    direction = attribute_direction(z[:10] + torch.tensor([0.0, 3.0, 0.0, 0.0]), z[:10])
    torch.testing.assert_close(direction, torch.tensor([0.0, 3.0, 0.0, 0.0]), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("sampler", [NormalSampler(), MixtureSampler(3)], ids=["normal", "gmm"])
def test_a_sampler_draws_latents_of_the_fitted_distribution(sampler):
    centres = torch.tensor([[4.0, 0.0], [-4.0, 1.0], [0.0, -6.0]])
    latents = centres[torch.arange(900) % 3] + 0.3 * torch.randn(900, 2, generator=gen())
    fitted = sampler.fit(latents)
    drawn = fitted.sample(20_000, gen(1))
    torch.testing.assert_close(drawn.mean(0), latents.mean(0), rtol=0, atol=0.1)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(latents.T), rtol=0.05, atol=0.2)
    assert torch.equal(fitted.sample(5, gen(2)), fitted.sample(5, gen(2)))


def test_a_mixture_finds_clusters_that_one_gaussian_smears():
    centres = torch.tensor([[6.0, 0.0], [-6.0, 0.0]])
    latents = centres[torch.arange(400) % 2] + 0.3 * torch.randn(400, 2, generator=gen())
    between = {
        type(s).__name__: float((s.fit(latents).sample(2000, gen())[:, 0].abs() < 3).float().mean())
        for s in (NormalSampler(), MixtureSampler(2))
    }
    assert between["MixtureSampler"] < 0.01 < between["NormalSampler"]


def test_samples_repeat_with_their_generator_and_come_with_or_without_noise(vae):
    first, second = sample(vae, 6, generator=gen()), sample(vae, 6, generator=gen())
    assert first.shape == (6, *SHAPE)
    assert torch.equal(first, second)
    assert not torch.equal(first, sample(vae, 6, generator=gen(), noise=True))
    fitted = MixtureSampler(2).fit(embed(vae, data()))
    assert sample(vae, 6, sampler=fitted, generator=gen()).shape == (6, *SHAPE)


def test_a_conditional_vae_generates_what_it_is_asked_for():
    with seeded(0):
        model = ConditionalVAE(
            MLPEncoder(SHAPE, 16, Z, condition_dim=2),
            MLPDecoder(SHAPE, 16, Z, condition_dim=2),
            GaussianLikelihood((1, 1, 1)),
            2,
        ).eval()
    code = torch.ones(2, dtype=torch.long)
    assert not torch.equal(
        sample(model, 2, generator=gen(), given={"condition": code}),
        sample(model, 2, generator=gen(), given={"condition": 0 * code}),
    )
    x = data(2)
    assert embed(model, x, given={"condition": code}).shape == (2, Z)
    path = interpolate(model, x[0], x[1], steps=4, given={"condition": code})
    assert path.shape == (4, *SHAPE)
    assert traverse(model, torch.zeros(Z), given={"condition": code}).shape == (Z, 7, *SHAPE)


def test_a_ladder_is_sampled_and_interpolated_like_the_others():
    with seeded(0):
        model = LadderVAE(SHAPE, GaussianLikelihood((1, 1, 1)), (4, 2), (16, 8)).eval()
    x = data(2)
    assert sample(model, 3, generator=gen()).shape == (3, *SHAPE)
    path = interpolate(model, x[0], x[1], steps=3)
    torch.testing.assert_close(path[[0, -1]], model.reconstruct(x).detach(), rtol=1e-4, atol=1e-5)


def test_balancing_fills_small_classes_with_rows_that_are_marked(vae):
    x, y = data(24), torch.tensor([0] * 15 + [1] * 6 + [5] * 3)
    result = balance(vae, x, y, random_state=3)
    assert torch.unique(result.y, return_counts=True)[1].tolist() == [15, 15, 15]
    assert torch.equal(result.X[~result.synthetic], x)
    assert torch.equal(result.y[~result.synthetic], y)
    assert int(result.synthetic.sum()) == 9 + 12
    assert torch.equal(result.X, balance(vae, x, y, random_state=3).X)
    assert not torch.equal(result.X, balance(vae, x, y, random_state=4).X)


def test_a_balanced_set_gets_no_new_rows(vae):
    result = balance(vae, data(4), torch.tensor([0, 1, 0, 1]))
    assert not result.synthetic.any()


def test_clusters_that_are_far_apart_have_a_silhouette_near_one():
    z = torch.tensor([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0], [9.1, 9.0], [9.0, 9.1]])
    report = latent_report(z, [0, 0, 1, 1, 1])
    assert report["n_clusters"] == 2
    assert report["silhouette"] > 0.9
    assert report["smallest_share"] == pytest.approx(0.4)


def test_the_global_random_state_is_left_alone(vae):
    before = torch.get_rng_state()
    sample(vae, 3, generator=gen())
    balance(vae, data(9), torch.tensor([0] * 6 + [1] * 3))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda v: interpolate(v, data(1)[0], data(1)[0], 1), ConfigError, "steps >= 2"),
        (lambda v: interpolate(v, data(1)[0], data(1)[0], 3, "cubic"), ConfigError, "'cubic'"),
        (lambda v: traverse(v, torch.zeros(Z), [7]), ConfigError, r"latents 0 to 3; got \[7\]"),
        (lambda v: latent_plane(v), ConfigError, "needs a model with 2 latents; got 4"),
        (lambda v: embed(v, data(0)), NotEnoughDataError, "nothing to embed"),
        (lambda _: NormalSampler().fit(torch.zeros(1, 2)), NotEnoughDataError, "At least 2"),
        (lambda _: latent_report(torch.zeros(3, 2), [0, 0, 0]), NotEnoughDataError, "2 or more"),
    ],
    ids=["steps", "mode", "latent", "plane", "empty", "one-latent", "one-cluster"],
)
def test_impossible_requests_name_what_is_possible(vae, call, error, message):
    with pytest.raises(error, match=message):
        call(vae)

"""Each member of the family does what sets it apart."""

from __future__ import annotations

from math import log

import pytest
import torch
from oracles.ppca import draw_data, exact_log_prob, make_ppca
from torch import nn

from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.vae.ladder import LadderVAE
from vae_anomaly.vae.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
)
from vae_anomaly.vae.model import VAE, VAEOutput
from vae_anomaly.vae.networks import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    mlp,
    seeded,
)
from vae_anomaly.vae.training import TrainingConfig, fit_vae
from vae_anomaly.vae.variants import (
    AutoEncoder,
    ConditionalVAE,
    ImportanceWeightedVAE,
    SemiSupervisedVAE,
)
from vae_anomaly.vae.vq import VQVAE, CodeMapDecoder, CodeMapEncoder

D, Z = 8, 4


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(n: int = 400, seed: int = 0) -> torch.Tensor:
    mix = torch.randn(3, D, generator=gen(9))
    noise = 0.2 * torch.randn(n, D, generator=gen(seed + 100))
    return torch.tanh(torch.randn(n, 3, generator=gen(seed)) @ mix) + noise


def parts(condition_dim: int = 0, **options: object) -> tuple[nn.Module, nn.Module]:
    given = {"condition_dim": condition_dim} | options
    return MLPEncoder((D,), 24, Z, **given), MLPDecoder((D,), 24, Z, **given)


def classifier() -> nn.Module:
    return nn.Sequential(mlp((D, 24)), nn.Linear(24, 3))


def build(name: str) -> nn.Module:
    with seeded(0):
        if name == "vae":
            return VAE(*parts(), GaussianLikelihood(D))
        if name == "autoencoder":
            return AutoEncoder(*parts(), GaussianLikelihood(D))
        if name == "importance-weighted":
            return ImportanceWeightedVAE(*parts(), GaussianLikelihood(D), n_draws=5)
        if name == "conditional":
            return ConditionalVAE(*parts(2), GaussianLikelihood(D), 2)
        if name == "vq":
            return VQVAE(*parts(), GaussianLikelihood(D), codebook_size=16, code_dim=2)
        if name == "vq-gradient":
            return VQVAE(*parts(), GaussianLikelihood(D), codebook_size=16, code_dim=2, ema=False)
        if name == "ladder":
            return LadderVAE((D,), GaussianLikelihood(D), (4, 3, 2), (24, 16, 12))
        return SemiSupervisedVAE(*parts(3), GaussianLikelihood(D), classifier(), 3)


NAMES = [
    *("vae", "autoencoder", "importance-weighted", "conditional"),
    *("vq", "vq-gradient", "ladder", "semi-supervised"),
]
each = pytest.mark.parametrize("name", NAMES)
WITH_BOUND = [name for name in NAMES if name != "autoencoder"]


def extras(name: str, n: int) -> dict[str, torch.Tensor]:
    return {"condition": torch.arange(n) % 2} if name == "conditional" else {}


class TestEveryMember:
    @each
    def test_keeps_terms_per_sample_and_scores_deterministically(self, name):
        model, x = build(name).eval(), data(20)
        with torch.no_grad():
            out, again = model(x, **extras(name, 20)), model(x, **extras(name, 20))
        assert out.nll.shape == out.kl.shape == (20,)
        assert out.recon.shape == (20, D)
        assert len(out.kl_per_dim) == 20
        assert (out.kl >= 0).all()
        assert torch.equal(out.elbo, again.elbo)

    @each
    def test_a_sample_scores_the_same_alone_and_in_a_batch(self, name):
        model, x, given = build(name).eval(), data(20), extras(name, 20)
        whole = model(x, **given)
        for i in (0, 7):
            alone = model(x[i : i + 1], **{k: v[i : i + 1] for k, v in given.items()})
            torch.testing.assert_close(alone.elbo[0], whole.elbo[i], rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("name", [name for name in NAMES if name != "semi-supervised"])
    def test_nll_per_dimension_sums_to_its_nll(self, name):
        model, x, given = build(name).eval(), data(20), extras(name, 20)
        torch.testing.assert_close(model.nll_per_dim(x, **given).sum(1), model(x, **given).nll)
        torch.testing.assert_close(model.reconstruct(x, **given), model(x, **given).recon)

    @each
    def test_its_loss_does_not_change_when_the_batch_is_duplicated(self, name):
        model, x, given = build(name).eval(), data(20), extras(name, 20)
        loss = getattr(model, "training_loss", VAEOutput.loss)
        once = loss(model(x, **given), 1.0, 0.0)
        for times in (4, 16):
            many = {k: v.repeat(times) for k, v in given.items()}
            torch.testing.assert_close(loss(model(x.repeat(times, 1), **many), 1.0, 0.0), once)

    @each
    def test_training_lowers_its_reconstruction_error_below_predicting_the_mean(self, name):
        model, x = build(name), data(600)
        fit_vae(
            model,
            x,
            config=TrainingConfig(max_steps=120, batch_size=64, lr=1e-2),
            extras=extras(name, 600),
        )
        test = data(200, seed=5)
        error = (model.reconstruct(test, **extras(name, 200)) - test).square().mean()
        assert float(error.detach()) < 0.8 * float(test.var(0).mean())

    @pytest.mark.parametrize("name", WITH_BOUND)
    def test_its_importance_weighted_bound_is_no_worse_than_its_elbo(self, name):
        model, x, given = build(name).eval(), data(100), extras(name, 100)
        g = gen(2)
        with torch.no_grad():
            draws = [model(x, sample=True, generator=g, **given).elbo.mean() for _ in range(20)]
        nll = model.iw_nll(x, 30, generator=gen(1), **given)
        assert nll.shape == (100,)
        alone = {name: value[:1] for name, value in given.items()}
        first = model.iw_nll(x[:1], 10, **alone)[0]  # a score: repeats, and knows no batch
        torch.testing.assert_close(first, model.iw_nll(x, 10, **given)[0], rtol=1e-5, atol=1e-5)
        assert float(nll.mean()) <= -float(torch.stack(draws).mean()) + 0.02


class TestAutoEncoder:
    def test_has_no_kl_and_refuses_what_needs_a_prior(self):
        model = build("autoencoder").train()
        assert (model(data(5)).kl_per_dim == 0).all()
        with pytest.raises(ConfigError, match=r"no prior.*Use a VAE"):
            model.iw_nll(data(5), 3)
        with pytest.raises(ConfigError, match="no prior"):
            model.draw_prior(3)


class TestBeta:
    def test_reconstruction_error_rises_with_beta_from_the_autoencoder_on(self):
        x, errors = data(600), []
        for name, beta in (("autoencoder", 1.0), ("vae", 0.5), ("vae", 1.0), ("vae", 4.0)):
            model = build(name)
            config = TrainingConfig(max_steps=150, batch_size=64, lr=1e-2, beta=beta)
            fit_vae(model, x, config=config)
            errors.append(float((model.reconstruct(x) - x).square().mean().detach()))
        assert errors == sorted(errors)
        assert errors[-1] < float(x.var(0).mean())  # the worst still beats predicting the mean


class TestImportanceWeightedVAE:
    def test_reported_loss_is_the_bound_not_a_weighted_mean(self):
        vae, W = make_ppca(sigma=0.5, widen=1.5)
        model = ImportanceWeightedVAE(vae.encoder, vae.decoder, vae.likelihood, n_draws=200)
        x = draw_data(W, 0.5, 300)
        with torch.no_grad():
            loss = model.training_loss(model.train()(x, generator=gen()))
        log_p = float(exact_log_prob(x, W, 0.5).mean())
        assert float(loss) == pytest.approx(-log_p, abs=0.05)
        assert float(loss) > -log_p - 0.02

    def test_one_draw_is_the_ordinary_elbo_in_expectation(self):
        model, x = build("importance-weighted").train(), data(50)
        model.n_draws, g = 1, gen()
        with torch.no_grad():
            outs = [model(x, generator=g) for _ in range(300)]
        bound = torch.stack([out.bound for out in outs]).mean()
        elbo = torch.stack([out.elbo for out in outs]).mean()
        assert float(bound) == pytest.approx(-float(elbo), rel=0.01)

    def test_the_target_is_what_the_bound_is_about(self):
        model, x = build("importance-weighted").train(), data(20)
        near, far = (model(x, target=t, generator=gen()).bound.mean() for t in (x, x + 5))
        assert float(far.detach()) > float(near.detach()) + 10


class TestConditionalVAE:
    def test_the_condition_changes_the_output_at_fixed_z(self):
        model, z = build("conditional").eval(), torch.zeros(1, Z)
        first, second = (model.decode(z, condition=torch.tensor([c])) for c in (0, 1))
        assert not torch.allclose(first, second)

    def test_a_condition_in_numbers_is_the_same_and_may_be_none_of_the_known(self):
        model, z = build("conditional").eval(), torch.zeros(1, Z)
        coded = model.decode(z, condition=torch.tensor([1]))
        assert torch.equal(model.decode(z, condition=torch.tensor([[0.0, 1.0]])), coded)
        assert not torch.equal(model.decode(z, condition=torch.zeros(1, 2)), coded)
        with pytest.raises(DataError, match=r"shape \(1, 2\); got \(1, 3\)"):
            model.decode(z, condition=torch.zeros(1, 3))

    def test_an_unknown_condition_names_the_known_range(self):
        with pytest.raises(DataError, match=r"Known conditions are 0 \.\. 1; got \[7\]"):
            build("conditional")(data(3), condition=torch.tensor([0, 7, 1]))

    def test_a_missing_condition_is_named(self):
        with pytest.raises(DataError, match=r"got none\. Pass condition= with 3 codes"):
            build("conditional")(data(3))

    def test_a_change_of_product_is_no_alarm_but_a_wrong_product_is(self):
        x = torch.cat([data(300), data(300) + 4.0])
        codes = torch.arange(600) // 300
        model = build("conditional")
        config = TrainingConfig(max_steps=200, batch_size=64, lr=1e-2)
        fit_vae(model, x, config=config, extras={"condition": codes})
        with torch.no_grad():
            right, wrong = model(x, condition=codes).elbo, model(x, condition=1 - codes).elbo
        assert float((right[:300].mean() - right[300:].mean()).abs()) < 2
        assert float(right.mean() - wrong.mean()) > 5


class TestVQVAE:
    def test_kl_is_log_k_for_every_position(self):
        out = build("vq").eval()(data(5))
        torch.testing.assert_close(out.kl_per_dim, torch.full((5, 2), log(16)))
        assert out.indices.shape == (5, 2)
        assert 1 <= float(out.perplexity) <= 16

    def test_commitment_gradient_reaches_the_encoder_only(self):
        model = build("vq-gradient").train()
        model(data(9), generator=gen()).commitment.sum().backward()
        assert float(model.encoder.head.weight.grad.abs().sum()) > 0
        assert model.codes.grad is None
        model = build("vq-gradient").train()
        model(data(9), generator=gen()).codebook.sum().backward()
        assert float(model.codes.grad.abs().sum()) > 0
        assert model.encoder.head.weight.grad is None

    def test_reconstruction_gradient_passes_straight_through_the_codes(self):
        model = build("vq").train()
        model(data(9), generator=gen()).nll.sum().backward()
        assert float(model.encoder.head.weight.grad.abs().sum()) > 0

    def test_moving_average_does_not_depend_on_duplicates_in_the_batch(self):
        first, second, x = build("vq").train(), build("vq").train(), data(40)
        for model in (first, second):
            model(x, generator=gen())  # both start from the same codes
        first(x, generator=gen())
        second(x.repeat(4, 1), generator=gen())
        torch.testing.assert_close(first.codes, second.codes)

    def test_scoring_moves_no_code(self):
        model = build("vq").train()
        model(data(40), generator=gen())
        before = model.eval().codes.clone()
        model(data(40, seed=3))
        assert torch.equal(before, model.codes)

    def test_dead_codes_are_counted_and_brought_back(self):
        model = build("vq").train()
        model(data(40), generator=gen())
        with torch.no_grad():
            model.share[3] = 0.0
            model.codes[3] = 1e6
        assert model.dead_codes == 1
        model(data(40), generator=gen())
        assert model.dead_codes == 0
        assert float(model.codes[3].abs().max()) < 100

    def test_draws_are_made_of_codes(self):
        model = build("vq").eval()
        z = model.draw_prior(5, gen())
        assert z.shape == (5, Z)
        distance = torch.cdist(z.reshape(-1, 2), model.codes).min(1).values
        assert float(distance.max()) < 1e-5

    def test_nearest_is_nearest(self):
        model, h = build("vq"), torch.randn(6, 3, 2, generator=gen())
        distance = torch.cdist(h.flatten(0, 1), model.codes).argmin(1).reshape(6, 3)
        assert torch.equal(model.nearest(h), distance)

    @pytest.mark.parametrize("shape", [(1, 17), (3, 15, 9), (1, 6, 5, 7)], ids=str)
    def test_maps_of_codes_work_in_one_two_and_three_dimensions(self, shape):
        dims = len(shape) - 1
        with seeded(0):
            encoder = CodeMapEncoder(shape, (4, 8), 5, dims)
            decoder = CodeMapDecoder(shape, (4, 8), 5, dims, n_params=3)
        model = VQVAE(encoder, decoder, CategoricalLikelihood(3), 12, 5).train()
        x = torch.randint(3, (2, *shape), generator=gen()).float()
        out = model(x, generator=gen())
        n_positions = out.indices.shape[1]
        assert out.recon.shape == (2, *shape)
        assert n_positions == torch.Size((n + 3) // 4 for n in shape[1:]).numel()
        torch.testing.assert_close(out.kl, torch.full((2,), n_positions * log(12)))

    def test_a_code_keeps_its_place_in_the_map(self):
        with seeded(0):
            encoder = CodeMapEncoder((1, 8, 8), (4,), 5)
            decoder = CodeMapDecoder((1, 8, 8), (4,), 5)
        model = VQVAE(encoder, decoder, GaussianLikelihood((1, 1, 1)), 12, 5).eval()
        seen = []
        decoder.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
        x = torch.randn(2, 1, 8, 8, generator=gen())
        out = model(x)
        expected = model.codes[out.indices].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
        torch.testing.assert_close(seen[0], expected)


class TestLadderVAE:
    def test_kl_of_the_layers_sums_to_the_total(self):
        out = build("ladder").train()(data(7), generator=gen())
        assert out.kl_per_layer.shape == (7, 3)
        assert out.kl_per_dim.shape == (7, 9)
        torch.testing.assert_close(out.kl_per_layer.sum(-1), out.kl)
        assert (out.kl_per_layer >= 0).all()

    def test_kl_is_taken_against_the_top_down_prior(self):
        model = build("ladder").eval()
        with torch.no_grad():  # the data say nothing: the posterior is the top-down prior
            for head in model.heads:
                head.head.weight.zero_()
                head.head.bias.zero_()
                head.head.bias[len(head.head.bias) // 2 :] = 19.0
            model.heads[-1].head.bias.zero_()
            out = model(data(7), sample=True, generator=gen())
        assert float(out.kl.max()) < 1e-3
        against_standard_normal = 0.5 * (
            out.mean.square() + torch.expm1(out.logvar) - out.logvar
        ).sum(-1)
        assert float(against_standard_normal.min()) > 10 * float(out.kl.max())

    def test_draws_come_from_the_top_down(self):
        model = build("ladder").eval()
        z = model.draw_prior(2000, gen()).detach()
        assert z.shape == (2000, 9)
        top = z[:, 7:]
        assert float(top.std()) == pytest.approx(1.0, abs=0.05)
        mean, logvar = model.priors[1](top)
        scaled = (z[:, 4:7] - mean) * torch.exp(-0.5 * logvar)
        assert float(scaled.std().detach()) == pytest.approx(1.0, abs=0.05)

    def test_layers_without_widths_are_refused(self):
        with pytest.raises(ConfigError, match=r"one hidden width for each latent layer"):
            LadderVAE((D,), BernoulliLikelihood(), (4, 2), (8,))


class TestSemiSupervisedVAE:
    @staticmethod
    def clusters(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Three elongated clusters that a few labels do not separate."""
        y = torch.arange(n) % 3
        centres = torch.tensor([[-3.0, 0.0], [0.0, 0.0], [3.0, 0.0]])
        plane = centres[y] + torch.randn(n, 2, generator=gen(seed)) * torch.tensor([0.5, 4.0])
        rotate, _ = torch.linalg.qr(torch.randn(D, D, generator=gen(77)))
        noise = torch.randn(n, D - 2, generator=gen(seed + 1))
        return torch.cat([plane, noise], 1) @ rotate, y

    def accuracy(self, labels_only: bool) -> float:
        x, y = self.clusters(600, 0)
        labels = torch.full((600,), -1)
        labels[:9] = y[:9]
        if labels_only:
            x, labels = x[:9], labels[:9]
        with seeded(0):
            encoder, decoder = parts(3, linear_skip=True)
            model = SemiSupervisedVAE(encoder, decoder, GaussianLikelihood(D), classifier(), 3)
        config = TrainingConfig(max_steps=250, batch_size=100, lr=1e-2)
        fit_vae(model, x, config=config, extras={"labels": labels})
        test, truth = self.clusters(600, 50)
        return float((model.classify(test).argmax(1) == truth).float().mean())

    def test_unlabelled_samples_make_the_classifier_better(self):
        few, many = self.accuracy(labels_only=True), self.accuracy(labels_only=False)
        assert many > few + 0.05

    def test_an_unlabelled_score_averages_over_classes_exactly(self):
        model, x = build("semi-supervised").eval(), data(6)
        with torch.no_grad():
            free = model(x)
            by_class = [model(x, labels=torch.full((6,), c)) for c in range(3)]
            q = model.classify(x).exp()
        elbo = sum(q[:, c] * (by_class[c].elbo - log(1 / 3)) for c in range(3))
        bound = elbo + log(1 / 3) + torch.special.entr(q).sum(1)
        torch.testing.assert_close(free.elbo, bound)

    def test_the_most_likely_class_explains_a_sample(self):
        model, x = build("semi-supervised").eval(), data(6)
        best = model.classify(x).argmax(1)
        torch.testing.assert_close(model.nll_per_dim(x).sum(1), model(x, labels=best).nll)
        torch.testing.assert_close(model.reconstruct(x), model(x, labels=best).recon)

    def test_a_label_costs_log_of_the_number_of_classes(self):
        out = build("semi-supervised").eval()(data(6), labels=torch.tensor([0, 1, 2, -1, -1, 0]))
        assert out.labelled.tolist() == [True, True, True, False, False, True]
        torch.testing.assert_close(out.class_kl[:3], torch.full((3,), log(3)))
        assert (out.label_nll[3:5] == 0).all()
        assert (out.label_nll[:3] > 0).all()

    def test_a_label_out_of_range_is_refused(self):
        with pytest.raises(DataError, match=r"-1 \(unlabelled\) or 0 \.\. 2; got values.*to 3"):
            build("semi-supervised")(data(2), labels=torch.tensor([0, 3]))


class TestConvolutionalVAE:
    def test_a_volume_vae_finds_a_planted_defect(self):
        shape, axis = (1, 7, 8, 9), torch.linspace(0, 3, 8).reshape(1, 1, 8, 1)

        def volumes(n: int, seed: int) -> torch.Tensor:
            phase = 6.28 * torch.rand(n, 1, 1, 1, 1, generator=gen(seed))
            noise = 0.05 * torch.randn(n, *shape, generator=gen(seed + 1))
            return torch.sin(axis + phase) + noise

        with seeded(0):
            model = VAE(
                ConvEncoder(shape, (8, 16), 3, spatial_dims=3),
                ConvDecoder(shape, (8, 16), 3, spatial_dims=3),
                GaussianLikelihood((1, 1, 1, 1)),
            )
        fit_vae(
            model, volumes(400, 0), config=TrainingConfig(max_steps=120, lr=6e-3, batch_size=16)
        )
        good, bad = volumes(50, 10), volumes(50, 20)
        bad[:, :, 2:5, 3:6, 3:6] += 1.0
        with torch.no_grad():
            scores = [-model(x).elbo for x in (good, bad)]
            place = model.nll_per_dim(bad).mean(0)[0]
        auroc = (scores[1].unsqueeze(1) > scores[0]).float().mean()
        assert float(auroc) > 0.95
        assert float(place[2:5, 3:6, 3:6].mean()) > float(place.mean()) + 1


@pytest.mark.parametrize(
    ("make", "parameter"),
    [
        (lambda: ConditionalVAE(*parts(), GaussianLikelihood(D), 0), "n_conditions"),
        (lambda: VQVAE(*parts(), GaussianLikelihood(D), codebook_size=1), "codebook_size"),
        (lambda: ImportanceWeightedVAE(*parts(), GaussianLikelihood(D), n_draws=0), "n_draws"),
        (
            lambda: SemiSupervisedVAE(*parts(), GaussianLikelihood(D), classifier(), 1),
            "n_classes",
        ),
    ],
    ids=["conditional", "vq", "importance-weighted", "semi-supervised"],
)
def test_a_number_that_makes_no_model_is_refused(make, parameter):
    with pytest.raises(
        ConfigError, match=rf"'{parameter}' parameter of \w+ must be an int >= [12]"
    ):
        make()


def test_a_denoising_vae_removes_noise():
    from vae_anomaly.vae.noise import GaussianNoise

    x, model = data(600), build("vae")
    config = TrainingConfig(max_steps=250, batch_size=64, lr=1e-2)
    fit_vae(model, x, config=config, corruption=GaussianNoise(0.5))
    test = data(200, seed=5)
    noisy = GaussianNoise(0.5)(test, gen(3))
    cleaned = (model.reconstruct(noisy) - test).square().mean()
    assert float(cleaned.detach()) < 0.9 * float((noisy - test).square().mean())

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.networks import seeded
from vae_anomaly.vae.stacked import (
    EnsembleGroup,
    EnsembleVAE,
    StackedLinear,
    TargetLayout,
    TypedLikelihood,
)
from vae_anomaly.vae.training import TrainingConfig, fit_vae


def gaussian_rows(n: int, n_members: int, d: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, n_members, 1, generator=generator)
    return z * torch.ones(d) + 0.1 * torch.randn(n, n_members, d, generator=generator)


def make(n_members: int = 3, d: int = 4, layout: TargetLayout | None = None) -> EnsembleVAE:
    with seeded(0):
        return EnsembleVAE(n_members, d, 2, layout or TargetLayout(tuple(range(d))), hidden=16)


def test_a_typed_likelihood_is_a_gaussian_and_a_categorical_side_by_side():
    layout = TargetLayout(gaussian=(0, 2), classes=(3, 2, 3))
    likelihood = TypedLikelihood(2, layout, n_features=5)
    generator = torch.Generator().manual_seed(0)
    params = torch.randn(2, 6, layout.n_params, generator=generator)
    codes = torch.tensor([2.0, 1.0, 0.0]).expand(2, 6, 3)
    target = torch.cat([torch.randn(2, 6, 2, generator=generator), codes], -1)
    nll = likelihood.nll(params, target)
    normal = torch.distributions.Normal(params[..., :2], torch.exp(likelihood.log_sigma))
    torch.testing.assert_close(nll[..., :2], -normal.log_prob(target[..., :2]))
    p = likelihood.probabilities(params)
    for column, where in enumerate((slice(0, 3), slice(3, 5), slice(5, 8))):
        assert p[..., where].sum(-1).allclose(torch.tensor(1.0))
        expected = -torch.log(p[..., where.start + int(codes[0, 0, column])])
        torch.testing.assert_close(nll[..., 2 + column], expected)
    assert len(set(p[0, 0].tolist())) == 8  # every class has a logit of its own


def test_categories_are_drawn_as_often_as_they_are_likely():
    likelihood = TypedLikelihood(1, TargetLayout((), (3, 3)), n_features=6)
    params = torch.tensor([2.0, -1.0, 0.0, 0.5, -3.0, 1.0]).expand(1, 20_000, 6)
    drawn = likelihood.sample(params, torch.Generator().manual_seed(0))
    expected = likelihood.probabilities(params)[0, 0].view(2, 3)
    for column in range(2):
        share = torch.bincount(drawn[0, :, column].long(), minlength=3) / 20_000
        torch.testing.assert_close(share, expected[column], atol=0.02, rtol=0.0)


def test_the_expected_features_of_a_class_are_its_codebook_row():
    layout = TargetLayout(gaussian=(0,), classes=(2,))
    codebook = torch.tensor([[[0.0, 1.0, 5.0], [0.0, 2.0, 7.0]]])
    likelihood = TypedLikelihood(1, layout, 3, codebook)
    certain = torch.tensor([[[0.5, 40.0, -40.0], [0.5, -40.0, 40.0]]])
    expected = likelihood.mean(certain)
    torch.testing.assert_close(expected, torch.tensor([[[0.5, 1.0, 5.0], [0.5, 2.0, 7.0]]]))


def test_a_member_alone_computes_what_it_computes_among_others():
    model = make()
    x = gaussian_rows(10, 3, 4)
    output = model.eval()(x, x)
    for k in range(3):
        alone = model.member(k)(x[:, k : k + 1], x[:, k : k + 1])
        torch.testing.assert_close(alone.nll[0], output.nll[k], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone.mean[0], output.mean[k], rtol=1e-5, atol=1e-5)


def test_training_together_equals_training_alone():
    x = gaussian_rows(64, 2, 4)
    config = TrainingConfig(max_steps=12, batch_size=64, lr=1e-2, random_state=3)

    def nll_of_first(model: EnsembleVAE, rows: torch.Tensor) -> torch.Tensor:
        model.train()  # posterior draws differ between runs, so leave them out

        def mean_only(x, target, generator=None, weights=None):
            return type(model).forward(model, x, target, sample=False)

        model.forward = mean_only
        fit_vae(model, rows, config=config)
        return model.eval()(rows, rows).nll[0]

    both = make(2)
    torch.testing.assert_close(
        nll_of_first(both.member(0), x[:, :1]), nll_of_first(both, x), rtol=1e-3, atol=1e-3
    )


def test_rows_of_weight_zero_leave_no_trace_in_a_member():
    x = gaussian_rows(80, 2, 4)
    poisoned = x.clone()
    poisoned[40:, 0] = 1e3  # member 0 must not see these
    weights = torch.ones(80, 2)
    weights[40:, 0] = 0.0
    config = TrainingConfig(max_steps=20, batch_size=80, lr=1e-2)
    outputs = []
    for rows in (x, poisoned):
        model = make(2)
        fit_vae(model, rows, config=config, extras={"weights": weights})
        outputs.append(model.eval()(x, x).nll[0])
    torch.testing.assert_close(outputs[0], outputs[1])


def test_training_finds_the_common_factor():
    x = gaussian_rows(256, 2, 5)
    with seeded(1):
        model = EnsembleVAE(2, 5, 2, TargetLayout(tuple(range(5))), hidden=16)
    config = TrainingConfig(max_steps=300, batch_size=128, lr=1e-2, lr_schedule="cosine")
    fit_vae(model, x, config=config)
    with torch.no_grad():
        output = model.eval()(x, x)
    independent = 5 * (0.5 * np.log(2 * np.pi * 1.01) + 0.5)  # nats, sigma 1 for each
    assert float((output.nll + output.kl_per_dim.sum(-1)).mean()) < independent - 3.0
    assert float(output.kl_per_dim.sum(-1).mean()) > 1.0


def test_ensembles_of_different_targets_train_in_one_loop():
    with seeded(0):
        group = EnsembleGroup(
            [
                EnsembleVAE(2, 3, 2, TargetLayout((0, 1, 2)), hidden=8),
                EnsembleVAE(1, 3, 2, TargetLayout((0,), (4,)), hidden=8),
            ]
        )
    x = gaussian_rows(32, 3, 3)
    target = x.clone()
    target[:, 2, 1:] = 1.0
    fit_vae(group, x, target=target, config=TrainingConfig(max_steps=3, batch_size=32))
    output = group.eval()(x, target)
    assert output.nll.shape == (3, 32)
    members = group.members()
    torch.testing.assert_close(members[2](x[:, 2:], target[:, 2:, :2]).nll[0], output.nll[2])


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ConfigError, match="hidden >= 1"):
        EnsembleVAE(1, 3, 0, TargetLayout((0,)))


@pytest.mark.parametrize("n_out", [1, 5, 6, 7, 9, 11, 16])
def test_a_row_gets_the_same_numbers_wherever_it_stands_in_a_batch(n_out):
    linear = StackedLinear(1, 27, n_out).eval()
    rows = torch.randn(1, 512, 27, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        here, there = linear(rows), linear(rows.roll(13, dims=1)).roll(-13, dims=1)
    assert torch.equal(here, there)

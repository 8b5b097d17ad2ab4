"""The repair VAE: what it starts as, what it learns, and that its KL stays on."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vae_anomaly.detectors.images.networks.repair import RepairVAE, focal_cross_entropy
from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.networks import seeded
from vae_anomaly.vae.training import TrainingConfig, fit_vae

C, G = 3, 8


@pytest.fixture
def model() -> RepairVAE:
    with seeded(0):
        return RepairVAE(C, G, latent_channels=4, width=16)


def waves(n: int, seed: int) -> torch.Tensor:
    """Residuals with spatial structure: one smooth wave a channel, random phase."""
    phase = 6.3 * torch.rand(n, C, 1, 1, generator=torch.Generator().manual_seed(seed))
    x = torch.linspace(0, 6.3, G)
    return 2.0 * torch.sin(x[None, None, :, None] + phase) + torch.cos(x + phase)


def test_an_untrained_model_repairs_nothing_and_expects_no_defect(model):
    with torch.no_grad():
        output = model.eval()(waves(2, 0))
    assert float(output.recon.abs().max()) == 0.0
    assert output.defect_logit.shape == (2, G, G)
    assert float(torch.sigmoid(output.defect_logit).mean()) < 0.3
    assert output.kl_per_dim.shape == (2, model.latent_dim)


def test_training_lowers_the_elbo_finds_defects_and_keeps_the_kl_on(model):
    clean = waves(64, 1)
    broken, mask = clean.clone(), torch.zeros(64, G, G)
    broken[:, :, 2:4, 2:4] += 4.0
    mask[:, 2:4, 2:4] = 1.0
    before = model.eval()(clean).elbo.mean().detach()
    config = TrainingConfig(
        max_steps=90, batch_size=16, lr=4e-3, kl_schedule="linear", kl_warmup_steps=25,
        ema_decay=0.95, clip_norm=5.0,
    )  # fmt: skip
    fit_vae(
        model,
        torch.cat((clean, broken)),
        target=torch.cat((clean, clean)),
        extras={"mask": torch.cat((torch.zeros_like(mask), mask))},
        config=config,
    )
    fresh = waves(32, 2)
    spoiled = fresh.clone()
    spoiled[:, :, 2:4, 2:4] += 4.0
    with torch.no_grad():
        good, bad = model(fresh), model(spoiled)
    assert float(good.elbo.mean()) > float(before) + 20.0
    assert float(good.kl.mean()) > 1.0
    rest = (spoiled - bad.recon).abs().mean((0, 1))
    assert float(rest[2:4, 2:4].mean()) > 3.0 * float(rest[5:, 5:].mean())
    logit = bad.defect_logit.mean(0)
    assert float(logit[2:4, 2:4].mean()) > float(logit[5:, 5:].mean()) + 2.0


def test_evaluation_does_not_depend_on_the_batch(model):
    torch.nn.init.normal_(model.up[-1].weight, std=0.1, generator=torch.Generator().manual_seed(0))
    x = waves(5, 3)
    whole, alone = model.eval()(x), model(x[2:3])
    torch.testing.assert_close(alone.recon[0], whole.recon[2], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.defect_logit[0], whole.defect_logit[2], rtol=0, atol=1e-5)


def test_loss_does_not_change_when_the_batch_is_doubled(model):
    x, mask = waves(4, 4), torch.rand(4, G, G, generator=torch.Generator().manual_seed(0))
    once = model(x, mask=mask, sample=False)
    twice = model(x.repeat(2, 1, 1, 1), mask=mask.repeat(2, 1, 1), sample=False)
    torch.testing.assert_close(model.training_loss(once, 1.0), model.training_loss(twice, 1.0))


def test_the_head_does_not_teach_the_decoder(model):
    model(waves(2, 0), mask=torch.ones(2, G, G)).head_loss.sum().backward()
    assert all(p.grad is None or float(p.grad.abs().sum()) == 0 for p in model.up.parameters())
    assert sum(float(p.grad.abs().sum()) for p in model.head.parameters()) > 0


def test_focal_cross_entropy_is_weighted_cross_entropy():
    logit, mask = torch.tensor([[[0.0, 2.0]]]), torch.tensor([[[1.0, 0.0]]])
    entropy = functional.binary_cross_entropy_with_logits(logit, mask, reduction="none")[0, 0]
    p = torch.sigmoid(torch.tensor(2.0))
    expected = (entropy[0] * 0.5 * 3.0 + entropy[1] * p) / 2
    torch.testing.assert_close(focal_cross_entropy(logit, mask), expected.reshape(1))


@pytest.mark.parametrize(("grid", "width"), [(7, 16), (8, 20)])
def test_shapes_that_do_not_fit_are_refused(grid, width):
    with pytest.raises(ConfigError):
        RepairVAE(C, grid, width=width)

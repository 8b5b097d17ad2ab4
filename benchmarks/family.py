"""Train every member of the family on small grey images and print one line for each.

    python benchmarks/family.py                                   # scikit-learn's digits, a minute
    python benchmarks/family.py --data DIR --set mnist            # DIR holds mnist.npz
    python benchmarks/family.py --data DIR --set mnist --reference

``DIR/<set>.npz`` holds ``x_train, y_train, x_test, y_test`` (uint8 images and their classes).
Columns: test -ELBO with one draw of z (nats; bits per dimension = nats / (D ln 2)), importance-
weighted -log p with L = 100 draws on the first 500 test images, active units, root mean squared
error of the reconstruction beside that of always predicting the mean image, one-class AUROC (train
on one class, the nine others are anomalies; score -ELBO at the posterior mean; mean over classes),
training seconds.

Pixels are Bernoulli probabilities in [0, 1] (grey values: a relaxed likelihood, as in the usual
reference of 107 nats) unless a member needs another. ``--reference`` trains only 784-400-20 for
seven epochs, Adam 1e-3, batch 128, and compares with 106.66 nats (pytorch/examples, PR 1416).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.diagnostics import posterior_diagnostics
from vae_anomaly.vae.ladder import LadderVAE
from vae_anomaly.vae.likelihoods import (
    BernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    OptimalGaussianLikelihood,
)
from vae_anomaly.vae.model import VAE
from vae_anomaly.vae.networks import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    seeded,
)
from vae_anomaly.vae.noise import GaussianNoise
from vae_anomaly.vae.priors import GaussianMixturePrior, VampPrior
from vae_anomaly.vae.training import TrainingConfig, fit_vae
from vae_anomaly.vae.variants import AutoEncoder, ConditionalVAE, SemiSupervisedVAE
from vae_anomaly.vae.vq import VQVAE, CodeMapDecoder, CodeMapEncoder

Images = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Member:
    """How to build a member, and what differs in its training.

    Attributes
    ----------
    build : callable
        Takes training images (N, 1, H, W) and returns the model.
    options : dict
        For `TrainingConfig`.
    corruption : callable, optional
    extra : {"", "condition", "labels"}
        Whether the model is told the class; labels are those of every 20th image.
    """

    build: Callable[[Tensor], nn.Module]
    options: dict[str, object]
    corruption: GaussianNoise | None = None
    extra: str = ""


def dense(
    x: Tensor, z: int = 20, width: int = 400, condition: int = 0
) -> tuple[nn.Module, nn.Module]:
    shape = tuple(x.shape[1:])
    return (
        MLPEncoder(shape, width, z, condition_dim=condition),
        MLPDecoder(shape, width, z, condition_dim=condition),
    )


def conv(x: Tensor, z: int = 20) -> tuple[nn.Module, nn.Module]:
    shape = tuple(x.shape[1:])
    return ConvEncoder(shape, (16, 32), z), ConvDecoder(shape, (16, 32), z)


def levels(x: Tensor) -> int:
    """Count the grey levels: 17 in scikit-learn's digits, 256 in 8-bit images."""
    return 17 if x.shape[-1] == 8 else 256


def vq(x: Tensor) -> nn.Module:
    shape = tuple(x.shape[1:])
    networks = CodeMapEncoder(shape, (16, 32), 16), CodeMapDecoder(shape, (16, 32), 16)
    return VQVAE(*networks, BernoulliLikelihood(), codebook_size=64, code_dim=16)


def semi(x: Tensor) -> nn.Module:
    n_in = x[0].numel()
    head = nn.Sequential(nn.Flatten(), nn.Linear(n_in, 200), nn.ReLU(), nn.Linear(200, 10))
    return SemiSupervisedVAE(*dense(x, 20, 200, 10), BernoulliLikelihood(), head, 10, alpha=50.0)


def member(build: Callable[[Tensor], nn.Module], **options: object) -> Member:
    return Member(build, options)


bernoulli = BernoulliLikelihood
FAMILY: dict[str, Member] = {
    "vae 784-400-20": member(lambda x: VAE(*dense(x), bernoulli())),
    "vae latent 2": member(lambda x: VAE(*dense(x, 2, 256), bernoulli())),
    "autoencoder": member(lambda x: AutoEncoder(*dense(x), bernoulli())),
    "beta 0.5": member(lambda x: VAE(*dense(x), bernoulli()), beta=0.5),
    "beta 4": member(lambda x: VAE(*dense(x), bernoulli()), beta=4.0),
    "KL annealed": member(
        lambda x: VAE(*dense(x), bernoulli()), kl_schedule="cyclical", kl_warmup_steps=1000
    ),
    "free bits 0.1": member(lambda x: VAE(*dense(x), bernoulli()), free_bits=0.1),
    "denoising": Member(lambda x: VAE(*dense(x), bernoulli()), {}, GaussianNoise(0.1)),
    "mixture prior": member(lambda x: VAE(*dense(x), bernoulli(), GaussianMixturePrior(20, 20))),
    "VampPrior": member(lambda x: VAE(*dense(x), bernoulli(), VampPrior(x[:100]))),
    "conditional": Member(
        lambda x: ConditionalVAE(*dense(x, condition=10), bernoulli(), 10), {}, None, "condition"
    ),
    "semi-supervised": Member(semi, {}, None, "labels"),
    "ladder 32-16-8": member(
        lambda x: LadderVAE(x.shape[1:], bernoulli()), kl_schedule="linear", kl_warmup_steps=500
    ),
    "vq 64 codes": member(vq),
    "conv": member(lambda x: VAE(*conv(x), bernoulli())),
    "conv, logistic": member(
        lambda x: VAE(*conv(x), DiscretizedLogisticLikelihood((1, 1, 1), n_levels=levels(x)))
    ),
    "optimal sigma *": member(lambda x: VAE(*dense(x), OptimalGaussianLikelihood())),
}


def load(folder: Path | None, name: str) -> Images:
    """Return training images, their classes, test images, their classes; pixels in [0, 1]."""
    if folder is None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        order = np.random.default_rng(0).permutation(len(digits.target))
        images, labels = digits.images[order] / 16.0, digits.target[order]
        parts = (images[:1300], labels[:1300], images[1300:], labels[1300:])
    else:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
            parts = tuple(file[key] for key in ("x_train", "y_train", "x_test", "y_test"))
        parts = (parts[0] / 255.0, parts[1], parts[2] / 255.0, parts[3])
    x_train, y_train, x_test, y_test = (torch.from_numpy(np.asarray(part)) for part in parts)
    return x_train.float().unsqueeze(1), y_train.long(), x_test.float().unsqueeze(1), y_test.long()


def extras_for(kind: str, y: Tensor, training: bool) -> dict[str, Tensor]:
    if kind == "condition":
        return {"condition": y}
    if kind == "labels" and training:
        return {"labels": torch.where(torch.arange(len(y)) % 20 == 0, y, -1)}
    return {}


def train(chosen: Member, x: Tensor, y: Tensor, steps: int) -> nn.Module:
    with seeded(0):
        model = chosen.build(x)
    defaults: dict[str, object] = {"max_steps": steps, "batch_size": 128, "eval_every": steps}
    config = TrainingConfig(**(defaults | chosen.options))
    extras = extras_for(chosen.extra, y, training=True)
    fit_vae(model, x, config=config, corruption=chosen.corruption, extras=extras)
    return model


@torch.no_grad()
def terms(
    model: nn.Module, x: Tensor, extras: dict[str, Tensor], *, drawn: bool
) -> tuple[Tensor, Tensor]:
    """Return nll and KL of each sample, (N,) each."""
    generator, parts = torch.Generator().manual_seed(0), []
    for start in range(0, len(x), 500):
        given = {name: value[start : start + 500] for name, value in extras.items()}
        out = model(x[start : start + 500], sample=drawn, generator=generator, **given)
        parts.append((out.nll, out.kl))
    nll, kl = zip(*parts, strict=True)
    return torch.cat(nll), torch.cat(kl)


def one_class_auroc(chosen: Member, images: Images, steps: int) -> float:
    """Return the mean AUROC over classes; a class that the model must be told makes no sense."""
    x_train, y_train, x_test, y_test = images
    found = []
    for label in range(10):
        x = x_train[y_train == label]
        model = train(chosen, x, y_train[y_train == label], steps)
        extras = extras_for(chosen.extra, torch.full_like(y_test, label), training=False)
        nll, kl = terms(model, x_test, extras, drawn=False)
        found.append(roc_auc_score((y_test != label).numpy(), (nll + kl).numpy()))
    return statistics.mean(found)


def report(name: str, chosen: Member, images: Images, steps: int, one_class_steps: int) -> None:
    """Train a member and print its line."""
    x_train, y_train, x_test, y_test = images
    start = time.perf_counter()
    model = train(chosen, x_train, y_train, steps)
    seconds = time.perf_counter() - start
    extras = extras_for(chosen.extra, y_test, training=False)
    nll, kl = terms(model, x_test, extras, drawn=True)
    nats, pixels = float((nll + kl).double().mean()), x_test[0].numel()
    few = {key: value[:500] for key, value in extras.items()}
    try:
        draws = torch.Generator().manual_seed(0)
        bound = f"{float(model.iw_nll(x_test[:500], 100, generator=draws, **few).mean()):8.2f}"
    except ConfigError:  # an autoencoder has no bound
        bound = f"{'-':>8}"
    found = posterior_diagnostics(model, x_test, extras=extras)
    auroc = one_class_auroc(chosen, images, one_class_steps) if one_class_steps else float("nan")
    print(
        f"{name:16}{nats:9.2f}{nats / pixels / log(2):8.3f}{bound}{float(kl.mean()):8.2f}"
        f"{found.active_units:4d}/{found.latent_dim:<4d}{found.rmse:8.4f}{found.rmse_mean:8.4f}"
        f"{auroc:8.3f}{seconds:8.1f}",
        flush=True,
    )


def reference(images: Images, epochs: int = 7) -> None:
    """Print the test -ELBO of 784-400-20 after each epoch of one run."""
    x_train, _, x_test, _ = images
    with seeded(0):
        model = FAMILY["vae 784-400-20"].build(x_train)
    per_epoch, start = round(len(x_train) / 128), time.perf_counter()

    def tell(_stage: str, step: int, _total: int) -> None:
        model.eval()
        nll, kl = terms(model, x_test, {}, drawn=True)
        model.train()
        nats, seconds = float((nll + kl).double().mean()), time.perf_counter() - start
        print(f"epoch {step // per_epoch}: {nats:.2f} nats ({seconds:.0f} s)", flush=True)

    config = TrainingConfig(max_steps=epochs * per_epoch, batch_size=128, eval_every=per_epoch)
    fit_vae(model, x_train, config=config, progress=tell)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with <set>.npz; digits when left out")
    parser.add_argument("--set", default="mnist", help="mnist or fashion_mnist")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--one-class-steps", type=int, default=400, help="0 leaves AUROC out")
    parser.add_argument("--limit", type=int, help="use only so many training images")
    parser.add_argument("--only", nargs="*", help=f"members: {', '.join(FAMILY)}")
    parser.add_argument("--reference", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = load(args.data, args.set)
    if args.limit:
        images = (images[0][: args.limit], images[1][: args.limit], *images[2:])
    if args.reference:
        reference(images)
        return
    where = "digits (scikit-learn)" if args.data is None else args.set
    print(f"{where}: {len(images[0])} train, {len(images[2])} test, {args.steps} steps of 128")
    print(
        f"{'':16}{'-ELBO':>9}{'bits/d':>8}{'IW-100':>8}{'KL':>8}{'active':>9}"
        f"{'RMSE':>8}{'mean':>8}{'AUROC':>8}{'s':>8}"
    )
    for name in args.only or FAMILY:
        report(name, FAMILY[name], images, args.steps, args.one_class_steps)
    print("* a density, not a probability: its nats and bits compare with no other line's")


if __name__ == "__main__":
    main()

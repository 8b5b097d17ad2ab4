"""Other people's detectors on 64-pixel grey images, and members of our own family beside them.

* PyOD's `AutoEncoder` and `VAE` with their defaults on the 4,096 pixels of an image; PyOD is
  needed (``pip install pyod``), and its rows are left out with a message where it is missing.
* The convolutional VAE of the tutorials, written here in plain torch: three strided convolutions
  of 32, 64 and 128 channels, 128 latents, sigmoid pixels with the Bernoulli ELBO, Adam at 1e-3, 30
  epochs; the score is the mean squared error of the reconstruction from the posterior mean.

``model="autoencoder"`` and ``model="conv"`` of `ImageVAEDetector` are members of our family, with
our calibration and pooling: no peers, and labelled so.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from image_methods import Method, measure_floor, measure_ours
from peers import Peer, pyod
from torch import Tensor, nn
from torch.nn import functional

SIDE, LATENTS, EPOCHS, BATCH = 64, 128, 30, 32


class TutorialVAE(nn.Module):
    """The convolutional VAE of the tutorials, for one channel of 64 x 64."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *(layer for a, b in ((1, 32), (32, 64), (64, 128)) for layer in _down(a, b)),
            nn.Flatten(),
            nn.Linear(128 * 8 * 8, 2 * LATENTS),
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENTS, 128 * 8 * 8),
            nn.Unflatten(1, (128, 8, 8)),
            *(layer for a, b in ((128, 64), (64, 32)) for layer in _up(a, b)),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
        )

    def loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return the negative ELBO of images (N, 1, 64, 64), nats an image."""
        mean, logvar = self.encoder(x).chunk(2, dim=1)  # (N, Z)
        noise = torch.randn(mean.shape, generator=generator)
        logits = self.decoder(mean + noise * (0.5 * logvar).exp())
        nll = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum()
        return (nll + kl) / len(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the pixels that the posterior mean stands for."""
        return torch.sigmoid(self.decoder(self.encoder(x)[:, :LATENTS]))


def _down(a: int, b: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU()


def _up(a: int, b: int) -> tuple[nn.Module, nn.Module]:
    return nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), nn.ReLU()


def tutorial_vae(train: Any, test: Any) -> tuple[Any, Any]:
    """Train on images (N, 64, 64) in [0, 1]; return squared errors of the test images."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = TutorialVAE()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)
    x = torch.from_numpy(train)[:, None]
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            optimizer.zero_grad()
            vae.loss(x[rows], generator).backward()
            optimizer.step()
    y = torch.from_numpy(test)[:, None]
    with torch.no_grad():
        errors = torch.cat([(vae.reconstruct(part) - part) ** 2 for part in y.split(BATCH)])[:, 0]
    return errors.mean((1, 2)).numpy().astype(np.float64), errors.numpy()


def on_pixels(peer: Peer) -> Any:
    """Let a detector of tables see images as rows of pixels."""

    def score(train: Any, test: Any) -> tuple[Any, Any]:
        a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (train, test))
        return peer(a, b, 0), None

    return score


def image_peers() -> dict[str, Method]:
    """Return the peers that are installed."""
    scores = {"peer: tutorials' conv VAE, 64 px": tutorial_vae}
    if find_spec("pyod") is None:
        print("PyOD is not installed: its rows are left out (pip install pyod)")
    else:
        scores["peer: PyOD AutoEncoder, 64 px"] = on_pixels(
            pyod("auto_encoder", "AutoEncoder", verbose=0)
        )
        scores["peer: PyOD VAE, 64 px"] = on_pixels(pyod("vae", "VAE", verbose=0))
    return {
        name: lambda s, score=score: measure_floor(score, SIDE, s) for name, score in scores.items()
    }


def members() -> dict[str, Method]:
    """Return members of our own family that see pixels."""
    return {
        f"member: {model}": lambda s, model=model: measure_ours(s, model=model, preset="thorough")
        for model in ("autoencoder", "conv")
    }

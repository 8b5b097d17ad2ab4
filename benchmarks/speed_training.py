"""Compare training speed with Pythae's and PyOD's VAE of the same sizes, and an ensemble with one.

    python benchmarks/speed_training.py

Every contender trains a dense 784-512-20 VAE on the same random images, batch 128, one thread, on
the CPU; rounds are interleaved. The clock counts CPU seconds of this process, so that a busy
machine changes little. A peer that is not installed is left out and named
(``pip install pythae pyod``).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable

import torch

from vae_anomaly.vae.likelihoods import BernoulliLikelihood, GaussianLikelihood, Likelihood
from vae_anomaly.vae.model import VAE
from vae_anomaly.vae.networks import MLPDecoder, MLPEncoder, seeded
from vae_anomaly.vae.stacked import EnsembleVAE, TargetLayout
from vae_anomaly.vae.training import TrainingConfig, fit_vae

D, HIDDEN, Z, BATCH = 784, 512, 20, 128
Contender = Callable[[torch.Tensor, int], None]


def train_ours(likelihood: Likelihood) -> Contender:
    def train(x: torch.Tensor, epochs: int) -> None:
        with seeded(0):
            vae = VAE(MLPEncoder((D,), HIDDEN, Z), MLPDecoder((D,), HIDDEN, Z), likelihood)
        steps = epochs * len(x) // BATCH
        fit_vae(vae, x, config=TrainingConfig(max_steps=steps, batch_size=BATCH, eval_every=steps))

    return train


def train_pythae(x: torch.Tensor, epochs: int) -> None:
    from pythae.models import VAE as PythaeVAE  # noqa: N811  # three classes of one name
    from pythae.models import VAEConfig
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            learning_rate=1e-3,
            per_device_train_batch_size=BATCH,
            no_cuda=True,
        )
        model = PythaeVAE(VAEConfig(input_dim=(D,), latent_dim=Z, reconstruction_loss="bce"))
        TrainingPipeline(training_config=config, model=model)(train_data=x)


def train_pyod(x: torch.Tensor, epochs: int) -> None:
    from pyod.models.vae import VAE as PyODVAE  # noqa: N811  # three classes of one name

    detector = PyODVAE(
        epoch_num=epochs,
        batch_size=BATCH,
        latent_dim=Z,
        encoder_neuron_list=[HIDDEN],
        decoder_neuron_list=[HIDDEN],
        dropout_rate=0.0,
        preprocessing=False,
        verbose=0,
        device="cpu",
    )
    _train_loop_only(detector, x.numpy(), epochs)


def _train_loop_only(detector: object, x: object, epochs: int) -> None:
    """Run PyOD's own training without the scoring that its fit() adds."""
    from pyod.utils.torch_utility import TorchDataset
    from torch.utils.data import DataLoader

    detector.feature_size, detector.data_num = x.shape[1], x.shape[0]
    detector.build_model()
    detector.model.to("cpu")
    detector.training_prepare()
    loader = DataLoader(TorchDataset(x), batch_size=BATCH, shuffle=True, drop_last=True)
    detector.train(loader)


def cpu_seconds(contender: Contender, x: torch.Tensor, epochs: int) -> float:
    """Return the CPU seconds of a training run, without what it prints and warns."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        start = time.process_time()
        contender(x, epochs)
        return time.process_time() - start


def speed(contender: Contender, x: torch.Tensor) -> float:
    """Return training samples per CPU second; start-up cancels out between two lengths."""
    short, long = cpu_seconds(contender, x, 1), cpu_seconds(contender, x, 4)
    return 3 * len(x) / (long - short)


def ensemble_cost(n_members: int, rounds: int) -> float:
    """Return CPU seconds of K stacked members as a multiple of one member's."""
    n, d = 2048, 30
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
    layout = TargetLayout(gaussian=tuple(range(d)))

    def train(k: int) -> float:
        with seeded(0):
            model = EnsembleVAE(k, d, 8, layout, sees_mask=False)
        data = x.unsqueeze(1).expand(n, k, d)
        config = TrainingConfig(max_steps=150, batch_size=BATCH, eval_every=150)
        start = time.process_time()
        fit_vae(model, data, config=config)
        return time.process_time() - start

    train(1)
    return statistics.median(train(n_members) / train(1) for _ in range(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    x = torch.rand(args.samples, D, generator=torch.Generator().manual_seed(0))
    contenders: dict[str, Contender] = {
        "vae_anomaly (Bernoulli)": train_ours(BernoulliLikelihood()),
        "vae_anomaly (Gaussian)": train_ours(GaussianLikelihood(D)),
        "Pythae VAE (BCE)": train_pythae,
        "PyOD VAE (MSE)": train_pyod,
    }
    for name in list(contenders):
        try:
            cpu_seconds(contenders[name], x[:BATCH], 1)
        except ImportError as err:
            print(f"{name}: not installed ({err}); left out")
            del contenders[name]
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(args.rounds):
        for name, contender in contenders.items():
            found[name].append(speed(contender, x))
    ours = statistics.median(found["vae_anomaly (Gaussian)"])
    print(f"torch {torch.__version__}, one thread, {D}-{HIDDEN}-{Z}, batch {BATCH}")
    print(f"{'':28}{'samples / CPU s':>16}{'min':>9}{'max':>9}{'ours is':>10}")
    for name, values in found.items():
        middle = statistics.median(values)
        print(
            f"{name:28}{middle:16,.0f}{min(values):9,.0f}{max(values):9,.0f}{ours / middle:9.2f}x"
        )
    print(f"8 stacked members cost {ensemble_cost(8, args.rounds):.2f} x one member")


if __name__ == "__main__":
    main()

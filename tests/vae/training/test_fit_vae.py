from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from vae_anomaly.errors import (
    ConfigError,
    DataError,
    ModelRefusedError,
    NonFiniteLossError,
    NotEnoughDataError,
    StorageError,
)
from vae_anomaly.vae.likelihoods import GaussianLikelihood, OptimalGaussianLikelihood
from vae_anomaly.vae.model import VAE, VAEOutput
from vae_anomaly.vae.networks import MLPDecoder, MLPEncoder, seeded
from vae_anomaly.vae.noise import GaussianNoise
from vae_anomaly.vae.training import History, TrainingConfig, fit_vae


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(n: int = 300) -> torch.Tensor:
    mix = torch.randn(2, 6, generator=gen(9))
    return torch.randn(n, 2, generator=gen()) @ mix + 0.2 * torch.randn(n, 6, generator=gen(1))


def model(likelihood: torch.nn.Module | None = None, seed: int = 0) -> VAE:
    with seeded(seed):
        return VAE(
            MLPEncoder((6,), 16, 3), MLPDecoder((6,), 16, 3), likelihood or GaussianLikelihood(6)
        )


def config(**options: object) -> TrainingConfig:
    defaults = {"max_steps": 60, "batch_size": 32, "lr": 5e-3, "eval_every": 10}
    return TrainingConfig(**(defaults | options))


def weights(vae: VAE) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in vae.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def without_seconds(history: History) -> list[dict[str, float]]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history.records]


class TestLearning:
    def test_training_improves_the_validation_elbo(self):
        x, vae = data(), model()
        history = fit_vae(vae, x[:200], validation=x[200:], config=config(max_steps=300))
        elbos = [record["val_elbo"] for record in history.records]
        assert elbos[-1] > elbos[0] + 1
        assert not vae.training

    def test_records_hold_what_the_contract_names(self):
        history = fit_vae(model(), data(), config=config(max_steps=25))
        assert [record["step"] for record in history.records] == [10, 20, 25]
        assert set(history.to_frame().columns) == {
            *("step", "epoch", "train_loss", "train_nll", "train_kl", "beta"),
            *("val_nll", "val_kl", "val_elbo", "seconds"),
        }
        assert history.records[-1]["epoch"] == pytest.approx(25 * 32 / 300)
        assert math.isnan(history.records[-1]["val_elbo"])

    def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(self):
        runs = []
        for seed in (0, 0, 1):
            vae = model()
            fit_vae(vae, data(), config=config(random_state=seed))
            runs.append(weights(vae))
        assert same(runs[0], runs[1])
        assert not same(runs[0], runs[2])

    def test_the_global_random_state_is_left_alone(self):
        before = torch.get_rng_state()
        fit_vae(model(), data(), config=config(), corruption=GaussianNoise(0.1))
        assert torch.equal(before, torch.get_rng_state())

    def test_train_terms_are_means_over_the_steps_since_the_last_record(self):
        seen: list[float] = []

        def loss(output: VAEOutput, beta: float) -> torch.Tensor:
            value = output.loss(beta)
            seen.append(float(value.detach()))
            return value

        history = fit_vae(model(), data(), config=config(max_steps=20), loss=loss)
        means = [sum(seen[:10]) / 10, sum(seen[10:]) / 10]
        assert [record["train_loss"] for record in history.records] == pytest.approx(means)

    def test_validation_is_an_average_over_samples_not_over_batches(self):
        x = data(300)
        x[-1] += 100  # alone in the last batch of 257: a mean of batch means would be far off
        vae = model()
        history = fit_vae(vae, x[:40], validation=x[43:], config=config(max_steps=10))
        with torch.no_grad():
            out = vae(x[43:])
        assert history.records[-1]["val_nll"] == pytest.approx(float(out.nll.mean()), rel=1e-5)
        assert history.records[-1]["val_kl"] == pytest.approx(float(out.kl.mean()), rel=1e-5)

    def test_progress_is_told_at_every_evaluation(self):
        told: list[tuple[str, int, int]] = []
        fit_vae(model(), data(), config=config(), progress=lambda *step: told.append(step))
        assert told[0] == ("train", 10, 60)
        assert told[-1] == ("train", 60, 60)

    def test_stacked_members_train_as_they_would_alone(self):
        class Pair(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.members = torch.nn.ModuleList([model(seed=0), model(seed=1)])

            def forward(self, x, target=None, *, generator=None):
                outs = [m(x, target, sample=False) for m in self.members]
                stack = {n: torch.stack([getattr(o, n) for o in outs]) for n in vars(outs[0])}
                return VAEOutput(**stack)

        pair, alone = Pair(), model(seed=1)
        fit_vae(pair, data(), config=config())
        alone_forward = alone.forward
        alone.forward = lambda x, target=None, *, generator=None: alone_forward(
            x, target, sample=False
        )
        fit_vae(alone, data(), config=config())
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(pair.members[1].state_dict()[name], value)


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            *({"kl_schedule": kind, "kl_warmup_steps": 5} for kind in ("constant", "linear")),
            {"kl_schedule": "cyclical", "kl_warmup_steps": 8, "kl_cycles": 2, "kl_ramp": 0.9},
            *({"lr_schedule": kind, "lr_warmup_steps": 3} for kind in ("constant", "cosine")),
            *({"precision": kind} for kind in ("float32", "bf16")),
            {"free_bits": 0.2},
            {"clip_norm": 0.5},
            {"ema_decay": 0.5, "weight_decay": 0.1},
            {"batch_size": 1000, "min_steps": 5, "patience": 1},
        ],
        ids=lambda options: "-".join(f"{k}={v}" for k, v in options.items()),
    )
    def test_every_documented_option_trains(self, options):
        x, vae = data(100), model()
        before = weights(vae)
        given = config(max_steps=12, eval_every=4, **({"batch_size": 32} | options))
        history = fit_vae(vae, x[:60], validation=x[60:], config=given)
        assert all(math.isfinite(v) for record in history.records for v in record.values())
        assert not same(before, weights(vae))

    @pytest.mark.parametrize("name", ["relu", "silu", "tanh", "elu"])
    def test_every_documented_activation_trains(self, name):
        with seeded(0):
            networks = (
                MLPEncoder((6,), 8, 2, activation=name),
                MLPDecoder((6,), 8, 2, activation=name),
            )
        vae = VAE(*networks, GaussianLikelihood(6))
        history = fit_vae(vae, data(60), config=config(max_steps=10))
        assert math.isfinite(history.records[-1]["train_loss"])

    def test_clipping_bounds_the_gradient(self):
        vae = model()
        fit_vae(vae, 1000 * data(60), config=config(max_steps=1, clip_norm=0.5))
        norm = torch.stack([p.grad.norm() for p in vae.parameters()]).norm()
        assert float(norm) == pytest.approx(0.5, rel=1e-3)

    def test_free_bits_keep_a_latent_alive_that_beta_would_kill(self):
        kl = []
        for free_bits in (0.0, 0.5):
            vae = model()
            given = config(max_steps=150, beta=50.0, free_bits=free_bits)
            fit_vae(vae, data(), config=given)
            with torch.no_grad():
                kl.append(float(vae(data()).kl_per_dim.mean(0).max()))
        assert kl[0] < 0.05 < 0.3 < kl[1]


class TestSelection:
    def test_best_weights_are_those_of_the_greatest_beta_one_validation_elbo(self):
        x, vae = data(), model()
        history = fit_vae(
            vae, x[:40], validation=x[40:], config=config(max_steps=400, beta=0.1, eval_every=20)
        )
        best = max(history.records, key=lambda record: record["val_elbo"])
        assert history.best_step == best["step"]
        with torch.no_grad():
            assert float(vae(x[40:]).elbo.mean()) == pytest.approx(best["val_elbo"], rel=1e-5)

    def test_annealing_cannot_make_an_early_step_the_best(self):
        x = data()
        settings = config(max_steps=100, kl_schedule="linear", kl_warmup_steps=80)
        history = fit_vae(model(), x[:200], validation=x[200:], config=settings)
        assert history.best_step >= 80
        by_step = {record["step"]: record for record in history.records}
        assert by_step[10]["beta"] == pytest.approx(9 / 80)
        out_elbo = -(by_step[10]["val_nll"] + by_step[10]["val_kl"])  # beta = 1 all along
        assert by_step[10]["val_elbo"] == pytest.approx(out_elbo)

    def test_no_weights_are_chosen_before_the_warm_ups_are_over(self):
        x, best = data(), []
        for early in ({}, {"min_steps": 250}, {"kl_schedule": "linear", "kl_warmup_steps": 250}):
            given = config(max_steps=300, lr=0.02, **early)  # overfits 15 samples soon
            best.append(fit_vae(model(), x[:15], validation=x[15:], config=given).best_step)
        assert best[0] < 200
        assert min(best[1:]) >= 250

    def test_patience_ends_training_early(self):
        x = data()
        settings = config(max_steps=5000, lr=0.05, patience=3, min_steps=50)
        history = fit_vae(model(), x[:40], validation=x[40:], config=settings)
        assert history.stopped_early
        assert 50 <= history.best_step < history.records[-1]["step"] < 5000

    def test_without_validation_the_last_weights_are_kept(self):
        history = fit_vae(model(), data(), config=config(patience=1))
        assert history.best_step == 60
        assert not history.stopped_early

    def test_averaged_weights_are_what_is_validated_and_kept(self):
        x = data()
        plain, averaged = model(), model()
        fit_vae(plain, x[:200], config=config())
        history = fit_vae(averaged, x[:200], validation=x[200:], config=config(ema_decay=0.95))
        assert not same(weights(plain), weights(averaged))
        record = next(r for r in history.records if r["step"] == history.best_step)
        with torch.no_grad():
            assert float(averaged(x[200:]).elbo.mean()) == pytest.approx(
                record["val_elbo"], rel=1e-5
            )


class TestCorruption:
    def test_only_the_training_input_is_corrupted_never_the_target(self):
        seen: list[tuple[bool, torch.Tensor, torch.Tensor]] = []

        class Spy(VAE):
            def forward(self, x, target=None, **options):
                seen.append(
                    (self.training, x.clone(), target if target is None else target.clone())
                )
                return super().forward(x, target, **options)

        x = data(64)
        vae = Spy(MLPEncoder((6,), 8, 2), MLPDecoder((6,), 8, 2), GaussianLikelihood(6))
        fit_vae(vae, x, validation=x, config=config(max_steps=10), corruption=GaussianNoise(0.5))
        rows = {tuple(row) for row in x.tolist()}
        for training, given, target in seen:
            if training:
                assert not any(tuple(row) in rows for row in given.tolist())
                assert all(tuple(row) in rows for row in target.tolist())
            else:
                assert torch.equal(given, x)


class TestResume:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"ema_decay": 0.9, "clip_norm": 1.0, "lr_schedule": "cosine", "lr_warmup_steps": 7},
            {"kl_schedule": "cyclical", "kl_warmup_steps": 40, "free_bits": 0.1, "patience": 2},
            {"precision": "bf16", "weight_decay": 0.1},
        ],
        ids=["plain", "ema-clip-cosine", "cyclical-patience", "bf16"],
    )
    @pytest.mark.parametrize("killed_after", [10, 30])
    def test_killed_and_resumed_equals_a_straight_run_bit_for_bit(
        self, options, killed_after, tmp_path: Path
    ):
        x, noise = data(), GaussianNoise(0.1)
        given = {"validation": x[200:], "config": config(**options), "corruption": noise}
        straight = model(OptimalGaussianLikelihood())
        expected = fit_vae(straight, x[:200], **given)

        class Killed(Exception):  # noqa: N818  # no error: a kill
            pass

        def kill(_stage: str, done: int, _total: int) -> None:
            if done > killed_after:
                raise Killed

        path = tmp_path / "run.safetensors"
        with pytest.raises(Killed):  # dies after the evaluation that follows the checkpoint
            fit_vae(
                model(OptimalGaussianLikelihood()), x[:200], **given, checkpoint=path, progress=kill
            )
        resumed = model(OptimalGaussianLikelihood(), seed=5)
        history = fit_vae(resumed, x[:200], **given, checkpoint=path, resume=True)
        assert same(weights(straight), weights(resumed))
        assert without_seconds(history) == without_seconds(expected)
        assert history.best_step == expected.best_step

    def test_resume_without_a_checkpoint_starts_anew(self, tmp_path: Path):
        first, second = model(), model()
        fit_vae(first, data(), config=config())
        fit_vae(second, data(), config=config(), checkpoint=tmp_path / "new" / "run", resume=True)
        assert same(weights(first), weights(second))

    def test_a_finished_run_resumes_to_its_own_result(self, tmp_path: Path):
        x, path = data(), tmp_path / "run"
        first, second = model(), model(seed=4)
        given = {"validation": x[200:], "config": config(), "checkpoint": path}
        fit_vae(first, x[:200], **given)
        history = fit_vae(second, x[:200], **given, resume=True)
        assert same(weights(first), weights(second))
        assert len(history.records) == 6

    @pytest.mark.parametrize(
        ("what", "other"),
        [("config", {"lr": 0.1}), ("data_sum", {}), ("weights", {})],
        ids=["config", "data", "model"],
    )
    def test_a_checkpoint_of_another_run_is_refused(self, what, other, tmp_path: Path):
        path, x = tmp_path / "run", data()
        fit_vae(model(), x, config=config(), checkpoint=path)
        vae = model(OptimalGaussianLikelihood()) if what == "weights" else model()
        with pytest.raises(ConfigError, match=f"another run: its {what}.*Delete it"):
            fit_vae(
                vae, x + (what == "data_sum"), config=config(**other), checkpoint=path, resume=True
            )

    @pytest.mark.parametrize(
        "damage", [b"", b"not a checkpoint", None], ids=["empty", "junk", "cut"]
    )
    def test_a_damaged_checkpoint_is_named(self, damage, tmp_path: Path):
        path = tmp_path / "run"
        fit_vae(model(), data(), config=config(), checkpoint=path)
        path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
        with pytest.raises(ModelRefusedError, match=r"run cannot be read.*start training anew"):
            fit_vae(model(), data(), config=config(), checkpoint=path, resume=True)

    def test_a_checkpoint_of_another_format_is_refused(self, tmp_path: Path):
        path = tmp_path / "run"
        path.write_bytes(save({"x": torch.zeros(1)}, metadata={"format": "other/9"}))
        with pytest.raises(ModelRefusedError, match=r"its format is 'other/9'.*training anew"):
            fit_vae(model(), data(), config=config(), checkpoint=path, resume=True)

    def test_a_folder_that_cannot_be_written_to_is_named(self, tmp_path: Path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError, match=r"cannot be written.*can be written to"):
            fit_vae(model(), data(), config=config(), checkpoint=tmp_path / "file" / "run")

    def test_a_failed_write_keeps_the_earlier_checkpoint(self, tmp_path: Path, monkeypatch):
        path = tmp_path / "run"
        fit_vae(model(), data(), config=config(), checkpoint=path)
        before = path.read_bytes()

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(StorageError, match=r"No space left.*Free some space"):
            fit_vae(model(), data(), config=config(lr=1e-4), checkpoint=path)
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["run"]

    def test_no_temporary_file_is_left_behind(self, tmp_path: Path):
        fit_vae(model(), data(), config=config(), checkpoint=tmp_path / "run")
        assert [file.name for file in tmp_path.iterdir()] == ["run"]


class TestTrouble:
    def test_a_nan_loss_names_step_samples_and_remedy(self):
        class Breaks(VAE):
            def forward(self, x, target=None, **options):
                out = super().forward(x, target, **options)
                out.nll[(x[:, 0] == 99.0)] = torch.nan
                return out

        x = data(64)
        x[17, 0] = 99.0
        vae = Breaks(MLPEncoder((6,), 8, 2), MLPDecoder((6,), 8, 2), GaussianLikelihood(6))
        with pytest.raises(
            NonFiniteLossError, match=r"loss became nan at step [01] .*: row-17\. Lo"
        ):
            fit_vae(vae, x, config=config(), ids=[f"row-{i}" for i in range(64)])

    def test_nan_in_the_data_is_another_message(self):
        x = data(32)
        x[5, 2] = torch.nan
        with pytest.raises(
            DataError, match=r"data hold NaN or infinite values in samples 5 .*step 0"
        ):
            fit_vae(model(), x, config=config())

    def test_an_exploding_gradient_is_caught_before_it_reaches_the_weights(self):
        def loss(output: VAEOutput, beta: float) -> torch.Tensor:
            return output.nll.mean() + 0 * torch.sqrt(output.mean[0, 0] * 0)

        vae = model()
        before = weights(vae)
        with pytest.raises(NonFiniteLossError, match=r"gradient became nan at step 0.*Lower lr"):
            fit_vae(vae, data(), config=config(clip_norm=1.0), loss=loss)
        assert same(before, weights(vae))

    def test_a_validation_set_that_is_never_finite_is_named(self):
        x = data(64)
        wild = x.clone()
        wild[3, 1] = torch.inf
        with pytest.raises(NonFiniteLossError, match=r"validation ELBO was never finite in 60"):
            fit_vae(model(), x, validation=wild, config=config())

    def test_a_model_without_parameters_is_refused(self):
        vae = model().requires_grad_(False)
        with pytest.raises(ConfigError, match=r"VAE has nothing to train; got 0 parameters"):
            fit_vae(vae, data(), config=config())

    def test_no_data_is_refused(self):
        with pytest.raises(NotEnoughDataError, match="at least 1 sample; got 0"):
            fit_vae(model(), torch.empty(0, 6), config=config())

    def test_tensors_that_are_not_aligned_are_refused(self):
        with pytest.raises(
            DataError, match=r"'target' must have one row per sample \(300\); got 4"
        ):
            fit_vae(model(), data(), target=torch.zeros(4, 6), config=config())


class TestConfig:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"max_steps": 0},
            {"lr": -1.0},
            {"ema_decay": 1.0},
            {"lr_schedule": "step"},
            {"precision": "fp16"},
            {"kl_schedule": "step"},
            {"patience": 0},
        ],
        ids=lambda wrong: next(iter(wrong)),
    )
    def test_a_wrong_value_is_named(self, wrong):
        (name, value), *_ = wrong.items()
        with pytest.raises(ConfigError, match=rf"'({name}|kind)'.*must be.*Got {value!r}"):
            config(**wrong)

    def test_learning_rate_warms_up_and_falls_to_zero(self):
        settings = TrainingConfig(
            max_steps=110, lr=0.2, lr_warmup_steps=10, lr_schedule="cosine", eval_every=10
        )
        values = [settings.lr_at(step) for step in (0, 9, 10, 60, 110)]
        assert values == pytest.approx([0.02, 0.2, 0.2, 0.1, 0.0])

    def test_decay_reaches_weights_only(self):
        vae = model()
        with torch.no_grad():
            vae.likelihood.raw_log_sigma.fill_(2.0)
        before = weights(vae)
        fit_vae(
            vae,
            data(),
            config=config(max_steps=1, weight_decay=10.0, lr=1e-3),
            loss=lambda output, beta: 0 * output.nll.sum(),
        )
        after = weights(vae)
        torch.testing.assert_close(
            after["encoder.head.weight"], before["encoder.head.weight"] * 0.99
        )
        assert torch.equal(after["encoder.head.bias"], before["encoder.head.bias"])
        assert torch.equal(after["likelihood.raw_log_sigma"], before["likelihood.raw_log_sigma"])

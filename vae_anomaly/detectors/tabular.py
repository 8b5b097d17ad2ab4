"""`TabularVAEDetector`: a variational autoencoder for tables, with the scikit-learn face.

The score of a row is read from the VAE in several ways. Its posterior mean is compared with those
of normal rows, in units of the posterior's standard deviation (a nearest-neighbour reading of the
aggregated posterior); the row itself is compared with normal rows, for gap and local density; and
where the table is categorical or mostly discrete, the ELBO under a likelihood of the columns' own
kinds joins. Every term becomes -log p among normal rows, and their squares are added, over two
views of the table.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.data.encoding import EncodedTable, TableEncoder
from vae_anomaly.data.histories import EntityHistories
from vae_anomaly.data.schema import Schema
from vae_anomaly.data.tables import fingerprint
from vae_anomaly.detectors._tabular_entities import (
    entities_from_state,
    entity_arrays,
    entity_header,
)
from vae_anomaly.detectors._tabular_entity_reasons import entity_phrases
from vae_anomaly.detectors._tabular_explain import contributions
from vae_anomaly.detectors._tabular_input import (
    group_column,
    has_names,
    infer_schema,
    plain_numbers,
    read_frame,
)
from vae_anomaly.detectors._tabular_reasons import reasons_for
from vae_anomaly.detectors._tabular_rows import group_codes, only_used, plan_rows
from vae_anomaly.detectors._tabular_scorer import RowScorer, encode
from vae_anomaly.detectors._tabular_training import FitOptions, fit_scorers
from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.errors import ConfigError, SchemaError
from vae_anomaly.persistence import DetectorState
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.calibration import ConformalCalibration
from vae_anomaly.scoring.fusion import fuse
from vae_anomaly.thresholds import Threshold

__all__ = ["PRESETS", "SCORES", "TabularVAEDetector"]

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
Score = Literal["fused", "reconstruction", "elbo", "iw_nll", "kl", "latent"]
logger = logging.getLogger(__name__)

SCORES = ("fused", "reconstruction", "elbo", "iw_nll", "kl", "latent")
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"views": ("arg",), "memory_sizes": (4_096, 8_192)},
    "default": {"views": ("std", "arg"), "memory_sizes": (4_096, 8_192)},
    "thorough": {"views": ("std", "arg"), "memory_sizes": (10_000, 10_000)},
}
MAX_FIT_ROWS = 10_000
WIDE_TABLE = 400  # columns from which scarce rows are cut into 3 folds
IW_DRAWS = 64
BLOCK = 16_384  # rows held as features at a time


class TabularVAEDetector(TransformerMixin, BaseVAEDetector):  # type: ignore[misc]  # sklearn is untyped
    """Detect anomalous rows of a table with a VAE trained on normal rows only.

    Parameters
    ----------
    score : {"fused", "reconstruction", "elbo", "iw_nll", "kl", "latent"}
        The evidence that is calibrated and explained. "fused" is the default and the best; the
        others are single quantities of the same VAE.
    preset : {"default", "fast", "thorough"}
        "fast" looks at one view of the table and scores about twice as many rows a second;
        "thorough" remembers more rows.
    schema : Schema, optional
        Columns and kinds; inferred from the training table where left out.
    column_kinds : mapping of str to str, optional
        Kinds of some columns that stand whatever the values say: ``{"zip": "categorical"}``.
    latent_dim : int, optional
        Left out: the number of encoded features, at least 2 and at most 32.
    hidden : int
        Width of the hidden layers.
    beta : float
        Weight of the KL in training; scores and validation use 1.
    max_steps : int, optional
        Left out: 60 epochs, at least 250 and at most 300 steps.
    target_fpr : float
        False-positive rate of the default threshold.
    random_state : int or None
        None draws a fresh seed.

    Attributes
    ----------
    schema_ : Schema
        Columns that the model reads, and their kinds.
    history_ : History
        Training, means over networks, nats per row.
    n_features_in_ : int
        Columns of the training table.
    entities_ : EntityHistories or None
        What makes the columns that are relative to an entity's own past, with its state at the end
        of training; `train_table_job` sets it, and it is saved with the model. Rows given to the
        detector have these columns already: ``detector.entities_.copy().extend(rows)``.

    Notes
    -----
    The networks, the memories and every statistic are made of at most 10,000 rows. Calibration rows
    are others: a fifth of the table where it has 2,000 rows; below that every row is scored once by
    a detector that was trained without it.

    A row's score does not depend on the rows beside it, to the last bit on one machine; on another
    processor it agrees to a relative 1e-4.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> normal = rng.normal(size=(300, 1)) * [1.0, 2.0, -1.0] + rng.normal(size=(300, 3)) / 10
    >>> detector = TabularVAEDetector(max_steps=60, random_state=0).fit(normal)
    >>> detector.predict([[1.0, 2.0, -1.0], [1.0, 2.0, 1.0]]).tolist()
    [1, -1]
    """

    kind = "tabular"
    entities_: EntityHistories | None = None

    def __init__(
        self,
        *,
        score: Score = "fused",
        preset: Literal["default", "fast", "thorough"] = "default",
        schema: Schema | None = None,
        column_kinds: Mapping[str, str] | None = None,
        latent_dim: int | None = None,
        hidden: int = 64,
        beta: float = 2.0,
        max_steps: int | None = None,
        target_fpr: float = 0.01,
        random_state: int | None = None,
    ) -> None:
        self.score = score
        self.preset = preset
        self.schema = schema
        self.column_kinds = column_kinds
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.beta = beta
        self.max_steps = max_steps
        self.target_fpr = target_fpr
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any = None, *, groups: Any = None, progress: Progress | None = None
    ) -> Self:
        """Learn what normal rows look like.

        Parameters
        ----------
        X : DataFrame, Arrow table, polars frame or array of shape (N, D)
            Normal rows, at least 10. Missing cells are data.
        y : ignored
        groups : array of shape (N,) or str, optional
            Customer, machine, part of each row, or the column that names it. Rows of one group are
            held out together.
        progress : Progress, optional

        Raises
        ------
        NotEnoughDataError
            If there are fewer than 10 rows.
        DataError
            If a cell cannot be read or is infinite, or no column carries anything.
        SchemaError
            If the table does not fit the schema given.
        ConfigError
            If a parameter has a value that cannot be used.
        """
        self._check_parameters()
        frame = read_frame(X)
        rng = np.random.default_rng(self.random_state)
        codes = group_codes(group_column(frame, groups), len(frame))
        n_folds = 3 if frame.shape[1] > WIDE_TABLE else 5
        folds = plan_rows(len(frame), codes, MAX_FIT_ROWS, rng, n_folds=n_folds)
        self._note_columns(X, frame)
        self.schema_ = self.schema or infer_schema(
            frame, self.column_kinds, groups, named=has_names(X), rng=rng
        )
        self.schema_.check(frame)
        kept, folds = only_used(folds)
        used = self.schema_.cast(frame.iloc[kept]).reset_index(drop=True)
        codes = None if codes is None else codes[kept]
        layout = TableEncoder.fit(used.iloc[folds[0].fit], self.schema_.features)
        scorers, self.history_ = fit_scorers(
            used, layout, folds, codes, self._options(rng), progress
        )
        self._scorer = scorers[0]
        held_out = [
            self._score_table(scorer, scorer.encoder.transform(used.iloc[fold.held_out]))
            for scorer, fold in zip(scorers, folds, strict=True)
            if len(fold.held_out)
        ]
        self._calibrate(np.concatenate(held_out))
        self.fingerprint_ = fingerprint(frame)
        self.metrics_ = self._measure(len(frame), len(folds[0].fit))
        return self

    def evidence(self, X: Any) -> pd.DataFrame:
        """Return what each kind of evidence says, in nats; higher = more anomalous.

        Returns
        -------
        evidence : DataFrame of N rows
            ``reconstruction_nll`` and ``kl``, and their sum ``negative_elbo``; ``iw_nll``, the
            importance-weighted estimate of -log p (64 draws, the same for every row); and the
            surprise -log p of each term of the fused score, with ``fused`` itself.
        """
        frame, table = self._encoded(X)
        evidence = self._scorer.evidence(table, iw_draws=IW_DRAWS)
        terms = self._scorer.terms(table)
        columns = {
            "reconstruction_nll": evidence.reconstruction_nll,
            "kl": evidence.kl,
            "negative_elbo": -evidence.elbo,
            "iw_nll": evidence.iw_nll,
            **{f"{name}_surprise": surprise for name, surprise in terms.items()},
            "fused": fuse(terms, self._scorer.weights),
        }
        return pd.DataFrame(columns, index=frame.index)

    def explain(self, X: Any) -> pd.DataFrame:
        """Return what each column adds to the raw score of each row.

        Returns
        -------
        contributions : DataFrame of shape (N, columns), nats
            One column per column that the model reads; they sum to ``assess(X)["raw_score"]``.
            Negative parts speak for the row.
        """
        frame, table = self._encoded(X)
        parts = self._contributions(table)
        return pd.DataFrame(parts, index=frame.index, columns=list(self._scorer.encoder.names))

    def reasons(self, X: Any, top: int = 3) -> list[list[str]]:
        """Say in words what is unusual about each row, the most important first.

        Parameters
        ----------
        X : table of N rows
        top : int
            Most reasons per row.

        Returns
        -------
        reasons : list of N lists of str
            Such as ``"amount 4,310 where 20-180 is typical"``.
        """
        frame, table = self._encoded(X)
        if len(frame) == 0:
            return []
        parts = self._contributions(table)
        return reasons_for(self._scorer, frame, table, parts, top, entity_phrases(self.entities_))

    def missing_cells(self, X: Any) -> NDArray[np.int64]:
        """Return how many cells of each row were empty and had to be filled, shape (N,)."""
        _, table = self._encoded(X)
        return np.asarray(table.missing.sum(axis=1), dtype=np.int64)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the posterior means of the rows, shape (N, Z), float32."""
        _, table = self._encoded(X)
        main = self._scorer.main
        return encode(main.vae, main.look(table.numbers))[0]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the latents that `transform` gives."""
        check_is_fitted(self, "calibration_")
        n = self._scorer.main.vae.latent_dim
        return np.array([f"latent{i}" for i in range(n)], dtype=object)

    @torch.inference_mode()
    def reconstruct(self, X: Any) -> pd.DataFrame:
        """Return what the decoder expects at the posterior mean of each row.

        Returns
        -------
        expected : DataFrame of shape (N, columns)
            The likelihood's mean of numbers, the likeliest category, weekday and hour of times.
        """
        frame, table = self._encoded(X)
        main = self._scorer.main
        mean, _ = encode(main.vae, main.look(table.numbers))
        params = main.vae.decode(torch.from_numpy(mean).unsqueeze(0))
        n = len(main.vae.layout.gaussian)
        likelihood, sizes = main.vae.likelihood, main.vae.layout.classes
        blocks = torch.split(likelihood.probabilities(params)[0], list(sizes), 1) if sizes else ()
        codes = [block[:, :-1].argmax(1) for block in blocks]  # the last is "never seen"
        return self._decoded(params[0, :, :n].numpy(), codes, frame.index)

    def sample(self, n: int = 1, *, random_state: int | None = None) -> pd.DataFrame:
        """Generate rows from the prior.

        Parameters
        ----------
        n : int
        random_state : int, optional
            The same number gives the same rows.

        Returns
        -------
        rows : DataFrame of shape (n, columns)
        """
        check_is_fitted(self, "calibration_")
        seed = int(np.random.default_rng(random_state).integers(2**31))
        generator = torch.Generator().manual_seed(seed)
        vae = self._scorer.main.vae
        with torch.inference_mode():
            z = torch.randn(1, n, vae.latent_dim, generator=generator)
            drawn = vae.likelihood.sample(vae.decode(z), generator)[0]
        n_gaussian = len(vae.layout.gaussian)
        codes = list(drawn[:, n_gaussian:].long().T)
        return self._decoded(drawn[:, :n_gaussian].numpy(), codes, pd.RangeIndex(n))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []  # latents are float32
        return tags

    def _raw_score(self, X: Any) -> Floats:
        frame = self._typed(X)
        blocks = [frame.iloc[s : s + BLOCK] for s in range(0, len(frame), BLOCK)]
        scores = [
            self._score_table(self._scorer, self._scorer.encoder.transform(b)) for b in blocks
        ]
        return np.concatenate([np.empty(0), *scores])

    def _score_table(self, scorer: RowScorer, table: EncodedTable) -> Floats:
        """Return the chosen score of encoded rows, shape (N,), higher = more anomalous."""
        if self.score in ("fused", "latent"):
            terms = scorer.terms(table)
            if self.score == "latent":
                terms = {k: v for k, v in terms.items() if k.startswith("latent")}
            return fuse(terms, scorer.weights)
        draws = IW_DRAWS if self.score == "iw_nll" else 0
        evidence = scorer.evidence(table, iw_draws=draws)
        if self.score == "iw_nll":
            assert evidence.iw_nll is not None  # noqa: S101 - draws were asked for
            return evidence.iw_nll
        kinds = {"reconstruction": evidence.reconstruction_nll, "kl": evidence.kl}
        return kinds.get(self.score, -evidence.elbo)

    def _contributions(self, table: EncodedTable) -> Floats:
        raw = self._score_table(self._scorer, table)
        return contributions(self._scorer, table, self.score, raw)

    def _decoded(
        self, gaussian: NDArray[np.float32], codes: list[torch.Tensor], index: pd.Index[Any]
    ) -> pd.DataFrame:
        """Return the table of decoded features and codes."""
        main, encoder = self._scorer.main, self._scorer.encoder
        values = np.zeros((len(gaussian), len(encoder.features)))
        for place, feature in enumerate(main.vae.layout.gaussian):
            values[:, feature] = main.view.invert(feature, gaussian[:, place].astype(np.float64))
        chosen = torch.stack(codes, 1).numpy() if codes else _nearest_codes(encoder, values)
        return encoder.decode(values, chosen).set_index(index)

    def _encoded(self, X: Any) -> tuple[pd.DataFrame, EncodedTable]:
        frame = self._typed(X)
        return frame, self._scorer.encoder.transform(frame)

    def _typed(self, X: Any) -> pd.DataFrame:
        """Return the feature columns with their types, or raise what is wrong with them."""
        check_is_fitted(self, "calibration_")
        frame = self._named(X)
        plain = plain_numbers(frame, self.schema_)
        if plain is not None:
            return plain
        self.schema_.check(frame)
        return self.schema_.cast(frame)

    def _named(self, X: Any) -> pd.DataFrame:
        """Return a frame; an array gets the names of the training columns, in order."""
        frame = read_frame(X)
        if has_names(X):
            return frame
        self._check_width(frame)
        names: NDArray[np.object_] | None = getattr(self, "feature_names_in_", None)
        if names is None:
            return frame
        warnings.warn(
            f"X does not have valid feature names, but {type(self).__name__} was fitted with "
            "feature names",
            UserWarning,
            stacklevel=4,
        )
        return frame.set_axis(names, axis=1)

    def _check_width(self, frame: pd.DataFrame) -> None:
        if frame.shape[1] != self.n_features_in_:
            raise SchemaError(
                f"X has {frame.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input. Pass the columns it was trained on."
            )

    def _note_columns(self, X: Any, frame: pd.DataFrame) -> None:
        self.n_features_in_ = frame.shape[1]
        self.__dict__.pop("feature_names_in_", None)
        if has_names(X):
            self.feature_names_in_ = np.asarray(frame.columns, dtype=object)

    def _options(self, rng: np.random.Generator) -> FitOptions:
        chosen = PRESETS[self.preset]
        return FitOptions(
            views=chosen["views"],
            memory_sizes=chosen["memory_sizes"],
            hidden=self.hidden,
            latent_dim=self.latent_dim,
            beta=self.beta,
            max_steps=self.max_steps,
            seed=int(rng.integers(2**31)),
        )

    def _check_parameters(self) -> None:
        """Collect every parameter that cannot be used, then raise once."""
        rules: dict[str, tuple[bool, str]] = {
            "score": (self.score in SCORES, f"one of {', '.join(SCORES)}"),
            "preset": (self.preset in PRESETS, f"one of {', '.join(PRESETS)}"),
            "latent_dim": (self.latent_dim is None or self.latent_dim >= 1, "an int >= 1 or None"),
            "hidden": (self.hidden >= 1, "an int >= 1"),
            "beta": (self.beta > 0, "a number > 0: without KL it is no VAE"),
            "max_steps": (self.max_steps is None or self.max_steps >= 1, "an int >= 1 or None"),
            "target_fpr": (0 < self.target_fpr < 1, "a number in (0, 1)"),
        }
        wrong = [
            f"The {name!r} parameter of {type(self).__name__} must be {wanted}. "
            f"Got {getattr(self, name)!r}."
            for name, (fine, wanted) in rules.items()
            if not fine
        ]
        if wrong:
            raise ConfigError(" ".join(wrong))

    def _measure(self, n_rows: int, n_fit: int) -> dict[str, float]:
        last = self.history_.records[-1]
        return {
            "rows": float(n_rows),
            "fit_rows": float(n_fit),
            "held_out_rows": float(self.calibration_.n),
            "features": float(len(self._scorer.encoder.features)),
            "val_elbo": float(max(r["val_elbo"] for r in self.history_.records)),
            "val_nll": float(last["val_nll"]),
            "val_kl": float(last["val_kl"]),
            "best_step": float(self.history_.best_step),
            "threshold": float(self.threshold_.value),
        }

    def _state(self) -> DetectorState:
        header, weights, rest = self._scorer.state()
        config = self.get_params(deep=False) | {"schema": None}
        if self.column_kinds is not None:
            config["column_kinds"] = dict(self.column_kinds)
        names = getattr(self, "feature_names_in_", None)
        return DetectorState(
            kind=self.kind,
            config=config,
            schema=self.schema_.to_dict(),
            preprocessing={
                **header,
                "n_features_in": self.n_features_in_,
                "feature_names_in": None if names is None else [str(name) for name in names],
                **entity_header(self.entities_),
            },
            weights=weights,
            calibration={
                **{f"scorer.{k}": v for k, v in rest.items()},
                "reference": self.calibration_.reference,
                **entity_arrays(self.entities_),
            },
            threshold=self.threshold_.to_dict(),
            fingerprint=self.fingerprint_,
            metrics=self.metrics_,
        )

    @classmethod
    def _from_state(cls, state: DetectorState) -> Self:
        detector = cls(**state.config)
        detector.schema_ = Schema.from_dict(state.schema or {})
        made = state.preprocessing
        detector.n_features_in_ = int(made["n_features_in"])
        if made["feature_names_in"] is not None:
            detector.feature_names_in_ = np.array(made["feature_names_in"], dtype=object)
        start = "scorer."
        rest = {k[len(start) :]: v for k, v in state.calibration.items() if k.startswith(start)}
        detector._scorer = RowScorer.from_state(made, state.weights, rest)
        detector.entities_ = entities_from_state(made, state.calibration)
        detector.calibration_ = ConformalCalibration(state.calibration["reference"])
        detector.threshold_ = Threshold.from_dict(state.threshold or {})
        detector.fingerprint_, detector.metrics_ = state.fingerprint, state.metrics
        return detector


def _nearest_codes(encoder: TableEncoder, values: Floats) -> NDArray[np.int64]:
    """Return the codes whose features lie nearest to decoded ones, shape (N, discrete columns)."""
    codes = [
        np.argmin(np.square(values[:, None, where] - book[None, :-1]).sum(axis=2), axis=1)
        for where, book in encoder.codebook()
    ]
    return np.stack(codes, axis=1) if codes else np.empty((len(values), 0), dtype=np.int64)

"""`TabularVAEDetector`: a variational autoencoder for tables, with the scikit-learn face.

The score of a row is read from the VAE in several ways. Its posterior mean is compared with those
of normal rows, in units of the posterior's standard deviation (a nearest-neighbour reading of the
aggregated posterior); the row itself is compared with normal rows, for gap and local density; and
where the table is categorical or mostly discrete, the ELBO under a likelihood of the columns' own
kinds joins. Every term becomes -log p among normal rows, and these are added, over two views of the
table. How the vote is shared between latents and rows is decided without labels: by which of VAE
and exemplars explains held-out normals better (`vae_anomaly.detectors.tabular.fit.trust`).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import Floats, Ints, Objects
from vae_anomaly.data.tables.entity_histories import EntityHistories
from vae_anomaly.data.tables.fingerprints import fingerprint
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.detectors.tabular.augment import only_real
from vae_anomaly.detectors.tabular.encode.table import EncodedTable, TableEncoder
from vae_anomaly.detectors.tabular.examination import IW_DRAWS, TabularEvidenceMixin
from vae_anomaly.detectors.tabular.fit.collapse import training_metrics
from vae_anomaly.detectors.tabular.fit.folds import held_out_groups, only_used, plan_rows
from vae_anomaly.detectors.tabular.fit.networks import fit_scorers
from vae_anomaly.detectors.tabular.fit.trimming import usual_scores
from vae_anomaly.detectors.tabular.input import (
    counted_rows,
    has_names,
    infer_schema,
    plain_numbers,
    read_frame,
)
from vae_anomaly.detectors.tabular.latents import TabularLatentsMixin
from vae_anomaly.detectors.tabular.memory.plan import max_memory_rows
from vae_anomaly.detectors.tabular.model import RowScorer
from vae_anomaly.detectors.tabular.parameters import check_parameters, fit_options
from vae_anomaly.detectors.tabular.saved import fill_detector, state_of
from vae_anomaly.errors import SchemaError
from vae_anomaly.persistence import DetectorState
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.conformal import ConditionalScale
from vae_anomaly.scoring.fusion import fuse
from vae_anomaly.vae.diagnostics import collapse_warning

Score = Literal["fused", "reconstruction", "elbo", "iw_nll", "kl", "latent"]
Model = Literal[
    "vae", "beta", "denoising", "conditional", "ladder", "autoencoder", "importance_weighted",
    "mixture", "vamp",
]  # fmt: skip
logger = logging.getLogger(__name__)

MAX_FIT_ROWS = 10_000
WIDE_TABLE = 400  # columns from which scarce rows are cut into 3 folds
BLOCK = 16_384  # rows held as features at a time


class TabularVAEDetector(TabularEvidenceMixin, TabularLatentsMixin, BaseVAEDetector):
    """Detect anomalous rows of a table with a VAE trained on normal rows only.

    Parameters
    ----------
    score : {"fused", "reconstruction", "elbo", "iw_nll", "kl", "latent"}
        The evidence that is calibrated and explained. "fused" is the default and the best; the
        others are single quantities of the same VAE.
    preset : {"default", "fast", "thorough"}
        "fast" looks at one view of the table and scores about twice as many rows a second;
        "thorough" remembers more rows.
    model : str
        Member of the family. "vae" is the default and the best for most tables; "beta" has a
        stronger KL, "denoising" is trained on noisy rows, "conditional" compares rows within the
        values of a column, "ladder" has two layers of latents, "importance_weighted" is trained on
        a tighter bound, "mixture" and "vamp" learn their prior; "autoencoder" has none, as the
        baseline. All but the first three train one network after another, and see every feature
        as Gaussian.
    condition : str, optional
        With model="conditional": the categorical or boolean column that is told to the network
        and not asked back, such as the product. A change of product is then no alarm; a value
        that does not fit the product is, and so is a product that training never had. P-values
        are made within each condition that has 100 held-out normals or more.
    schema : Schema, optional
        Columns and kinds; inferred from the training table where left out.
    column_kinds : mapping of str to str, optional
        Kinds of some columns that stand whatever the values say: ``{"zip": "categorical"}``.
    latent_dim : int, optional
        Left out: the number of encoded features, at least 2 and at most 32.
    hidden : int
        Width of the hidden layers.
    beta : float, optional
        Weight of the KL in training; scores and validation use 1. Left out: 2, or 4 for
        model="beta", or 1 for "ladder", "mixture" and "vamp". "autoencoder" and
        "importance_weighted" have no such weight.
    max_steps : int, optional
        Left out: 60 epochs, at least 250 and at most 300 steps.
    memory : int, optional
        Normal rows that the model keeps and compares new rows with, at least 100. More cost time
        and space in proportion and find more; see Notes. Left out: 8,960, or 10,000 with
        ``preset="thorough"``. In latent space fewer are kept: 4,096 for 8,960.
    contamination : float
        Expected share of anomalies among the training rows, from 0 to below 0.5. Above 0, the
        strangest rows of training and calibration are left out; see Notes. Unlike elsewhere in
        scikit-learn it does not set the threshold: ``target_fpr`` does.
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
    metrics_ : dict of str to float
        Among others ``latents``, ``active_units`` (posterior means that vary over the training
        rows) and ``expected_active_units``; a collapse is logged as a warning with its remedy.
        ``fit_rows`` trained the networks, ``memory_rows`` are kept for ``remembered_rows``.
    n_features_in_ : int
        Columns of the training table.
    entities_ : EntityHistories or None
        What makes the columns that are relative to an entity's own past, with its state at the end
        of training; `train_table_job` sets it, and it is saved with the model. Rows given to the
        detector have these columns already: ``detector.entities_.copy().extend(rows)``.

    Notes
    -----
    The networks, and what is known of each column, are made of at most 10,000 rows. Calibration
    rows are others: a tenth of the table, at least 500 rows, where it has 2,000; below that every
    row is scored once by a detector that was trained without it.

    The memory of a longer table is a weighted summary of up to 60,000 rows (fewer of more than 50
    columns): dense regions are thinned out, rare kinds of rows kept, and each exemplar counts as
    many rows as lie nearest to it. So is the memory of 5,000 rows or more where a smaller
    ``memory`` is asked for; else it is a uniform draw, as always with ``contamination``, since a
    summary would keep the anomalies.

    With ``contamination=c`` the strangest 2c of the training rows, at least 2 %, by neighbours and
    ELBO together, are left out of the memories, and those of the largest c of the held-out scores
    that stand apart of the calibration. `metrics_` counts both: ``trimmed_rows``,
    ``dropped_held_out``. `docs/concepts.md` says what p-values are worth then.

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
        model: Model = "vae",
        condition: str | None = None,
        schema: Schema | None = None,
        column_kinds: Mapping[str, str] | None = None,
        latent_dim: int | None = None,
        hidden: int = 64,
        beta: float | None = None,
        max_steps: int | None = None,
        memory: int | None = None,
        contamination: float = 0.0,
        target_fpr: float = 0.01,
        random_state: int | None = None,
    ) -> None:
        self.score = score
        self.preset = preset
        self.model = model
        self.condition = condition
        self.schema = schema
        self.column_kinds = column_kinds
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.beta = beta
        self.max_steps = max_steps
        self.memory = memory
        self.contamination = contamination
        self.target_fpr = target_fpr
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn what normal rows look like.

        Parameters
        ----------
        X : DataFrame, Arrow table, polars frame or array of shape (N, D)
            Normal rows, at least 10. Missing cells are data. Rows whose column ``synthetic`` is
            true were generated: they are left out, and a warning says how many.
        y : ignored
        groups : array of shape (N,) or str, optional
            Customer, machine, part of each row, or the column that names it. Rows of one group are
            held out together.
        sample_weight : array of shape (N,), optional
            How often each row counts, in training, memory and calibration alike: 2 is a row that
            is there twice, 0 one that is not there, 0.3 one that is there with probability 0.3.
            Copies of a row are held out together and do not vouch for each other.
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
        check_parameters(self)
        X, groups = only_real(X, groups, self._declared())
        frame = read_frame(X)
        rng = np.random.default_rng(self.random_state)
        frame, distinct, codes = counted_rows(frame, groups, sample_weight, rng)
        n_folds = 3 if frame.shape[1] > WIDE_TABLE else 5
        most = 0 if self.contamination else max_memory_rows(frame.shape[1])
        folds = plan_rows(
            len(frame), codes, MAX_FIT_ROWS, rng, n_folds=n_folds, max_memory_rows=most
        )
        self._note_columns(X, frame)
        self.schema_ = self.schema or infer_schema(
            distinct, self.column_kinds, groups, named=has_names(X), rng=rng
        )
        self.schema_.check(frame)
        kept, folds = only_used(folds)
        used = self.schema_.cast(frame.iloc[kept]).reset_index(drop=True)
        codes = None if codes is None else codes[kept]
        layout = TableEncoder.fit(used.iloc[folds[0].fit], self.schema_.features)
        scorers, fitted, self.history_ = fit_scorers(
            used, layout, folds, codes, fit_options(self, rng), progress
        )
        self._scorer = scorers[0]
        self._calibrate_on(
            [
                (scorer, scorer.encoder.transform(used.iloc[fold.held_out]))
                for scorer, fold in zip(scorers, folds, strict=True)
                if len(fold.held_out)
            ],
            None if groups is None or codes is None else held_out_groups(codes, folds),
        )
        self.fingerprint_ = fingerprint(frame)
        self.metrics_ = training_metrics(self, len(frame), used.iloc[fitted[0].fit])
        if self.contamination:
            n_held_out = sum(len(fold.held_out) for fold in folds)
            self._tell_trimmed(len(folds[0].fit) - len(fitted[0].fit), n_held_out)
        if warning := collapse_warning(self.metrics_):
            logger.warning("%s.", warning)
        return self

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
        scores = [self._scaled_score(self._scorer.encoder.transform(b)) for b in blocks]
        return np.concatenate([np.empty(0), *scores])

    def _scaled_score(self, table: EncodedTable) -> Floats:
        """Return the raw score of encoded rows; under a condition, -ln p within it, nats."""
        raw = self._score_table(self._scorer, table)
        if self._scale is None or not len(raw):
            return raw
        return self._scale(raw, self._scorer.condition_codes(table))

    def _calibrate_on(
        self,
        held_out: list[tuple[RowScorer, EncodedTable]],
        groups: Ints | None = None,
    ) -> None:
        """Calibrate on rows that nothing of their scorer was fitted on."""
        raw = np.concatenate([self._score_table(scorer, table) for scorer, table in held_out])
        self._scale = None
        if self._scorer.condition is not None:
            codes = np.concatenate([scorer.condition_codes(table) for scorer, table in held_out])
            scaled = ConditionalScale(raw, codes)(raw, codes)
            kept = usual_scores(scaled, self.contamination)
            raw, codes = raw[kept], codes[kept]
            self._scale = ConditionalScale(raw, codes)
            raw = self._scale(raw, codes)
        else:
            kept = usual_scores(raw, self.contamination)
            raw = raw[kept]
        self._calibrate(raw, None if groups is None else groups[kept])

    def _tell_trimmed(self, n_trimmed: int, n_held_out: int) -> None:
        """Say how many rows were left out of memories and calibration as possible anomalies."""
        n_dropped = n_held_out - self.calibration_.n
        self.metrics_ |= {"trimmed_rows": float(n_trimmed), "dropped_held_out": float(n_dropped)}
        logger.info(
            "Expecting %g %% anomalies, left out the %d strangest training rows and %d of %d "
            "held-out rows.",
            100.0 * self.contamination, n_trimmed, n_dropped, n_held_out,
        )  # fmt: skip

    def _score_table(self, scorer: RowScorer, table: EncodedTable) -> Floats:
        """Return the chosen score of encoded rows, shape (N,), higher = more anomalous."""
        if self.score in ("fused", "latent"):
            return fuse(*scorer.terms_of(self.score, table))
        draws = IW_DRAWS if self.score == "iw_nll" else 0
        evidence = scorer.evidence(table, iw_draws=draws)
        if self.score == "iw_nll":
            assert evidence.iw_nll is not None  # noqa: S101 - draws were asked for
            return evidence.iw_nll
        kinds = {"reconstruction": evidence.reconstruction_nll, "kl": evidence.kl}
        return kinds.get(self.score, -evidence.elbo)

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
        names: Objects | None = getattr(self, "feature_names_in_", None)
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

    def _declared(self) -> set[str]:
        """Return the columns of which the owner said what they are."""
        known = () if self.schema is None else [column.name for column in self.schema.features]
        return {*known, *(self.column_kinds or {})}

    def _state(self) -> DetectorState:
        return state_of(self)

    @classmethod
    def _from_state(cls, state: DetectorState) -> Self:
        detector = cls(**state.config)
        fill_detector(detector, state)
        return detector

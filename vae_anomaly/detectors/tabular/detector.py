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
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import Floats, Floats32, Ints, Objects
from vae_anomaly.data.tables.entity_histories import EntityHistories
from vae_anomaly.data.tables.read import fingerprint
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.detectors.latent_space import LatentSpaceMixin
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.explain import explain
from vae_anomaly.detectors.tabular.fit.fitting import fit_table, plan_folds, training_metrics
from vae_anomaly.detectors.tabular.fit.training_rows import counted_rows, infer_schema, only_real
from vae_anomaly.detectors.tabular.input import (
    has_names,
    named_rows,
    read_frame,
    single_row,
    typed_rows,
)
from vae_anomaly.detectors.tabular.latents import (
    augment,
    commonest_condition,
    decoded,
    generated,
    training_latents,
)
from vae_anomaly.detectors.tabular.model import TabularModel
from vae_anomaly.detectors.tabular.outliers import described_rows
from vae_anomaly.detectors.tabular.reasons import reasons
from vae_anomaly.detectors.tabular.saved import arrays_of, header_of, model_from, weights_of
from vae_anomaly.detectors.tabular.settings import Score, TableSettings, check_parameters
from vae_anomaly.persistence import DetectorState
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.scoring.judging import judge
from vae_anomaly.thresholds import Threshold
from vae_anomaly.vae.diagnostics import collapse_warning

Model = Literal[
    "vae", "beta", "denoising", "conditional", "ladder", "autoencoder", "importance_weighted",
    "mixture", "vamp",
]  # fmt: skip
logger = logging.getLogger(__name__)


class TabularVAEDetector(
    LatentSpaceMixin[pd.DataFrame],
    TransformerMixin,  # type: ignore[misc]  # sklearn is untyped
    BaseVAEDetector,
):
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
        most anomalous rows of training and calibration are left out; see Notes. Unlike elsewhere in
        scikit-learn it does not set the threshold: ``target_fpr`` does.
    target_fpr : float
        False-positive rate of the default threshold.
    outliers : {"drop", "keep"}
        Leave out held-out rows that stand far apart from all others, at most 2 in 100 (or 2), and
        name them in ``left_out_``; or keep them. With ``contamination`` that alone decides.
    random_state : int or None
        None draws a fresh seed.

    Attributes
    ----------
    model_ : TabularModel
        All that was learned and that scores rows, immutable.
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

    With ``contamination=c`` the most anomalous 2c of the training rows, at least 2 %, by neighbours
    and ELBO together, are left out of the memories, and those of the largest c of the held-out
    scores that stand apart of the calibration. `metrics_` counts both: ``trimmed_rows``,
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
    model_: TabularModel

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
        outliers: Literal["drop", "keep"] = "drop",
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
        self.outliers = outliers
        self.random_state = random_state

    def fit(
        self,
        X: object,
        y: object = None,
        *,
        groups: object = None,
        sample_weight: object = None,
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
        settings = TableSettings(**self.get_params(deep=False))
        check_parameters(settings)
        X, groups = only_real(X, groups, settings.declared)
        frame, rng = read_frame(X), np.random.default_rng(self.random_state)
        rows = counted_rows(frame, groups, sample_weight, rng)
        folds = plan_folds(rows, self.contamination, rng)
        self._note_columns(X, frame)
        schema = self.schema or infer_schema(
            rows.distinct, self.column_kinds, groups, named=has_names(X), rng=rng
        )
        settings = replace(settings, seed=int(rng.integers(2**31)), start=self.start_)
        fitted = fit_table(rows, folds, schema, settings, progress)
        self.model_ = replace(fitted.model, entities=self.entities_)
        self.history_, self.held_out_ = fitted.history, fitted.held_out
        self._calibrate(fitted.held_out.raw_score, fitted.held_out.groups)
        self.fingerprint_ = fingerprint(rows.frame)
        self.metrics_ = training_metrics(
            fitted, settings, len(rows.frame), float(self.threshold_.value)
        )
        odd, known = fitted.left_out, (self.model_, self.calibration_, self.threshold_.value)
        self._note_left_out(described_rows(rows.frame.iloc[odd], rows.labels[odd], *known))
        if warning := collapse_warning(self.metrics_):
            logger.warning("%s.", warning)
        return self

    @property
    def schema_(self) -> Schema:
        """Columns that the model reads, and their kinds."""
        return self.model_.schema

    @property
    def known_values_(self) -> dict[str, tuple[str, ...]]:
        """The values that training had of each categorical column, the most frequent first."""
        return self.model_.encoder.known_values

    @property
    def entities_(self) -> EntityHistories | None:
        """What makes the columns that are relative to an entity's own past."""
        return self.model_.entities if hasattr(self, "model_") else None

    @entities_.setter
    def entities_(self, entities: EntityHistories | None) -> None:
        check_is_fitted(self, "model_")
        self.model_ = replace(self.model_, entities=entities)

    def examine(self, X: object) -> TableExamination:
        """Look at rows once, for all that is asked of them.

        Its ``raw_score`` is what `assess` turns into a verdict. ``take(places)`` gives some of the
        rows, of which `reasons_of` says what is unusual. What answers nothing is not computed.
        """
        return TableExamination(self.model_, self._typed(X))

    def evidence(self, X: object) -> pd.DataFrame:
        """Return what each kind of evidence says, in nats; higher = more anomalous.

        Returns
        -------
        evidence : DataFrame of N rows
            ``reconstruction_nll`` and ``kl``, and their sum ``negative_elbo``; ``iw_nll``, the
            importance-weighted estimate of -log p (64 draws, the same for every row); and the
            surprise -log p of each term of the fused score, with ``fused`` itself. The KL is that
            to the model's own prior. An autoencoder has no prior, hence none of ``kl``,
            ``negative_elbo`` and ``iw_nll``.
        """
        return self.examine(X).evidence_table()

    def explain(self, X: object) -> pd.DataFrame:
        """Return what each column adds to the raw score of each row.

        Returns
        -------
        contributions : DataFrame of shape (N, columns), nats
            One column per column that the model reads; they sum to ``assess(X)["raw_score"]``.
            Negative parts speak for the row.
        """
        return explain(self.examine(X))

    def reasons(self, X: object, top: int = 3) -> list[list[str]]:
        """Say in words what is strange about each row, the most important first.

        A reason is strange by itself (``"shop 'casino', never seen in training"``) or beside
        another cell (``"amount 900, usual with shop 'bakery' is 2 to 60"``). A flagged row has at
        least one: where no cell is strange, it is an unusual combination. A normal row may have
        none.

        Parameters
        ----------
        X : table of N rows
        top : int
            Most reasons per row.

        Returns
        -------
        reasons : list of N lists of str
            Such as ``"amount 4,310, usual is 20 to 180"``.
        """
        return self.reasons_of(self.examine(X), top)

    def reasons_of(self, examination: TableExamination, top: int = 3) -> list[list[str]]:
        """Say what is unusual about each row of an examination, as `reasons` does.

        Give it ``examine(X).take(places)`` where only some rows, those that are flagged, are to be
        explained: nothing is searched for a second time.
        """
        scores = examination.raw_score
        verdicts = judge(scores, self.calibration_, self.threshold_.value)
        return reasons(examination, verdicts.is_anomaly, top)

    def missing_cells(self, X: object) -> Ints:
        """Return how many cells of each row were empty and had to be filled, shape (N,)."""
        return np.asarray(self.examine(X).table.missing.sum(axis=1), dtype=np.int64)

    def transform(self, X: object) -> Floats32:
        """Return the posterior means of the rows, shape (N, Z), float32."""
        return self.examine(X).main.means

    def get_feature_names_out(self, input_features: object = None) -> Objects:
        """Return the names of the latents that `transform` gives."""
        check_is_fitted(self, "calibration_")
        n = self.model_.main.network.latent_dim
        return np.array([f"latent{i}" for i in range(n)], dtype=object)

    def reconstruct(self, X: object) -> pd.DataFrame:
        """Return what the decoder expects at the posterior mean of each row.

        Returns
        -------
        expected : DataFrame of shape (N, columns)
            The likelihood's mean of numbers, the likeliest category, weekday and hour of times.
        """
        examination = self.examine(X)
        expected = decoded(self.model_, examination.main.means, examination.main.viewed)
        return expected.set_index(examination.frame.index)

    def augment(
        self,
        rows: object,
        n: int,
        *,
        sampler: Literal["normal", "gmm"] = "normal",
        random_state: int | None = None,
    ) -> pd.DataFrame:
        """Add generated rows that resemble the given ones, for example of a rare class.

        Parameters
        ----------
        rows : table of 2 or more rows
        n : int
            Rows to generate.
        sampler : {"normal", "gmm"}
            What is fitted to the rows' latents.
        random_state : int, optional
            The same number gives the same rows.

        Returns
        -------
        augmented : DataFrame of len(rows) + n rows
            The given rows first. The column ``synthetic`` is True for generated rows: `fit`,
            ``evaluate`` and ``threshold tune`` leave them out, and so should your own tests. A
            column that the model does not read has one value (a label) or none (an id) in them.

        Raises
        ------
        NotEnoughDataError
            If there is a single row.
        ConfigError
            If ``n`` or ``sampler`` is not as above, or the model reads a column ``synthetic``.
        """
        check_is_fitted(self, "calibration_")
        return augment(self.model_, self._named(rows), n, sampler, random_state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []  # latents are float32
        return tags

    def _raw_score(self, X: object) -> Floats:
        return self.examine(X).raw_score

    def _decode(self, z: Floats32) -> pd.DataFrame:
        return decoded(self.model_, z, commonest_condition(self.model_, len(z)))

    def _generate(self, z: torch.Tensor, generator: torch.Generator) -> pd.DataFrame:
        return generated(self.model_, z, generator)

    def _draw_prior(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return self.model_.main.network.draw_prior(n, generator)

    def _latent_reference(self) -> Floats32:
        return training_latents(self.model_)

    def _one(self, item: object) -> object:
        return single_row(item)

    def _typed(self, X: object) -> pd.DataFrame:
        """Return the feature columns with their types, or raise what is wrong with them."""
        check_is_fitted(self, "calibration_")
        return typed_rows(self._named(X), self.schema_)

    def _named(self, X: object) -> pd.DataFrame:
        names = getattr(self, "feature_names_in_", None)
        return named_rows(X, names, self.n_features_in_, type(self).__name__)

    def _note_columns(self, X: object, frame: pd.DataFrame) -> None:
        self.n_features_in_ = frame.shape[1]
        self.__dict__.pop("feature_names_in_", None)
        if has_names(X):
            self.feature_names_in_ = np.asarray(frame.columns, dtype=object)

    def _state(self) -> DetectorState:
        config = self.get_params(deep=False) | {"schema": None, "score": self.model_.score}
        if self.column_kinds is not None:
            config["column_kinds"] = dict(self.column_kinds)
        names = getattr(self, "feature_names_in_", None)
        groups = self.calibration_groups_
        return DetectorState(
            kind=self.kind,
            config=config,
            schema=self.schema_.to_dict(),
            preprocessing={
                **header_of(self.model_),
                "n_features_in": self.n_features_in_,
                "feature_names_in": None if names is None else [str(name) for name in names],
            },
            weights=weights_of(self.model_),
            calibration={
                **arrays_of(self.model_),
                **({} if groups is None else {"reference_groups": groups}),
                "reference": self.calibration_.reference,
            },
            threshold=self.threshold_.to_dict(),
            fingerprint=self.fingerprint_,
            metrics=self.metrics_,
        )

    @classmethod
    def _from_state(cls, state: DetectorState) -> Self:
        detector, header = cls(**state.config), state.preprocessing
        detector.model_ = model_from(state)
        detector.n_features_in_ = int(header["n_features_in"])
        if header["feature_names_in"] is not None:
            detector.feature_names_in_ = np.array(header["feature_names_in"], dtype=object)
        detector.calibration_ = ConformalCalibration(state.calibration["reference"])
        if "reference_groups" in state.calibration:
            detector.calibration_groups_ = state.calibration["reference_groups"]
        detector.set_threshold(Threshold.from_dict(state.threshold or {}))
        detector.fingerprint_, detector.metrics_ = state.fingerprint, state.metrics
        return detector

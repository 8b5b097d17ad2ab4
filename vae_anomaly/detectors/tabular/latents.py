"""From rows to the latents of a fitted table detector, and back to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import Floats32, Objects
from vae_anomaly.detectors.latent_space import MAX_REFERENCE, LatentSpaceMixin
from vae_anomaly.detectors.tabular.augment import augment_rows
from vae_anomaly.detectors.tabular.generate import (
    commonest_condition,
    decoded,
    drawn,
    usual_conditions,
)
from vae_anomaly.detectors.tabular.input import single_row
from vae_anomaly.detectors.tabular.model import encode

if TYPE_CHECKING:
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector


class TabularLatentsMixin(
    LatentSpaceMixin[pd.DataFrame],
    TransformerMixin,  # type: ignore[misc]  # sklearn is untyped
):
    """Latents of rows, rows of latents.

    `transform` stays in a subclass of ``TransformerMixin``: scikit-learn's ``set_output`` wraps a
    method in the class that defines it.
    """

    def transform(self, X: Any) -> Floats32:
        """Return the posterior means of the rows, shape (N, Z), float32."""
        detector = cast("TabularVAEDetector", self)
        _, table = detector._encoded(X)
        main = detector._scorer.main
        return encode(main.vae, main.look(table.numbers))[0]

    def get_feature_names_out(self, input_features: Any = None) -> Objects:
        """Return the names of the latents that `transform` gives."""
        detector = cast("TabularVAEDetector", self)
        check_is_fitted(self, "calibration_")
        n = detector._scorer.main.vae.latent_dim
        return np.array([f"latent{i}" for i in range(n)], dtype=object)

    def reconstruct(self, X: Any) -> pd.DataFrame:
        """Return what the decoder expects at the posterior mean of each row.

        Returns
        -------
        expected : DataFrame of shape (N, columns)
            The likelihood's mean of numbers, the likeliest category, weekday and hour of times.
        """
        detector = cast("TabularVAEDetector", self)
        frame, table = detector._encoded(X)
        rows = detector._scorer.main.look(table.numbers)
        mean, _ = encode(detector._scorer.main.vae, rows)
        return decoded(detector._scorer, mean, rows).set_index(frame.index)

    def augment(
        self,
        rows: Any,
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
        detector = cast("TabularVAEDetector", self)
        return augment_rows(detector, detector._named(rows), n, sampler, random_state)

    def _decode(self, z: Floats32) -> pd.DataFrame:
        detector = cast("TabularVAEDetector", self)
        return decoded(detector._scorer, z, commonest_condition(detector._scorer, len(z)))

    def _generate(self, z: torch.Tensor, generator: torch.Generator) -> pd.DataFrame:
        detector = cast("TabularVAEDetector", self)
        like = usual_conditions(detector._scorer, len(z), generator)
        return drawn(detector._scorer, z, like, generator)

    def _draw_prior(self, n: int, generator: torch.Generator) -> torch.Tensor:
        detector = cast("TabularVAEDetector", self)
        return detector._scorer.main.vae.draw_prior(n, generator)

    def _latent_reference(self) -> Floats32:
        detector = cast("TabularVAEDetector", self)
        main = detector._scorer.main
        exemplars = main.latents.even[:MAX_REFERENCE]
        return np.asarray(exemplars * main.spread, dtype=np.float32)

    def _one(self, item: Any) -> Any:
        return single_row(item)

"""From latents back to rows: what a decoder expects, and rows drawn from its likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from vae_anomaly.arrays import AnyArray, Floats, Floats32, Ints
from vae_anomaly.data.tables.generated import SYNTHETIC, refuse_taken_name, synthetic_rows
from vae_anomaly.detectors.latent_space import (
    MAX_REFERENCE,
    SamplerName,
    fitted_sampler,
    seeded_generator,
)
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.input import typed_rows
from vae_anomaly.detectors.tabular.model import TabularModel
from vae_anomaly.errors import ConfigError


def training_latents(model: TabularModel) -> Floats32:
    """Return posterior means of training normals, (M, Z), at most 2,000."""
    exemplars = model.main.latents.even[:MAX_REFERENCE]
    return np.asarray(exemplars * model.main.spread, dtype=np.float32)


@torch.inference_mode()
def decoded(model: TabularModel, z: Floats32, like: Floats32) -> pd.DataFrame:
    """Return what the decoder expects at latents (N, Z), under the conditions of ``like``."""
    network = model.main.network
    params = network.decode(torch.from_numpy(z), torch.from_numpy(like))
    n, sizes = len(network.layout.gaussian), network.layout.classes
    blocks = torch.split(network.probabilities(params), list(sizes), 1) if sizes else ()
    codes = [block[:, :-1].argmax(1) for block in blocks]  # the last is "never seen"
    return _table(model, params[:, :n].numpy(), codes, like)


@torch.inference_mode()
def generated(model: TabularModel, z: torch.Tensor, generator: torch.Generator) -> pd.DataFrame:
    """Draw rows at latents (N, Z), with conditions as often as training had them."""
    network, like = model.main.network, _usual_conditions(model, len(z), generator)
    targets = network.draw(network.decode(z, torch.from_numpy(like)), generator)
    n = len(network.layout.gaussian)
    return _table(model, targets[:, :n].numpy(), list(targets[:, n:].long().T), like)


def _usual_conditions(model: TabularModel, n: int, generator: torch.Generator) -> Floats32:
    """Return rows (n, D) with conditions as often as training had them; zeros without one."""
    exemplars = model.main.data.even
    if model.main.condition is None:
        return np.zeros((n, exemplars.shape[1]), dtype=np.float32)
    picked = torch.randint(len(exemplars), (n,), generator=generator).numpy()
    return np.asarray(exemplars[picked], dtype=np.float32)


def commonest_condition(model: TabularModel, n: int) -> Floats32:
    """Return rows (n, D) of the condition that training had most often; zeros without one."""
    condition, exemplars = model.main.condition, model.main.data.even
    if condition is None:
        return np.zeros((n, exemplars.shape[1]), dtype=np.float32)
    codes = condition.codes(exemplars)
    example = exemplars[np.argmax(codes == np.bincount(codes).argmax())]
    return np.repeat(example[None], n, axis=0)


def _table(
    model: TabularModel, gaussian: Floats32, codes: list[torch.Tensor], like: Floats32
) -> pd.DataFrame:
    """Return the table of decoded features and codes, under the conditions of ``like``."""
    main, encoder = model.main, model.encoder
    values = np.zeros((len(gaussian), len(encoder.features)))
    for place, feature in enumerate(main.network.layout.gaussian):
        values[:, feature] = main.invert(feature, gaussian[:, place].astype(np.float64), like)
    chosen = torch.stack(codes, 1).numpy() if codes else _nearest_codes(encoder, values)
    if model.condition is not None and main.condition is not None:
        chosen[:, encoder.discrete.index(model.condition)] = main.condition.codes(like)
    return encoder.decode(values, chosen)


def _nearest_codes(encoder: TableEncoder, values: Floats) -> Ints:
    """Return the codes whose features lie nearest to decoded ones, shape (N, discrete columns)."""
    codes = [
        np.argmin(np.square(values[:, None, where] - book[None, :-1]).sum(axis=2), axis=1)
        for where, book in encoder.codebook()
    ]
    return np.stack(codes, axis=1) if codes else np.empty((len(values), 0), dtype=np.int64)


def augment(
    model: TabularModel,
    rows: pd.DataFrame,
    n: int,
    sampler: SamplerName,
    random_state: int | None,
) -> pd.DataFrame:
    """Return the rows, then n generated ones like them; see `TabularVAEDetector.augment`."""
    if n < 1 or sampler not in ("normal", "gmm"):
        raise ConfigError(
            "augment needs n >= 1 and a sampler of normal or gmm, which is fitted to the rows; "
            f"got n={n} and sampler={sampler!r}. For rows from the prior call sample()."
        )
    features = [column.name for column in model.schema.features]
    refuse_taken_name(features)
    rows = rows.reset_index(drop=True)
    earlier = synthetic_rows(rows)
    means = TableExamination(model, typed_rows(rows[~earlier], model.schema)).main.means
    generator = seeded_generator(random_state)
    more = generated(model, fitted_sampler(sampler, means).sample(n, generator), generator)
    columns = {
        str(name): _lengthened(rows[name], more[name] if name in features else None, n)
        for name in rows.columns
        if name != SYNTHETIC
    }
    marks = np.concatenate([earlier, np.ones(n, dtype=np.bool_)])
    return pd.DataFrame({**columns, SYNTHETIC: marks})


def _lengthened(column: pd.Series, more: pd.Series | None, n: int) -> pd.Series:
    """Return a column with n generated cells after its own.

    A column that the model does not read keeps its value where that is one and the same (a label),
    and stays empty otherwise (an id).
    """
    if more is not None:
        return pd.concat([column, _as_stored(more, column)], ignore_index=True)
    longer = column.reindex(range(len(column) + n))
    if len(pd.unique(column)) == 1:
        same: AnyArray = np.repeat(column.to_numpy()[:1], len(longer))
        return pd.Series(same).astype(column.dtype)
    return longer


def _as_stored(cells: pd.Series, like: pd.Series) -> pd.Series:
    """Return generated cells in the type of the column that they continue."""
    kind = like.dtype
    if pd.api.types.is_bool_dtype(kind):
        return (cells > 0.5).astype(kind)
    if pd.api.types.is_integer_dtype(kind):
        return cells.round().astype(kind)
    if isinstance(kind, pd.CategoricalDtype) and cells.isin(kind.categories).all():
        return cells.astype(kind)
    if not pd.api.types.is_datetime64_dtype(cells.dtype):
        return cells
    if isinstance(kind, pd.DatetimeTZDtype):
        zoned: pd.Series = cells.dt.tz_localize("UTC").astype(kind)
        return zoned
    if pd.api.types.is_datetime64_dtype(kind):
        return cells.astype(kind)
    text: pd.Series = cells.dt.strftime("%Y-%m-%dT%H:%M:%S")
    return text

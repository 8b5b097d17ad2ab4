"""Bounds on combined p-values: what verdicts have taught, ranked among the last nights.

Nothing is read off the items but how many of them are flagged: the share that a p-value promises is
measured on the nights before, where it was made.
"""

from __future__ import annotations

from collections.abc import Mapping

from vae_anomaly.errors import ConfigError
from vae_anomaly.metrics import checked_scores
from vae_anomaly.thresholds.basis import p_bound
from vae_anomaly.thresholds.conformal import check_rate, rate_above
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.record import ThresholdRecord, data_hash
from vae_anomaly.words import number_of


def at_most(
    items: ScoredItems,
    rate: float,
    policy: str,
    parameters: Mapping[str, int | float | str | None],
) -> ThresholdRecord:
    """Flag items whose combined p-value is at most a rate.

    Parameters
    ----------
    items : ScoredItems
        On the basis ``p_combined``; those without labels count as normal.
    rate : float in (0, 1)
    policy : str
    parameters : mapping of str to value
        What was asked for.

    Returns
    -------
    threshold : ThresholdRecord
        ``expected_fpr`` is the share of these normals that it flags, with its interval.

    Raises
    ------
    ConfigError
        If the rate is none.
    """
    if items.basis != "p_combined":
        raise ConfigError(f"A bound on p_combined is made on it; got items on {items.basis}.")
    check_rate("false-positive rate", rate)
    scores, value = checked_scores(items.scores), p_bound(rate)
    flags = items.normals > value
    none = f"None of the {number_of(flags.size, 'item')} here has such a combined p-value."
    return ThresholdRecord(
        value=value,
        policy=policy,
        parameters=dict(parameters),
        expected_fpr=rate_above(items.normals, value, items.normal_groups),
        n_normals=flags.size,
        data_hash=data_hash(scores),
        note="" if flags.any() else none,
        basis="p_combined",
    )

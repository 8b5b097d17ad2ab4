"""Policies that weigh anomalies against normals, on labelled or reviewed items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_anomaly.errors import CalibrationError
from vae_anomaly.thresholds.policy import (
    NON_NEGATIVE,
    POSITIVE,
    SHARE,
    LabelPolicy,
    Option,
    Request,
)

if TYPE_CHECKING:
    from vae_anomaly.metrics import RankingCurve


F_BETA = Option("f_beta", POSITIVE, "Best F-beta; needs labels.", "beta")
YOUDEN = Option("youden", None, "Largest recall minus false-positive rate; needs labels.")
COST_FP = Option("cost_fp", NON_NEGATIVE, "Cost of a false alarm; with --cost-fn and labels.")
COST_FN = Option("cost_fn", NON_NEGATIVE, "Cost of a miss, per unit of --stake if given.")
MIN_PRECISION = Option("min_precision", SHARE, "Most recall at this precision; needs labels.")
MIN_RECALL = Option("min_recall", SHARE, "Fewest flags with this recall; needs labels.")


def _best_f_beta(curve: RankingCurve, request: Request) -> int:
    """Pick the largest F-beta; beta > 1 weighs recall more than precision.

    References
    ----------
    van Rijsbergen, Information Retrieval, 1979.
    """
    import numpy as np

    beta = request[F_BETA.name]
    missed = curve.tp[-1] - curve.tp
    gain = (1 + beta**2) * curve.tp
    return int(np.argmax(gain / (gain + beta**2 * missed + curve.fp)))


def _youden(curve: RankingCurve, request: Request) -> int:
    """Pick the largest recall minus false-positive rate (Youden, 1950)."""
    import numpy as np

    return int(np.argmax(curve.tpr - curve.fpr))


def _least_cost(curve: RankingCurve, request: Request) -> int:
    """Pick the lowest total cost; the curve's weights are what a miss and a false alarm cost."""
    import numpy as np

    return int(np.argmin((curve.tp[-1] - curve.tp) + curve.fp))


def _most_recall_at_precision(curve: RankingCurve, request: Request) -> int:
    """Pick the most recall whose precision is at least this."""
    import numpy as np

    least = request[MIN_PRECISION.name]
    precise = np.flatnonzero((curve.precision >= least) & (curve.tp > 0))
    if precise.size == 0:
        best = float(curve.precision[curve.tp > 0].max())
        raise CalibrationError(
            f"No threshold reaches a precision of {least:g}; the best is {best:.3g}. "
            "Ask for less, or improve the detector."
        )
    return int(precise[-1])


def _fewest_flags_at_recall(curve: RankingCurve, request: Request) -> int:
    """Pick the fewest flags that find at least this share of the anomalies."""
    import numpy as np

    return int(np.argmax(curve.tpr >= request[MIN_RECALL.name] - 1e-12))


POLICIES = (
    LabelPolicy("f_beta", (F_BETA,), rule=_best_f_beta, short="f"),
    LabelPolicy("youden", (YOUDEN,), rule=_youden),
    LabelPolicy("cost", (COST_FP, COST_FN), rule=_least_cost, priced=True, needs_misses=False),
    LabelPolicy(
        "min_precision", (MIN_PRECISION,), rule=_most_recall_at_precision, needs_misses=False
    ),
    LabelPolicy("min_recall", (MIN_RECALL,), rule=_fewest_flags_at_recall),
)

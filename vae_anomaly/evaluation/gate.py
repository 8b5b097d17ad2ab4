"""A gate before a promotion: figures that must hold on a set of labelled items or of normals.

A requirement is ``FIGURE>=NUMBER`` or ``FIGURE<=NUMBER`` about the estimate; ``FIGURE.low`` and
``FIGURE.high`` are the ends of its 95 % interval. ``fpr.high<=0.02`` asks that even the upper end
is small enough: few items cannot pass it by luck. A figure that could not be measured fails.
(MLflow's ``MetricThreshold`` knows neither interval ends nor figures without a value.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vae_anomaly.errors import ConfigError, did_you_mean
from vae_anomaly.evaluation.items import score_items
from vae_anomaly.evaluation.report import evaluate, plain_interval
from vae_anomaly.metrics import Interval
from vae_anomaly.progress import Progress
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.items import ScoredItems

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.data.images.folders import ClassNames
    from vae_anomaly.tracking import Promotion

FIGURES = (
    "auroc", "average_precision", "fpr_at_95_tpr", "partial_auroc",
    "recall", "fpr", "precision", "f1", "pixel_auroc", "aupro",
)  # fmt: skip
_SYNTAX = re.compile(
    r"\s*(?P<figure>\w+)(?:\.(?P<end>\w+))?\s*(?P<sign>>=|<=)\s*"
    r"(?P<bound>[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)\s*"
)
_ENDS = {None: "estimate", "low": "low", "high": "high"}


@dataclass(frozen=True)
class Requirement:
    """One thing that must hold.

    Parameters
    ----------
    figure : str
        One of `FIGURES`.
    end : {"estimate", "low", "high"}
        Which part of the figure is compared.
    """

    figure: str
    end: str
    sign: str  # ">=" or "<="
    bound: float

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read a requirement such as ``auroc>=0.9`` or ``fpr.high<=0.02``.

        Raises
        ------
        ConfigError
            If it has another form, or names no figure; the message lists the figures.

        Examples
        --------
        >>> Requirement.parse("fpr.high<=0.02")
        Requirement(figure='fpr', end='high', sign='<=', bound=0.02)
        """
        match = _SYNTAX.fullmatch(text)
        if match is None or match["end"] not in _ENDS:
            raise ConfigError(
                f"A requirement reads FIGURE>=NUMBER or FIGURE<=NUMBER, with FIGURE.low or "
                f"FIGURE.high for an end of its 95 % interval; got {text!r}. "
                'Write it in quotes: --require "fpr.high<=0.02".'
            )
        if match["figure"] not in FIGURES:
            raise ConfigError(
                f"There is no figure {match['figure']!r}{did_you_mean(match['figure'], FIGURES)}. "
                f"Figures that can be required: {', '.join(FIGURES)}."
            )
        return cls(match["figure"], _ENDS[match["end"]], match["sign"], float(match["bound"]))

    def judge(self, figures: Mapping[str, Interval]) -> Verdict:
        """Compare with what was measured."""
        figure = figures.get(self.figure)
        if figure is None or math.isnan(figure.estimate):  # its interval is [0, 1] then
            return Verdict(self, None, passed=False)
        value = float(getattr(figure, self.end))
        holds = value >= self.bound if self.sign == ">=" else value <= self.bound
        return Verdict(self, None if math.isnan(value) else figure, passed=bool(holds))

    def __str__(self) -> str:
        end = "" if self.end == "estimate" else f".{self.end}"
        return f"{self.figure}{end}{self.sign}{self.bound:g}"


@dataclass(frozen=True)
class Verdict:
    """Whether a requirement held; ``measured`` is None where the items could not say."""

    requirement: Requirement
    measured: Interval | None
    passed: bool

    def __str__(self) -> str:
        if self.measured is None:
            return f"{self.requirement}: not measured"
        return f"{self.requirement}: {self.measured}"


@dataclass(frozen=True)
class GateResult:
    """What a gate measured and decided, and the promotion that followed.

    Parameters
    ----------
    figures : dict of str to Interval
        Everything that was measured.
    promotion : Promotion, optional
        None where a requirement failed.
    """

    verdicts: tuple[Verdict, ...]
    figures: dict[str, Interval]
    n_normals: int
    n_anomalies: int
    source: str
    promotion: Promotion | None = None

    @property
    def passed(self) -> bool:
        """Whether every requirement held."""
        return all(verdict.passed for verdict in self.verdicts)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values, for the record."""
        return {
            "passed": self.passed,
            "requirements": [
                {"requirement": str(v.requirement), "passed": v.passed,
                 "measured": None if v.measured is None else plain_interval(v.measured)}
                for v in self.verdicts
            ],
            "figures": {name: plain_interval(figure) for name, figure in self.figures.items()},
            "n_normals": self.n_normals,
            "n_anomalies": self.n_anomalies,
            "input": self.source,
        }  # fmt: skip


def gate_figures(items: ScoredItems, threshold: Threshold) -> dict[str, Interval]:
    """Return the figures that these items allow: all with both classes, else what one can say.

    Without labels all count as normal, and only ``fpr`` can be measured.
    """
    if items.labels is None:
        items = replace(items, labels=np.zeros(len(items), np.bool_))
    return evaluate(items, threshold).figures


def run_gate(
    name: str,
    version: int,
    require: Sequence[str],
    source: str,
    *,
    labels: str | None = None,
    groups: str | None = None,
    state: str | None = None,
    classes: ClassNames | None = None,
    follow_links: bool = False,
    reading: ImageReading | None = None,
    alias: str = "champion",
    evidence: str = "",
    uri: str | None = None,
    progress: Progress | None = None,
) -> GateResult:
    """Measure a version, and promote it where every requirement holds.

    Parameters
    ----------
    require : sequence of str
        As `Requirement.parse` reads them.
    source : path or pattern
        Images or tables to measure on; they should be new to the model.
    labels, groups, state, classes, follow_links, reading
        As for `score_items`. Without labels all items count as normal.
    alias, evidence, uri
        As for `vae_anomaly.tracking.promote`. Requirements and figures join the evidence.

    Returns
    -------
    result : GateResult
        Without a promotion where a requirement failed: then nothing has moved.

    Raises
    ------
    ConfigError
        If a requirement cannot be read.
    ModelRefusedError
        If there is no such version.
    """
    from vae_anomaly.tracking import load, promote

    wanted = [Requirement.parse(text) for text in require]
    detector, _ = load(f"models:/{name}/{version}", uri)
    items = score_items(
        detector,
        source,
        labels=labels,
        groups=groups,
        state=state,
        classes=classes,
        follow_links=follow_links,
        reading=reading,
        progress=progress,
    )
    figures = gate_figures(items, detector.threshold_)
    n_anomalies = 0 if items.labels is None else int(items.labels.sum())
    result = GateResult(
        verdicts=tuple(requirement.judge(figures) for requirement in wanted),
        figures=figures,
        n_normals=len(items) - n_anomalies,
        n_anomalies=n_anomalies,
        source=source,
    )
    if not result.passed:
        return result
    measured = "; ".join(str(verdict) for verdict in result.verdicts)
    moved = promote(
        name,
        version,
        alias,
        evidence=f"{evidence}; gate: {measured}" if evidence else f"gate: {measured}",
        metrics={figure: interval.estimate for figure, interval in figures.items()},
        documents={"gate.json": result.to_dict()},
        uri=uri,
    )
    return replace(result, promotion=moved)

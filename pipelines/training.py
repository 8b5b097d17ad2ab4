"""What the two trainings share: where the model goes, and the detector's parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from pipelines.job import Job
from pipelines.places import Place, placed
from vae_anomaly.detectors.parameters import IMAGE, TABULAR, Parameter, faults_of
from vae_anomaly.errors import did_you_mean
from vae_anomaly.jobs import ConfirmedAnomalies, Destination, TrainingReport, confirmed_anomalies


def _checked(
    declared: Sequence[Parameter], owner: str
) -> Callable[[dict[str, Any], ValidationInfo], dict[str, Any]]:
    """Check the section [detector] by what is declared of the detector's parameters."""
    names = [parameter.name for parameter in declared]

    def check(values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        unknown = [key for key in values if key not in names]
        faults = [f"unknown key 'detector.{key}'{did_you_mean(key, names)}" for key in unknown]
        faults += faults_of(declared, values, owner).values()
        if faults:
            raise ValueError("; ".join(fault.removesuffix(".") for fault in faults))
        files = [p.name for p in declared if p.name in values and p.is_file(values[p.name])]
        return values | {name: placed(values[name], info) for name in files}

    return check


TableParameters = Annotated[dict[str, Any], AfterValidator(_checked(TABULAR, "TabularVAEDetector"))]
ImageParameters = Annotated[dict[str, Any], AfterValidator(_checked(IMAGE, "ImageVAEDetector"))]


def _labels(value: str, info: ValidationInfo) -> str:
    """Let the file of FILE:COLUMN begin at the TOML file; a column stays what it is."""
    file, _, column = value.rpartition(":")
    path = placed(file, info) if file else ""
    return f"{path}:{column}" if path and ("://" in path or Path(path).is_file()) else value


Labels = Annotated[str, AfterValidator(_labels)]
"""A column, or FILE:COLUMN joined by id."""


def _switch(value: object) -> object:
    """Take the words true and false, as variables have them, for what they say."""
    words = {"true": True, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


Confirmed = Annotated[bool | str, BeforeValidator(_switch)]
"""Whether confirmed anomalies are left out; or the model that their verdicts are kept with."""


class Training(Job):
    """What every training has: what the model is called, and where it goes."""

    name: str
    alias: str | None = None
    experiment: str = "vae-anomaly"
    out: Place | None = None
    no_register: bool = False
    no_report: bool = False
    leave_out_confirmed: Confirmed = False

    def destination(self, trained_by: str) -> Destination:
        """Return where the model goes."""
        return Destination(
            name=None if self.no_register else self.name, alias=self.alias, folder=self.out,
            uri=self.tracking_uri, experiment=self.experiment,
            evidence=f"trained by {trained_by}", report=not self.no_report,
        )  # fmt: skip

    def confirmed(self) -> ConfirmedAnomalies | None:
        """Return what reviewers confirmed, where it is to be left out."""
        said = self.leave_out_confirmed
        if said is False:
            return None
        model = self.name if said is True else said
        return confirmed_anomalies(model, self.tracking_uri, may_be_new=said is True)


def outcome(report: TrainingReport) -> dict[str, Any]:
    """Return where a model went, and what was measured."""
    registered = asdict(report.registered) if report.registered else {}
    return {
        **registered, "model": report.model, "threshold": report.threshold.value,
        "metrics": report.metrics, "notes": report.reading.notes,
        "confirmed_left_out": report.reading.n_confirmed,
    }  # fmt: skip

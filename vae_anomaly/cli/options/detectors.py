"""Options of detectors, as their parameters are declared, and of where a model goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.options.common import tracking_option
from vae_anomaly.cli.options.declare import Body, Decorator, bundle, renamed
from vae_anomaly.detectors.parameters import (
    DEVICE,
    Allowed,
    Number,
    OneOf,
    Parameter,
    Switch,
    Whole,
)

if TYPE_CHECKING:
    from vae_anomaly.jobs import ConfirmedAnomalies, Destination

FORMER = {"--target-fpr": "--fpr"}


def parameter_option(parameter: Parameter) -> Decorator:
    """Return the option of a detector's parameter, as it is declared."""
    allowed, default = parameter.allowed, parameter.default
    if isinstance(allowed, Switch):
        return click.option(
            parameter.flag, parameter.name, is_flag=True, help=parameter.help.replace("`", "")
        )
    unless = f"  [default: {parameter.unless}]" if parameter.unless else ""
    if parameter.option_default is not None:
        default, unless = parameter.option_default, ""
    return click.option(
        parameter.flag,
        parameter.name,
        type=_kind_of(allowed),
        callback=_as_declared(allowed) if isinstance(allowed, OneOf) else None,
        default=default,
        show_default=default is not None,
        metavar=parameter.metavar or {Whole: "N", Number: "X"}.get(type(allowed)),
        help=parameter.help.replace("`", "") + unless,
    )


def _kind_of(
    allowed: Allowed,
) -> click.Choice[str] | click.IntRange | click.FloatRange | type[str]:
    if isinstance(allowed, OneOf):
        return click.Choice([str(value) for value in allowed.values])
    if isinstance(allowed, Whole):
        return click.IntRange(min=allowed.least, max=allowed.most)
    if isinstance(allowed, Number):
        return click.FloatRange(
            allowed.low, allowed.high, min_open=allowed.above, max_open=allowed.below
        )
    return str


def _as_declared(
    allowed: OneOf,
) -> Callable[[click.Context, click.Parameter, str | None], str | int | None]:
    """Turn the text of a choice into the word or number that was declared."""
    known = {str(value): value for value in allowed.values}
    return lambda _, __, text: None if text is None else known[text]


def detector_options(parameters: Sequence[Parameter]) -> Callable[[Body], Body]:
    """Add an option for each parameter; the command gets ``parameters``, a dict by their names."""
    options = [parameter_option(parameter) for parameter in parameters]
    former = [renamed(FORMER[p.flag], p.flag) for p in parameters if p.flag in FORMER]
    return bundle("parameters", dict, *options, *former)


device_option = parameter_option(DEVICE)


def _destination(
    name: str | None,
    alias: str,
    no_alias: bool,
    out: str | None,
    no_register: bool,
    no_report: bool,
    uri: str | None,
) -> Destination:
    from vae_anomaly.jobs import Destination

    if no_register and not out:
        raise click.UsageError("--no-register keeps the model nowhere: give --out DIR as well.")
    if not no_register and not name:
        raise click.UsageError("Give --name NAME, or --out DIR with --no-register.")
    return Destination(
        name=None if no_register else name,
        alias=None if no_alias else alias,
        folder=out,
        uri=uri,
        evidence="trained on the command line",
        report=not no_report,
    )


warm_start_option: Decorator = click.option(
    "--warm-start", metavar="MODEL", help="Begin with the weights of MODEL, if it is built alike."
)
leave_out_confirmed_option: Decorator = click.option(
    "--leave-out-confirmed", "leave_out", is_flag=False, flag_value="", metavar="[MODEL]",
    help="Leave out what reviewers of MODEL confirmed as anomalies.  [MODEL: that of --name]",
)  # fmt: skip


def confirmed_to_leave_out(
    model: str | None, destination: Destination
) -> ConfirmedAnomalies | None:
    """Return what ``--leave-out-confirmed`` leaves out; None where it was not given."""
    from vae_anomaly.jobs import confirmed_anomalies

    if model is None:
        return None
    if not (model or destination.name):
        raise click.UsageError("--leave-out-confirmed needs to know whose: give it a MODEL.")
    name = model or str(destination.name)
    return confirmed_anomalies(name, destination.uri, may_be_new=not model)


destination_options = bundle(
    "destination",
    _destination,
    click.option("--name", help="Name in the model registry."),
    click.option("--alias", default="champion", show_default=True,
                 help="Alias that moves to the new version."),
    click.option("--no-alias", is_flag=True, help="Move no alias; promote it later."),
    click.option("--out", metavar="DIR", help="Save the model folder there as well."),
    click.option("--no-register", is_flag=True, help="With --out: the folder only."),
    click.option("--no-report", is_flag=True,
                 help="Keep no training items in the model for its page, and log no page."),
    tracking_option,
)  # fmt: skip

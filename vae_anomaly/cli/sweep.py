"""``vae-anomaly sweep table`` and ``vae-anomaly sweep images``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.options import (
    Body,
    TableOptions,
    at_store,
    bundle,
    class_options,
    image_options,
    json_option,
    look_at,
    reading_words,
    seed_option,
    table_options,
    threads_option,
    tracking_option,
)
from vae_anomaly.names import typed
from vae_anomaly.words import number_of, reason_of

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.data.images.folders import ClassNames
    from vae_anomaly.errors import VaeAnomalyError
    from vae_anomaly.tracking import LoggedSweep
    from vae_anomaly.vae.sweep import SweepCell, SweepReport, SweepSettings

Number = TypeVar("Number", int, float)
HEADER = ["latent size", "model", "RMSE", "nll", "KL", "-ELBO", "-ELBO/dim", "active",
          "expected", "info", "s"]  # fmt: skip
LATENTS_SHOWN = 8


@click.group()
def sweep() -> None:
    """See what beta and the latent size do to a network on your normal data.

    \b
    Examples:
      vae-anomaly sweep table days.csv --labels is_fraud --beta 0.5,1,4 --latent-dim 2,8
      vae-anomaly sweep images tiles/train/good --latent-dim 8,32
    """


def _list_of(
    kind: Callable[[str], Number], what: str
) -> Callable[[click.Context, click.Parameter, str | None], tuple[Number, ...] | None]:
    """Read what commas separate; an empty list is left to the grid to refuse."""

    def read(
        _: click.Context, param: click.Parameter, value: str | None
    ) -> tuple[Number, ...] | None:
        if value is None:
            return None
        try:
            return tuple(kind(part) for part in value.split(",") if part.strip())
        except ValueError:
            raise click.BadParameter(
                f"{value!r} is no list of {what}. Write for example 1,4.", param=param
            ) from None

    return read


def _sigma(_: click.Context, param: click.Parameter, value: str) -> float | None:
    """Read a number, or None for the word learned."""
    if value == "learned":
        return None
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither a number nor 'learned'.", param=param
        ) from None


@dataclass(frozen=True)
class Run:
    """The grid, the effort, and where the table goes, as every sweep takes them."""

    betas: tuple[float, ...]
    latent_dims: tuple[int, ...] | None
    sigma: float | None
    steps: int
    name: str
    no_track: bool
    out: str | None
    seed: int
    uri: str | None
    as_json: bool

    def check_store(self) -> None:
        """Refuse a store that will not take the runs; one that is away gets them later."""
        from vae_anomaly.errors import RegistryDeniedError, RegistryUnavailableError
        from vae_anomaly.tracking.client import check_writable

        if self.no_track:
            return
        try:
            check_writable(self.uri, [self.name])
        except RegistryDeniedError:
            raise
        except RegistryUnavailableError as err:
            click.echo(f"{err} The sweep goes on, and is kept for later.", err=True)

    def settings(self, batch_size: int) -> SweepSettings:
        """Return what `sweep` takes."""
        from vae_anomaly.vae.sweep import SweepSettings

        return SweepSettings(
            sigma=self.sigma,
            max_steps=self.steps,
            batch_size=batch_size,
            random_state=self.seed,
        )


def sweep_options(latents: str, steps: int) -> Callable[[Body], Body]:
    """Add what every sweep takes; the command gets it as ``run``."""
    return bundle(
        "run",
        Run,
        click.option("--beta", "betas", callback=_list_of(float, "numbers"),
                     default="0.5,1,4", show_default=True, metavar="B,B,...",
                     help="Weights of the KL."),
        click.option("--latent-dim", "latent_dims", callback=_list_of(int, "whole numbers"),
                     metavar="Z,Z,...", help=f"Latent sizes.  [default: {latents}]"),
        click.option("--sigma", callback=_sigma, default="1", show_default=True,
                     metavar="S|learned",
                     help="Of the Gaussian likelihood, in the standardised unit."),
        click.option("--steps", type=click.IntRange(min=1), default=steps, metavar="N",
                     show_default=True, help="Optimisation steps of every model."),
        click.option("--name", default="vae-anomaly-sweeps", show_default=True,
                     metavar="EXPERIMENT", help="MLflow experiment of the runs."),
        click.option("--no-track", is_flag=True, help="Log nothing to MLflow."),
        click.option("--out", metavar="FILE", help="Write the report there, as JSON."),
        seed_option,
        tracking_option,
        json_option,
    )  # fmt: skip


@sweep.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@table_options
@sweep_options("2,8", 1000)
@threads_option
def table(paths: tuple[str, ...], reading: TableOptions, run: Run) -> None:
    """Sweep dense networks on the normal rows of the tables PATH.

    Trains the plain autoencoder and a VAE for every beta and latent size, alike in all else, and
    compares them on a fifth of the rows that none of them saw.

    \b
    Examples:
      vae-anomaly sweep table days.csv --labels is_fraud --beta 0.5,1,4 --latent-dim 2,8
      vae-anomaly sweep table 'days/*.parquet' --groups customer --no-track --json
    """
    from vae_anomaly.cli.train import table as train_table
    from vae_anomaly.jobs import sweep_table_job

    run.check_store()
    with show_progress() as progress:
        report = sweep_table_job(
            paths, reading.columns, betas=run.betas, latent_dims=run.latent_dims,
            settings=run.settings(128), progress=progress,
        )  # fmt: skip
    _finish(report, run, ["train", "table", *paths, *reading.words()], train_table)


@sweep.command()
@click.argument("source", metavar="DIR")
@click.option("--groups", metavar="FILE", help="Table with the columns path, group (part, camera).")
@click.option("--size", type=click.IntRange(min=8), default=32, show_default=True,
              help="Images are resized to this side, in pixels.")  # fmt: skip
@class_options
@image_options
@sweep_options("8,32", 600)
@threads_option
def images(source: str, groups: str | None, size: int, classes: ClassNames, follow_links: bool,
           reading: ImageReading, run: Run) -> None:  # fmt: skip
    """Sweep convolutional networks on the images of good parts in DIR.

    Images are chosen as by `train images`. A fifth of the images, whole groups, is held
    out; no model sees it.

    \b
    Examples:
      vae-anomaly sweep images tiles/train/good --beta 0.5,1,4 --latent-dim 8,32
      vae-anomaly sweep images tiles/ --size 48 --steps 500 --out sweep.json
    """
    from vae_anomaly.cli.train import images as train_images
    from vae_anomaly.jobs import sweep_images_job

    run.check_store()
    with show_progress() as progress:
        report = sweep_images_job(
            source, betas=run.betas, latent_dims=run.latent_dims, settings=run.settings(64),
            size=size, groups=groups, classes=classes, follow_links=follow_links, reading=reading,
            progress=progress,
        )  # fmt: skip
    again = ["train", "images", source, *(["--groups", groups] if groups else [])]
    again += [word for name in classes.good for word in ("--good", name)]
    again += [word for name in classes.defect for word in ("--defect", name)]
    again += [*reading_words(reading), *(["--follow-links"] if follow_links else [])]
    _finish(report, run, [*again, "--model", "conv"], train_images)


def _finish(report: SweepReport, run: Run, again: list[str], train: click.Command) -> None:
    """Keep the report, log it and print it; an outage of the store is raised last."""
    from vae_anomaly.files import write_json

    logged, outage = _log(report, run)
    document = {**report.to_dict(), "logged": None if logged is None else asdict(logged)}
    if not emit(document, as_json=run.as_json):
        _print(report)
        if logged is not None:
            click.echo(
                f"\nLogged {number_of(len(logged.child_run_ids), 'model')} below run "
                f"{logged.run_id}, "
                f"experiment {logged.experiment}, in {logged.store}"
            )
            click.echo(f"  look at it:   {look_at(logged.store)}")
        _print_next(report, run.uri, again, train)
    if run.out:  # last, so that a disk that is full does not cost the table
        write_json(report.to_dict(), run.out)
    if outage is not None:
        raise outage


def _log(report: SweepReport, run: Run) -> tuple[LoggedSweep | None, VaeAnomalyError | None]:
    """Log to MLflow; an outage is returned, so that the table is printed all the same."""
    from vae_anomaly.errors import VaeAnomalyError
    from vae_anomaly.tracking import log_sweep

    if run.no_track:
        return None, None
    try:
        return log_sweep(report, name=run.name, uri=run.uri), None
    except VaeAnomalyError as err:
        return None, err


def _print(report: SweepReport) -> None:
    settings = report.settings
    sigma = "learned" if settings.sigma is None else f"fixed at {settings.sigma:g}"
    click.echo(f"Read {report.source}.")
    for note in report.notes:
        click.echo(f"Note: {reason_of(note)}.")
    click.echo(
        f"Trained on {report.n_train:,}, measured on {report.n_held_out:,} held out; "
        f"{settings.max_steps:,} steps each, sigma {sigma}."
    )
    rows = [_row(cell) for cell in report.cells]
    rows.append(["-", "predict the mean", f"{report.rmse_mean:.4f}", *["-"] * (len(HEADER) - 3)])
    print_table(rows, HEADER)
    click.echo(
        f"RMSE: in {report.unit}. nll, KL, -ELBO and info (mutual, of data and latents): in nats."
    )
    _print_how_to_read(report)
    _print_collapse(report.cells, learned=settings.sigma is None)


def _row(cell: SweepCell) -> list[str]:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, f"z{form}" if "f" in form else form)

    return [
        str(cell.latent_dim),
        "autoencoder" if cell.beta is None else f"beta {cell.beta:g}",
        f"{cell.rmse:.4f}",
        f"{cell.nll:.2f}",
        number(cell.kl, ".2f"),
        number(cell.negative_elbo, ".2f"),
        number(cell.negative_elbo_per_dim, ".4f"),
        number(cell.active_units, "d"),
        number(cell.expected_active, "d"),
        number(cell.mutual_info, ".2f"),
        f"{cell.seconds:.1f}",
    ]


def _print_how_to_read(report: SweepReport) -> None:
    click.echo(
        "How to read it: a lower RMSE is not better detection, an autoencoder copies defects, too. "
        "-ELBO (lower = better, always at beta 1) compares only models of the same data, unit, "
        "held-out samples and sigma; an autoencoder has none. What detects best, only labelled "
        "anomalies tell: train, then evaluate."
    )
    for lower, upper in report.out_of_order:
        name, error = (
            ("predicting the mean", report.rmse_mean) if upper is None else (upper.name, upper.rmse)
        )
        click.echo(
            f"Out of order: {lower.name} (RMSE {lower.rmse:.4f}) is not below {name} "
            f"({error:.4f}). Too few steps, or an autoencoder that overfits few samples, does "
            "that; so does a model that collapsed. Raise --steps or give more samples."
        )


def _print_collapse(cells: Sequence[SweepCell], *, learned: bool) -> None:
    """Name the latents that died, and what wakes them."""
    died = [(cell, cell.beta) for cell in cells if cell.collapsed and cell.beta is not None]
    for cell, beta in died:
        shown = ", ".join(map(str, cell.collapsed[:LATENTS_SHOWN]))
        more = ", ..." * (len(cell.collapsed) > LATENTS_SHOWN)
        click.echo(
            f"Collapsed: {cell.name}: {len(cell.collapsed)} of {cell.latent_dim} latents "
            f"({shown}{more}); sigma^2 * beta = {cell.sigma**2 * beta:.3g} lets "
            f"{cell.expected_active} live."
        )
    if died:
        click.echo(
            "Remedy: a smaller --latent-dim loses nothing where some latents died; to wake them, "
            f"lower --beta{'.' if learned else ' or --sigma, or take --sigma learned.'}"
        )


def _print_next(
    report: SweepReport, uri: str | None, again: list[str], train: click.Command
) -> None:
    best = report.best
    if best is None:
        click.echo("\nEvery VAE collapsed. Sweep again with a lower --beta, or --sigma learned.")
        return
    known = {option for param in train.params for option in param.opts}
    chosen = {"--beta": f"{best.beta:g}", "--latent-dim": str(best.latent_dim)}
    picked = [word for pair in chosen.items() if pair[0] in known for word in pair]
    unknown = [option for option in chosen if option not in known]
    click.echo(f"\nThe lowest -ELBO has {best.name}. Train the detector:")
    click.echo(f"  {typed('vae-anomaly', *again, *picked, '--name', 'NAME', *at_store(uri))}")
    if unknown:
        click.echo(f"  ({' '.join(again[:2])} decides {' and '.join(unknown)} by itself)")
    if report.settings.sigma is not None:
        click.echo(
            "  It learns its sigma, so that the same beta leaves more latents alive than here; "
            "--sigma learned shows how many."
        )

"""``vae-anomaly latent embed|sample|interpolate|traverse``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, show_progress
from vae_anomaly.cli.options import (
    Body,
    add_options,
    image_options,
    json_option,
    one_image_options,
    seed_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.detectors.latent_space import SamplerName
    from vae_anomaly.detectors.protocol import AnyDetector
    from vae_anomaly.jobs.latent_files import Mode, Written


@click.group()
def latent() -> None:
    """Look into the latent space of a model: embed, sample, interpolate, traverse.

    A model of images writes a PNG, a model of tables .parquet or .csv. An existing file is
    replaced.

    \b
    Examples:
      vae-anomaly latent embed models:/tiles@champion tonight/ --out latents.parquet
      vae-anomaly latent sample models:/tiles@champion --n 16 --out samples.png
    """


def writing_command(command: Callable[..., Written]) -> Body:
    """Load MODEL for a command and add ``--out``; say what file it wrote with the detector."""

    @wraps(command)
    def call(model: str, uri: str | None, as_json: bool, **options: object) -> None:
        from vae_anomaly.tracking import load

        detector, resolved = load(model, uri)
        _print(command(detector, **options), resolved.label, as_json)

    out_option = click.option("--out", required=True, metavar="FILE", help="File to write: .png of "
                              "images, .parquet or .csv of rows and latents.")  # fmt: skip
    return add_options([out_option, tracking_option, json_option])(call)


@latent.command()
@click.argument("model")
@click.argument("input_", metavar="INPUT")
@image_options
@threads_option
@writing_command
def embed(
    detector: AnyDetector, input_: str, follow_links: bool, reading: ImageReading, out: str
) -> Written:
    """Write the latents of each image or row of INPUT: id, z0, z1, ...

    Latents are posterior means, for clustering, plots and search of similar items. What cannot be
    read is left out, and counted.

    \b
    Examples:
      vae-anomaly latent embed models:/tiles@champion tonight/ --out latents.parquet
      vae-anomaly latent embed models:/cards@champion 'days/*.parquet' --out latents.csv
    """
    from vae_anomaly.jobs.latent_files import write_embedding

    with show_progress() as progress:
        return write_embedding(
            detector, input_, out, progress, follow_links=follow_links, reading=reading
        )


@latent.command()
@click.argument("model")
@click.option("--n", type=click.IntRange(1, 10_000_000), default=16, show_default=True,
              help="Items to generate.")  # fmt: skip
@click.option("--sampler", type=click.Choice(["prior", "normal", "gmm"]), default="prior",
              show_default=True,
              help="Prior, or what is fitted to the latents of training normals.")  # fmt: skip
@seed_option
@writing_command
def sample(detector: AnyDetector, n: int, sampler: SamplerName, out: str, seed: int) -> Written:
    """Generate images or rows that resemble the training normals.

    Generated rows are marked by the column synthetic: train, evaluate and threshold tune leave
    them out. The same --seed gives the same file.

    \b
    Examples:
      vae-anomaly latent sample models:/tiles@champion --n 16 --sampler gmm --out samples.png
      vae-anomaly latent sample models:/cards@champion --n 1000 --out rows.parquet
    """
    from vae_anomaly.jobs.latent_files import write_samples

    return write_samples(detector, n, out, sampler=sampler, random_state=seed)


@latent.command()
@click.argument("model")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--steps", type=click.IntRange(2, 100), default=10, show_default=True,
              help="Items on the way, both ends included.")  # fmt: skip
@click.option("--mode", type=click.Choice(["linear", "spherical"]), default="linear",
              show_default=True, help="Straight, or around the origin.")  # fmt: skip
@one_image_options
@threads_option
@writing_command
def interpolate(
    detector: AnyDetector, a: str, b: str, steps: int, mode: Mode, reading: ImageReading, out: str
) -> Written:
    """Walk from A to B through latent space; the ends are their reconstructions.

    A and B are images; or rows, as FILE:17 (counted from 1) or FILE:id=VALUE.

    \b
    Examples:
      vae-anomaly latent interpolate models:/tiles@champion a.png b.png --out way.png
      vae-anomaly latent interpolate models:/cards@champion day.csv:3 day.csv:17 --out way.csv
    """
    from vae_anomaly.jobs.latent_files import write_path

    return write_path(detector, a, b, out, steps=steps, mode=mode, reading=reading)


def _numbers(_: click.Context, __: click.Parameter, text: str | None) -> list[int] | None:
    """Read what ``--latents`` lists."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"{text!r} is no list of latents. Write for example 0,1,2.")
    return [int(part) for part in parts]


@latent.command()
@click.argument("model")
@click.argument("item", metavar="[ITEM]", required=False)
@click.option("--latents", callback=_numbers, metavar="0,1,2",
              help="Which to move.  [default: the 8 that vary most]")  # fmt: skip
@click.option("--steps", type=click.IntRange(2, 100), default=7, show_default=True,
              help="Values of each latent.")  # fmt: skip
@click.option("--limit", type=click.FloatRange(0, min_open=True), default=3.0, show_default=True,
              help="Values go from -LIMIT to +LIMIT, in sd of the prior.")  # fmt: skip
@one_image_options
@threads_option
@writing_command
def traverse(
    detector: AnyDetector, item: str | None, latents: list[int] | None, steps: int, limit: float,
    reading: ImageReading, out: str,
) -> Written:  # fmt: skip
    """Move one latent at a time: a row of images, or some rows, for each latent.

    ITEM is where to start, an image or FILE:ROW; without it the mean of the training normals.

    \b
    Examples:
      vae-anomaly latent traverse models:/tiles@champion --out latents.png
      vae-anomaly latent traverse models:/cards@champion day.csv:3 --latents 0,2 --out moved.csv
    """
    from vae_anomaly.jobs.latent_files import write_traversal

    return write_traversal(
        detector, item, out, latents=latents, steps=steps, limit=limit, reading=reading
    )


def _print(written: Written, model: str, as_json: bool) -> None:
    if emit({"model": model, **asdict(written)}, as_json=as_json):
        return
    across, down = written.shape
    image = written.path.suffix.lower() == ".png"
    size = (
        f"{across} x {down} pixels"
        if image
        else f"{number_of(across, 'row')}, {number_of(down, 'column')}"
    )
    for reason, n in written.left_out.items():
        click.echo(f"{number_of(n, 'item')} left out ({reason})", err=True)
    click.echo(f"wrote {written.path} ({number_of(written.items, 'item')}, {size})")

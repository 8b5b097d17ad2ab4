"""``vae-anomaly train images`` and ``vae-anomaly train table``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.options import (
    declared_entities,
    device_option,
    entity_options,
    json_option,
    kinds_of,
    renamed,
    seed_option,
    table_options,
    tracking_option,
)

if TYPE_CHECKING:
    from vae_anomaly.jobs import Destination, TrainingReport

TABLE_MODELS = [
    "vae", "beta", "denoising", "conditional", "ladder", "autoencoder", "importance_weighted",
    "mixture", "vamp",
]  # fmt: skip
IMAGE_MODELS = (
    "bank", "conv", "vae", "beta", "denoising", "autoencoder", "conditional", "vq", "ladder",
    "importance_weighted", "mixture", "vamp",
)  # fmt: skip  # of detectors.image_members, which takes torch to import
IMAGE_CHOICES = (
    "model", "pose", "register", "foreground", "condition", "beta", "latent_dim", "features",
    "features_weights", "tile_size", "tile_overlap", "device", "precision",
)  # fmt: skip
Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def train() -> None:
    """Learn what normal looks like, and register the model.

    \b
    Examples:
      vae-anomaly train images tiles/train/good --name tiles
      vae-anomaly train table 'days/2024-04-*.parquet' --name cards
    """


def training_options(command: Command) -> Command:
    """Add what every training takes: effort, false alarms, and where the model goes."""
    command = seed_option(tracking_option(json_option(command)))
    for option in reversed(
        [
            click.option("--name", help="Name in the model registry."),
            click.option("--alias", default="champion", show_default=True,
                         help="Alias that moves to the new version."),
            click.option("--no-alias", is_flag=True, help="Move no alias; promote it later."),
            click.option("--out", metavar="DIR", help="Save the model folder there as well."),
            click.option("--no-register", is_flag=True, help="With --out: the folder only."),
            click.option("--preset", type=click.Choice(["fast", "default", "thorough"]),
                         default="default", show_default=True, help="How much work to spend."),
            click.option("--target-fpr", type=click.FloatRange(0, 1, min_open=True, max_open=True),
                         default=0.01, show_default=True,
                         help="False alarms per normal item that you accept."),
            renamed("--fpr", "--target-fpr"),
            click.option("--max-steps", type=click.IntRange(min=1), metavar="N",
                         help="Upper bound on optimisation steps.  [default: the preset's]"),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


@train.command()
@click.argument("source", metavar="DIR")
@click.option("--groups", metavar="FILE", help="Table with the columns path, group (part, camera).")
@click.option("--model", type=click.Choice(IMAGE_MODELS), default="bank", show_default=True,
              help="All but bank see 64-pixel pictures; conv is the plain VAE.")  # fmt: skip
@click.option("--pose", type=click.Choice(["auto", "fixed", "any"]), default="auto",
              show_default=True, help="Parts lie one way, or any quarter turn or mirror image is "
              "as good; auto asks the pictures.")  # fmt: skip
@click.option("--register", type=click.Choice(["off", "auto", "shift"]), default="off",
              show_default=True, help="Shift parts that move to where the others lie; auto asks "
              "the pictures whether it helps.")  # fmt: skip
@click.option("--foreground", type=click.Choice(["off", "auto"]), default="off",
              show_default=True, help="Ignore a clearly uniform background; what lies on it is "
              "then not seen.")  # fmt: skip
@click.option("--condition", metavar="WHERE",
              help="What conditional is told: folder, or a column of the manifest.")  # fmt: skip
@click.option("--beta", type=click.FloatRange(min=0), metavar="X",
              help="Weight of the KL.  [default: the model's]")  # fmt: skip
@click.option("--latent-dim", type=click.IntRange(min=1), metavar="N",
              help="Number of latents.  [default: the model's]")  # fmt: skip
@click.option("--features", metavar="timm:NAME",
              help="For bank: a backbone of timm in the place of the fixed filters.")  # fmt: skip
@click.option("--features-weights", metavar="FILE",
              help="Its weights, a local .safetensors file; nothing is downloaded.")  # fmt: skip
@click.option("--size", type=click.IntRange(min=64), default=256, show_default=True,
              help="Pictures are resized to this side, in pixels; a multiple of 16.")  # fmt: skip
@click.option("--tile-size", type=click.IntRange(min=64), metavar="N",
              help="For large pictures: cut them into tiles of this side instead of resizing "
              "them; a multiple of 16.")  # fmt: skip
@click.option("--tile-overlap", type=click.FloatRange(0, 0.5), default=0.25, show_default=True,
              help="Share of a tile's side that the next one shares.")  # fmt: skip
@click.option("--precision", type=click.Choice(["float32", "bf16"]), default="float32",
              show_default=True, help="Arithmetic of training; scores are float32.")  # fmt: skip
@device_option
@training_options
def images(source: str, groups: str | None, size: int, **options: Any) -> None:
    """Train on pictures of good parts in DIR.

    Of a folder with train/good only that is used; a manifest (CSV or parquet with a column path)
    works as well. Name pictures of the same part with --groups, so that p-values stay honest.

    \b
    Examples:
      vae-anomaly train images tiles/train/good --name tiles
      vae-anomaly train images tiles/ --name tiles --groups parts.csv --target-fpr 0.005
      vae-anomaly train images products/ --name all --model conditional --condition folder
      vae-anomaly train images screws/ --name screws --pose any
      vae-anomaly train images boards/ --name boards --tile-size 256
      vae-anomaly train images caps/ --name caps --register auto --foreground auto
      vae-anomaly train images tiles/ --name tiles --device auto
      vae-anomaly train images tiles/ --out model/ --no-register
      vae-anomaly train images tiles/ --name deep --features timm:resnet18 \\
          --features-weights resnet18.safetensors
    """
    from vae_anomaly import ImageVAEDetector
    from vae_anomaly.jobs import train_images_job

    where = _destination(options)
    chosen = {key: options[key] for key in IMAGE_CHOICES}
    detector = ImageVAEDetector(size, **chosen, **_parameters(options))
    with show_progress() as progress:
        report = train_images_job(detector, source, where, groups=groups, progress=progress)
    _tell(report, options)


@train.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@table_options
@click.option("--model", type=click.Choice(TABLE_MODELS), default="vae", show_default=True,
              help="Kind of VAE; `vae` suits most tables.")  # fmt: skip
@click.option("--condition", metavar="COLUMN",
              help="For --model conditional: the product, machine, ... of a row.")  # fmt: skip
@click.option("--beta", type=click.FloatRange(0, min_open=True),
              help="Weight of the KL in training.  [default: the model's]")  # fmt: skip
@click.option("--latent-dim", type=click.IntRange(min=1), metavar="N",
              help="Length of the code.  [default: one per feature, at most 32]")  # fmt: skip
@click.option("--memory", type=click.IntRange(min=100), metavar="N",
              help="Normal rows that the model keeps.  [default: the preset's]")  # fmt: skip
@click.option("--contamination", type=click.FloatRange(0, 0.5, max_open=True), default=0.0,
              show_default=True, metavar="C",
              help="Expected share of unmarked anomalies among the rows.")  # fmt: skip
@click.option("--sample-rows", type=click.IntRange(min=1000), default=200_000, show_default=True,
              help="Of a longer table, keep a uniform sample of so many.")  # fmt: skip
@entity_options
@training_options
def table(paths: tuple[str, ...], **options: Any) -> None:
    """Train on the normal rows of the tables PATH: CSV or parquet files, folders, 'patterns*'.

    What each column is gets inferred; correct it with --kind and --ignore, or with a schema that
    `vae-anomaly data schema` wrote and you edited. Missing cells are data. A table may be
    longer than memory. With --entity each row is also compared with the past of its card,
    customer, machine.

    \b
    Examples:
      vae-anomaly train table 'days/2024-04-*.parquet' --name cards --id-column payment_id
      vae-anomaly train table days/ --name cards --entity card --time at --amount euro
      vae-anomaly train table days.csv --name cards --labels is_fraud --kind shop=categorical
      vae-anomaly train table parts.csv --name press --model conditional --condition product
    """
    from vae_anomaly import TabularVAEDetector
    from vae_anomaly.jobs import read_schema, train_table_job

    where, kinds = _destination(options), kinds_of(options["kinds"], options["ignore"])
    schema = read_schema(options["schema_file"]) if options["schema_file"] else None
    chosen = {key: options[key] for key in ("id_column", "groups", "sample_rows")}
    chosen["label"] = options["labels"]
    chosen["entities"] = declared_entities(
        options["entities"], options["time_column"], options["amount_column"]
    )
    named = ("model", "condition", "beta", "latent_dim", "memory", "contamination")
    kind = {key: options[key] for key in named}
    detector = TabularVAEDetector(**kind, **_parameters(options))
    with show_progress() as progress:
        report = train_table_job(
            detector, paths, where, schema=schema, kinds=kinds, progress=progress, **chosen
        )
    _tell(report, options)


def _destination(options: dict[str, Any]) -> Destination:
    from vae_anomaly.jobs import Destination

    if options["no_register"] and not options["out"]:
        raise click.UsageError("--no-register keeps the model nowhere: give --out DIR as well.")
    if not options["no_register"] and not options["name"]:
        raise click.UsageError("Give --name NAME, or --out DIR with --no-register.")
    return Destination(
        name=None if options["no_register"] else options["name"],
        alias=None if options["no_alias"] else options["alias"],
        folder=options["out"],
        uri=options["uri"],
        evidence="trained on the command line",
    )


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    """Return what both detectors call the same."""
    return {
        "preset": options["preset"],
        "target_fpr": options["target_fpr"],
        "max_steps": options["max_steps"],
        "random_state": options["seed"],
    }


def _tell(report: TrainingReport, options: dict[str, Any]) -> None:
    if emit(asdict(report), as_json=options["as_json"]):
        return
    reading = report.reading
    left = f"; {reading.n_left_out:,} labelled as anomalies, left out" * bool(reading.n_left_out)
    click.echo(f"Read {reading.source}{left}.")
    if report.columns:
        rows = [[c.name, c.kind.value, c.note] for c in report.columns]
        print_table(rows, ["column", "kind", "why"])
    for note in reading.notes:
        click.echo(f"Note: {note}.")
    _tell_what_was_learned(report)
    _tell_where(report, options["uri"])


def _tell_what_was_learned(report: TrainingReport) -> None:
    bound, m = report.threshold, report.metrics
    steps = (
        f"{report.steps:,} steps (best: {report.best_step:,})" if report.steps else "closed form"
    )
    click.echo(f"Trained in {report.seconds:.0f} s, {steps}.")
    if "active_units" in m:
        expected = m.get("expected_active_units")
        beforehand = "" if expected is None else f" ({expected:.0f} expected beforehand)"
        click.echo(f"Latents in use: {m['active_units']:.0f} of {m['latents']:.0f}{beforehand}.")
    if "trimmed_rows" in m:
        click.echo(
            f"Left out as possible anomalies: {m['trimmed_rows']:,.0f} training rows, "
            f"{m['dropped_held_out']:,.0f} held-out rows."
        )
    if "registered" in m:
        click.echo(
            "Parts are shifted to one place before they are judged."
            if m["registered"]
            else "Parts are not shifted: the pictures do not get more alike by it."
        )
    if "foreground_share" in m:
        click.echo(
            f"Foreground: {m['foreground_share']:.0%} of the picture; the rest is ignored."
            if m["foreground_share"] < 1
            else "Foreground: all of the picture, as its background is not clearly uniform."
        )
    if "self_test_auroc" in m:
        click.echo(
            f"Self-test: synthetic defects rank above good pictures {m['self_test_auroc']:.0%} of "
            "the time (50% is chance)."
        )
    click.echo(f"Held out {report.n_held_out:,} normal items that nothing was fitted on.")
    click.echo(f"Flags a score above {bound.value:.2f} (p below {bound.p_value:.2g}).", nl=False)
    rate = bound.expected_fpr
    if rate is not None:
        click.echo(
            f" Expect {rate.estimate:.2%} of normal items to be flagged "
            f"({rate.level:.0%} interval {rate.low:.2%} to {rate.high:.2%})."
        )
    else:
        click.echo()
    if "labelled_anomalies" in m:
        click.echo(
            f"Of {m['labelled_anomalies']:,.0f} labelled anomalies {m['recall_at_threshold']:.1%} "
            f"are flagged; AUROC {m['auroc']:.3f}, average precision {m['average_precision']:.3f}."
        )


def _tell_where(report: TrainingReport, uri: str | None) -> None:
    at = f" --tracking-uri {uri}" if uri else ""
    if report.registered is not None:
        model = report.registered
        click.echo(f"\nRegistered {model.name} version {model.version} in {model.store}")
        click.echo(f"  look at it:   mlflow ui --backend-store-uri {model.store}")
    if report.folder is not None:
        click.echo(f"{'' if report.registered else chr(10)}Saved in {report.folder}")
    kind, what = ("images", "NEW_PICTURES/") if report.kind == "image" else ("table", "NEW_ROWS")
    click.echo(f"  score with:   vae-anomaly score {kind} {report.model} {what} --out flags/{at}")

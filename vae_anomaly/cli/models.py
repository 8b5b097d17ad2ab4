"""``vae-anomaly models list|show|card|promote|recalibrate|verify|export|relink``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.challenge import margin_option, print_challenge
from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.options import (
    at_store,
    class_options,
    groups_option,
    image_options,
    json_option,
    labels_option,
    one_or_all,
    renamed,
    state_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.cli.recalibrated import print_recalibrated
from vae_anomaly.names import typed
from vae_anomaly.words import names_of, number_of

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.data.images.folders import ClassNames
    from vae_anomaly.errors import GateFailedError
    from vae_anomaly.evaluation import GateResult
    from vae_anomaly.jobs import Asked
    from vae_anomaly.tracking import ModelCard, Promotion, VersionCard

METRICS_SHOWN = 2
LEFT_OUT = "vae_anomaly.left_out"  # tag of a version: names of training items
CONFIRMED = f"{LEFT_OUT}_confirmed"  # likewise, of those that reviewers had confirmed
RECALIBRATED = "vae_anomaly.recalibrated"  # likewise: of which version, on what, by whom and when


@click.group()
def models() -> None:
    """List, show, describe, promote, verify and export models.

    \b
    Examples:
      vae-anomaly models list
      vae-anomaly models promote tiles 4 --evidence "AUROC 0.97, was 0.95"
    """


@models.command("list")
@tracking_option
@json_option
def list_(uri: str | None, as_json: bool) -> None:
    """List the models of the registry.

    \b
    Example:
      vae-anomaly models list --tracking-uri http://mlflow.example:5000
    """
    from vae_anomaly.tracking import list_models, tracking_uri
    from vae_anomaly.tracking.store import displayed

    store, summaries = displayed(tracking_uri(uri)), list_models(uri)
    if emit({"store": store, "models": [asdict(model) for model in summaries]}, as_json=as_json):
        return
    if not summaries:
        click.echo(f"{store} holds no models yet. Train one: vae-anomaly train --help")
        return
    rows = [
        [m.name, m.kind, str(m.latest), _aliases(m.aliases), f"{m.updated:%Y-%m-%d %H:%M}"]
        for m in summaries
    ]
    print_table(rows, ["model", "kind", "latest", "aliases", "trained (UTC)"], f"In {store}")


@models.command()
@click.argument("name")
@tracking_option
@json_option
def show(name: str, uri: str | None, as_json: bool) -> None:
    """Show the versions of a model, and how its aliases moved.

    \b
    Example:
      vae-anomaly models show tiles
    """
    from vae_anomaly.tracking import show_model

    card = show_model(name, uri)
    if not emit(asdict(card), as_json=as_json):
        _print_card(card)


@models.command()
@click.argument("name", metavar="NAME")
@click.option("--out", metavar="FILE.md", help="Write the card there instead of printing it.")
@tracking_option
@json_option
def card(name: str, out: str | None, uri: str | None, as_json: bool) -> None:
    """Describe a model as a model card, in Markdown.

    NAME is a registered name, of which the champion is described, else the latest version; or
    models:/NAME/VERSION, models:/NAME@ALIAS or a folder. `vae-anomaly report MODEL` draws the same
    facts as a page.

    \b
    Examples:
      vae-anomaly models card tiles --out MODEL_CARD.md
      vae-anomaly models card models:/cards/3
      vae-anomaly models card model/
    """
    from vae_anomaly.files import replace_file
    from vae_anomaly.jobs.report.model import described_model, model_facts
    from vae_anomaly.reports.model_card import model_card

    facts = model_facts(described_model(name, uri), uri)
    text = model_card(facts)
    if out is not None:
        with replace_file(Path(out)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if emit({"model": facts.ref, "digest": facts.digest, "card": out or text}, as_json=as_json):
        return
    click.echo(text if out is None else f"wrote {out}", nl=out is not None)


@models.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--alias", default="champion", show_default=True, help="Alias that moves.")
@click.option("--evidence", default="", help="Why, for the record.")
@click.option(
    "--require",
    multiple=True,
    metavar="RULE",
    help='Such as "auroc>=0.9" or "fpr.high<=0.02" (an end of the interval); repeatable.',
)
@click.option("--not-worse", is_flag=True,
              help="Only where it is shown to be not worse than what has the alias.")  # fmt: skip
@margin_option
@click.option("--anyway", is_flag=True, help="Also where a comparison was not passed.")
@click.option("--input", "source", metavar="PATH", help="What it is measured on.")
@labels_option()
@groups_option()
@class_options
@state_option
@image_options
@threads_option
@tracking_option
@json_option
def promote(name: str, version: int, alias: str, evidence: str, require: tuple[str, ...],
            not_worse: bool, margins: tuple[str, ...], anyway: bool, source: str | None,
            labels: str | None, groups: str | None, classes: ClassNames, state: str | None,
            follow_links: bool, reading: ImageReading, uri: str | None,
            as_json: bool) -> None:  # fmt: skip
    """Point an alias of model NAME at VERSION, on the record.

    The files of the version are verified first. Who did it, when, from where and why is kept as a
    run of its own; going back is promoting the earlier version.

    With --require the version is measured on --input, and the alias moves only where every rule
    holds; else exit code 6. Input without labels counts as normal and can show fpr only.

    With --not-worse it is compared on --input with the version that has the alias, and takes its
    place only where false alarms, anomalies found and AUROC are shown to be no worse than the
    margins allow; else exit code 6. A version that did not pass is refused afterwards, too, unless
    --anyway says so.

    \b
    Examples:
      vae-anomaly models promote tiles 4 --evidence "AUROC 0.97, was 0.95"
      vae-anomaly models promote cards 2 --require "auroc>=0.9" --require "fpr.high<=0.02" \\
          --input days/ --labels labels.parquet:is_fraud
      vae-anomaly models promote tiles 4 --not-worse --input may/
    """
    from vae_anomaly.evaluation import run_gate
    from vae_anomaly.jobs import Asked
    from vae_anomaly.tracking import promote as move

    asks = bool(require) or not_worse
    if asks != bool(source) or (not asks and (labels or groups or state or classes)):
        raise click.UsageError(
            "--require or --not-worse, and --input go together: rules, and the items to measure "
            "them on; --labels, --groups, --good, --defect and --state belong to that input."
        )
    if (require and not_worse) or (margins and not not_worse) or (anyway and asks):
        raise click.UsageError(
            "--require and --not-worse exclude each other, --margin belongs to --not-worse, and "
            "--anyway asks for nothing: keep one."
        )
    if source is None:
        moved = move(name, version, alias, evidence=evidence, anyway=anyway, uri=uri)
        _print_moved(name, moved, {}, uri, as_json)
        return
    if not_worse:
        asked = Asked(source, labels, groups, state, classes, follow_links, reading)
        _promote_if_not_worse(name, version, asked, alias, evidence, margins, uri, as_json)
        return
    with show_progress() as progress:
        gate = run_gate(name, version, require, source, labels=labels, groups=groups, state=state,
                        classes=classes, follow_links=follow_links, reading=reading,
                        alias=alias, evidence=evidence, uri=uri,
                        progress=progress)  # fmt: skip
    if not as_json:
        _print_gate(gate, f"{name}/{version}")
    if gate.promotion is None:
        emit({"model": name, "version": version, "gate": gate.to_dict()}, as_json=as_json)
        raise _refusal(gate, name, version, alias)
    _print_moved(name, gate.promotion, {"gate": gate.to_dict()}, uri, as_json)


def _promote_if_not_worse(
    name: str,
    version: int,
    asked: Asked,
    alias: str,
    evidence: str,
    margins: tuple[str, ...],
    uri: str | None,
    as_json: bool,
) -> None:
    from vae_anomaly.evaluation.challenge import read_margins
    from vae_anomaly.jobs import promote_if_not_worse
    from vae_anomaly.jobs.challenge import refusal

    allowed = read_margins(margins)
    with show_progress() as progress:
        found, moved = promote_if_not_worse(
            name, version, asked, alias=alias, evidence=evidence, margins=allowed, uri=uri,
            progress=progress,
        )  # fmt: skip
    if not as_json:
        print_challenge(found, uri, hint=False)
    if moved is None:
        emit({"model": name, "version": version, "challenge": found.to_dict()}, as_json=as_json)
        raise refusal(found, alias)
    _print_moved(name, moved, {"challenge": found.to_dict()}, uri, as_json)


def _print_moved(
    name: str, done: Promotion, more: Mapping[str, object], uri: str | None, as_json: bool
) -> None:
    if emit({"model": name, **asdict(done), **more}, as_json=as_json):
        return
    before = f"version {done.old_version}" if done.old_version else "nothing"
    click.echo(
        f"models:/{name}@{done.alias} is now version {done.new_version} (was {before}), "
        f"by {done.who}."
    )
    if done.old_version and done.old_version != done.new_version:
        back = typed(
            "vae-anomaly", "models", "promote", name, str(done.old_version), *at_store(uri)
        )
        click.echo(f"  go back:   {back}")


def _print_gate(gate: GateResult, model: str) -> None:
    click.echo(
        f"{model} on {gate.source}: {gate.n_normals:,} normal and {gate.n_anomalies:,} "
        "anomalous items"
    )
    rows = [
        [
            str(v.requirement),
            "-" if v.measured is None else f"{v.measured.estimate:.4f}",
            "-" if v.measured is None else f"{v.measured.low:.4f} - {v.measured.high:.4f}",
            "holds" if v.passed else "FAILS" if v.measured else "FAILS: cannot be measured here",
        ]
        for v in gate.verdicts
    ]
    print_table(rows, ["required", "measured", "95 % interval", ""], "Gate")


def _refusal(gate: GateResult, name: str, version: int, alias: str) -> GateFailedError:
    from vae_anomaly.errors import GateFailedError

    failed = [verdict for verdict in gate.verdicts if not verdict.passed]
    unknown = any(verdict.measured is None for verdict in failed)
    hint = " Rankings and recall need labelled anomalies: add --labels COLUMN." if unknown else ""
    return GateFailedError(
        f"{name}/{version} does not become {alias}: {'; '.join(map(str, failed))}. "
        f"Nothing was changed.{hint}"
    )


@models.command()
@click.argument("model")
@click.option("--input", "source", metavar="PATH", multiple=True, required=True,
              help="Normals that are new to the model; repeatable.")  # fmt: skip
@click.option("--target-fpr", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Share of normals that may be flagged.  [default: the model's]")  # fmt: skip
@labels_option("Column of labels, or FILE:COLUMN joined by id; anomalies are left out.")
@groups_option()
@class_options
@state_option
@image_options
@click.option("--out", metavar="DIR", help="Model folder to write; needed where MODEL is one.")
@click.option("--alias", metavar="NAME", help="Alias to move to the new version.  [default: none]")
@click.option("--who", metavar="NAME", help="Who decided; kept with the version.")
@click.option("--reason", metavar="TEXT", default="", help="Why; kept with the version.")
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
@threads_option
@tracking_option
@json_option
def recalibrate(model: str, source: tuple[str, ...], target_fpr: float | None, labels: str | None,
                groups: str | None, classes: ClassNames, state: str | None, follow_links: bool,
                reading: ImageReading, out: str | None, alias: str | None, who: str | None,
                reason: str, dry_run: bool, uri: str | None, as_json: bool) -> None:  # fmt: skip
    """Make p-values and threshold of MODEL anew on other normals, without training.

    For a new camera, machine or season: what the networks have learned stays, and what counts as
    usual is what --input shows. The promised rate of false alarms then holds for items like these.
    A registered model gets a new version, and no alias moves unless --alias names one; a model
    folder stays as it is, and --out names the new one.

    \b
    Examples:
      vae-anomaly models recalibrate models:/tiles@champion --input normals/
      vae-anomaly models recalibrate models:/cards@champion --input may.parquet \\
          --labels is_fraud --reason "new terminal"
      vae-anomaly models recalibrate model/ --input normals/ --out model-camera2/
    """
    from vae_anomaly.jobs import recalibrate_job

    with show_progress() as progress:
        done = recalibrate_job(
            model, one_or_all(source), target_fpr=target_fpr, labels=labels, groups=groups,
            state=state, classes=classes, follow_links=follow_links, reading=reading, out=out,
            alias=alias, who=who, reason=reason, dry_run=dry_run, uri=uri, progress=progress,
        )  # fmt: skip
    if not emit({"dry_run": dry_run, **asdict(done), "threshold": done.threshold.to_dict()},
                as_json=as_json):  # fmt: skip
        print_recalibrated(done, uri, dry_run=dry_run)


@models.command()
@click.argument("model")
@tracking_option
@json_option
def verify(model: str, uri: str | None, as_json: bool) -> None:
    """Check every file of MODEL against the digests written when it was made.

    A registered model is fetched afresh. Exit code 5 when a file is missing, added or changed.

    \b
    Examples:
      vae-anomaly models verify models:/tiles@champion
      vae-anomaly models verify model/
    """
    from vae_anomaly.tracking import verify as check

    version = check(model, uri)
    if not emit({"intact": True, **asdict(version)}, as_json=as_json):
        click.echo(f"{version.label} ({version.kind}) is intact, digest {version.digest}")


@models.command()
@click.argument("model")
@click.argument("out", metavar="FILE.onnx")
@click.option("--image-channels", type=click.Choice(["1", "3"]),
              help="Grey (1) or RGB (3) images.  [default: as in training]")  # fmt: skip
@renamed("--picture-channels", "--image-channels")
@tracking_option
@json_option
def export(
    model: str, out: str, image_channels: str | None, uri: str | None, as_json: bool
) -> None:
    """Write a model of images as one ONNX file, to score without Python.

    The file takes decoded images of any size and gives raw score, anomaly score, p-value and
    heatmap, to 1e-4 what the model says: that is checked before it is written. Needs the extra:
    pip install 'vae_anomaly[onnx]'.

    \b
    Examples:
      vae-anomaly models export models:/tiles@champion tiles.onnx
      vae-anomaly models export model/ tiles.onnx --image-channels 3
    """
    from vae_anomaly.errors import ModelRefusedError
    from vae_anomaly.tracking import load

    detector, resolved = load(model, uri)
    if detector.kind != "image":
        raise ModelRefusedError(
            f"{resolved.label} is a model of tables, of which memories and encoders of cells are "
            "no ONNX graph. Score it with: vae-anomaly score table"
        )
    channels = None if image_channels is None else int(image_channels)
    done = detector.export_onnx(out, image_channels=channels)
    facts = {"model": resolved.label, **asdict(done), "path": str(done.path)}
    if not emit(facts, as_json=as_json):
        click.echo(f"{done.path} ({done.size_bytes / 2**20:.1f} MiB) scores as {resolved.label}")
        click.echo(f"  takes:     uint8 images (N, H, W, {done.image_channels}) of any size")
        click.echo(f"  compared:  anomaly scores differ by {done.largest_difference:.1g} at most")
        click.echo(f"  flag:      an anomaly score above {done.threshold:.4g}")


@models.command()
@tracking_option
@json_option
def relink(uri: str | None, as_json: bool) -> None:
    """Put a store right whose folder was moved or copied.

    Its database names every file by its whole path. Run this once in the new place, when the files
    are there; a copy then lives on its own, and what it was copied from is left as it is.

    \b
    Example:
      vae-anomaly models relink --tracking-uri /new/place/vae-anomaly-store
    """
    from vae_anomaly.tracking import relink_store, tracking_uri

    done = relink_store(tracking_uri(uri))
    if emit(asdict(done), as_json=as_json):
        return
    if not done.was:
        click.echo(f"The store in {done.folder} lies where it says: nothing to do.")
        return
    addresses = number_of(done.addresses, "address", "addresses")
    click.echo(f"The store in {done.folder} was in {names_of(done.was)}: {addresses} put right.")


def _print_card(card: ModelCard) -> None:
    header = ["version", "aliases", "trained (UTC)", "flags above", "policy", "measured"]
    print_table([_version_row(version) for version in card.versions], header, card.name)
    for version in card.versions:
        if left_out := version.tags.get(LEFT_OUT):
            click.echo(
                f"Version {version.version} was trained without {left_out}: outliers; why is in "
                f"left_out.json of run {version.run_id}."
            )
        if confirmed := version.tags.get(CONFIRMED):
            click.echo(
                f"Version {version.version} was trained without {confirmed}: confirmed as "
                "anomalies by reviewers."
            )
        if made := version.tags.get(RECALIBRATED):
            click.echo(f"Version {version.version} was {made}.")
    if card.promotions:
        rows = [
            [f"{p.when:%Y-%m-%d %H:%M}", p.alias,
             f"{p.old_version or '-'} -> {p.new_version or '-'}", p.who, p.evidence]
            for p in card.promotions
        ]  # fmt: skip
        print_table(rows, ["when (UTC)", "alias", "moved", "by", "why"], "Promotions")


def _version_row(version: VersionCard) -> list[str]:
    tags = {key.rpartition(".")[2]: value for key, value in version.tags.items()}
    wanted = ("auroc", "average_precision", "self_test_found", "self_test_auroc", "val_elbo")
    measured = version.metrics
    known = [f"{name} {measured[name]:.4g}" for name in wanted if name in measured]
    stored = [f"{name} {measured[name]:.0f}" for name in ("channels", "white") if name in measured]
    return [
        str(version.version),
        ", ".join(f"@{alias}" for alias in version.aliases),
        f"{version.created:%Y-%m-%d %H:%M}",
        _bound_text(tags.get("threshold", "")),
        tags.get("threshold_policy", "-"),
        ", ".join([*known[:METRICS_SHOWN], *stored]),
    ]


def _bound_text(bound: str) -> str:
    """Say above what a version flags; what was learned has its bound in words already."""
    try:
        return f"{float(bound):.2f}" if bound else "-"
    except ValueError:
        return bound


def _aliases(aliases: dict[str, int]) -> str:
    return ", ".join(f"@{alias} = {version}" for alias, version in aliases.items())

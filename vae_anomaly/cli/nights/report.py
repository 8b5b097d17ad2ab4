"""``vae-anomaly report``."""

from __future__ import annotations

import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_words, show_progress
from vae_anomaly.cli.options import json_option, tracking_option
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.reports.facts.night import NightFacts

NON_NEGATIVE = click.FloatRange(0)


@click.command()
@click.argument("target", metavar="RUN_DIR|MODEL")
@click.option("--out", metavar="FILE", help="The page.  [default: in RUN_DIR, beside MODEL]")
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
@click.option("--compare", "first", metavar="TARGET", help="Put it beside the other one.")
@click.option("--input", "input_", metavar="PATH", help="What two models to compare score.")
@click.option("--allow-failed", is_flag=True,
              help="Compare also runs that lack a part of their input.")  # fmt: skip
@click.option("--previous", metavar="DIR", help="The night before.  [default: the run before]")
@click.option("--verdicts", metavar="FILE",
              help="Decisions or labels.  [default: those of the registry]")  # fmt: skip
@click.option("--cost-fp", type=NON_NEGATIVE, help="Cost of a false alarm; with --cost-fn.")
@click.option("--cost-fn", type=NON_NEGATIVE, help="Cost of a miss.")
@click.option("--model", metavar="MODEL",
              help="What commands on the page call the model.  [default: its version]")  # fmt: skip
@tracking_option
@json_option
def report(target: str, out: str | None, opens: bool, first: str | None, input_: str | None,
           allow_failed: bool, previous: str | None, verdicts: str | None, cost_fp: float | None,
           cost_fn: float | None, model: str | None, uri: str | None,
           as_json: bool) -> None:  # fmt: skip
    """Draw the page of a night, or of a model: what is flagged, how sure, is anything wrong.

    RUN_DIR is the output folder of `score`, which writes this page itself. One HTML file that works
    from the disk and asks for nothing: images or rows with their reasons, buttons for verdicts, and
    a slider that says what another threshold would do.

    MODEL is a folder, models:/NAME@ALIAS or models:/NAME/VERSION. Its page tells what it learned
    from, what it is for and not for, its strangest training items, how its threshold came about.

    \b
    Examples:
      vae-anomaly report flags/ --open
      vae-anomaly report flags/ --previous last-week/flags/ --out monday.html
      vae-anomaly report flags/ --verdicts decisions.csv --cost-fp 1 --cost-fn 50
      vae-anomaly report models:/tiles@champion --open
      vae-anomaly report --compare flags-old/ flags-new/
      vae-anomaly report --compare models:/cards/3 models:/cards/4 --input days/
    """
    from vae_anomaly.jobs.report.model import is_model
    from vae_anomaly.jobs.report.night.facts import Wanted
    from vae_anomaly.jobs.report.night.write import write_night

    if first is not None or input_ is not None:
        path = _compare(first, target, input_, out, uri, allow_failed=allow_failed)
        if opens:
            _open(path)
        if not emit({"report": str(path)}, as_json=as_json):
            click.echo(f"Report: {path}")
        return
    if is_model(target):
        _require_none({"--previous": previous, "--verdicts": verdicts, "--cost-fp": cost_fp,
                       "--cost-fn": cost_fn, "--model": model})  # fmt: skip
        _report_model(target, out, uri, opens=opens, as_json=as_json)
        return
    costs = _costs(cost_fp, cost_fn)
    wanted = Wanted(model or "", uri, previous, verdicts, costs)
    path, facts = write_night(_output(target), out or _page_of(target), wanted)
    if opens:
        _open(path)
    if not emit({"report": str(path), **_record(facts)}, as_json=as_json):
        _print(facts)
        click.echo(f"Report: {path}")


def _open(path: Path) -> None:
    """Open a page in the browser; say where there is none."""
    if not webbrowser.open(path.resolve().as_uri()):
        click.echo("No browser could be opened here: open the page by hand.", err=True)


def _compare(
    first: str | None, second: str, input_: str | None, out: str | None, uri: str | None,
    *, allow_failed: bool,
) -> Path:  # fmt: skip
    """Put two runs, or two models on one input, side by side."""
    from vae_anomaly.jobs.report.compare import compare_models, compare_runs
    from vae_anomaly.jobs.report.model import is_model
    from vae_anomaly.reports.pages.compare import compare_page
    from vae_anomaly.reports.pages.page import write_page

    if first is None or is_model(second) != (input_ is not None):
        raise click.UsageError(
            "Two runs are compared with --compare RUN_A RUN_B, two models with --compare MODEL_A "
            "MODEL_B --input PATH."
        )
    if input_ is None:
        facts = compare_runs(_output(first), _output(second), allow_failed=allow_failed)
    else:
        with show_progress() as progress:
            facts = compare_models(first, second, input_, uri=uri, progress=progress)
    return write_page(compare_page(facts), out or "report.html")


def _report_model(
    target: str, out: str | None, uri: str | None, *, opens: bool, as_json: bool
) -> None:
    from vae_anomaly.jobs.report.model import write_model_page

    path, facts = write_model_page(target, out, uri)
    if opens:
        _open(path)
    told = {"report": str(path), "model": facts.ref, "digest": facts.digest,
            "notices": [asdict(notice) for notice in facts.notices]}  # fmt: skip
    if emit(told, as_json=as_json):
        return
    print_words(facts.summary)
    for notice in facts.notices:
        if notice.level == "warning":
            print_words(f"Warning: {notice.text} {notice.remedy}".strip())
    click.echo(f"Report: {path}")


def _require_none(given: dict[str, object]) -> None:
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise click.UsageError(f"{wrong[0]} belongs to the page of a night, and this is a model.")


def _costs(cost_fp: float | None, cost_fn: float | None) -> tuple[float, float] | None:
    if (cost_fp is None) != (cost_fn is None):
        raise click.UsageError("A cost has two sides. Give both --cost-fp and --cost-fn.")
    return None if cost_fp is None or cost_fn is None else (cost_fp, cost_fn)


def _page_of(target: str) -> str | None:
    """Return where the page of a folder in an object store goes: into the folder that one is in."""
    from vae_anomaly.storage.addresses import is_remote

    return "report.html" if is_remote(target) else None


def _output(target: str) -> Path:
    """Return an output folder of a run; refuse what is none."""
    from vae_anomaly.errors import DataError
    from vae_anomaly.jobs.report.night.source import is_output
    from vae_anomaly.storage.copies import on_disk

    folder = Path(on_disk(target))
    if is_output(folder):
        return folder
    what = (
        "is a file"
        if folder.is_file()
        else "holds no results"
        if folder.is_dir()
        else "is not there"
    )
    raise DataError(
        f"{target} {what}: a report is drawn of the output folder of `vae-anomaly score`. Score an "
        "input first: vae-anomaly score --help"
    )


def _record(facts: NightFacts) -> dict[str, object]:
    return {
        "model": facts.scoring.version,
        "threshold": facts.scoring.threshold["value"],
        "rows_in": facts.n_read,
        "rows_out": facts.n_scored,
        "flagged": facts.n_flagged,
        "quarantined": facts.n_quarantined,
        "expected_false_alarms": asdict(facts.expected_false_alarms),
        "notices": [asdict(notice) for notice in facts.notices],
        "changes": None if facts.changes is None else asdict(facts.changes),
    }


def _print(facts: NightFacts) -> None:
    alarms = facts.expected_false_alarms
    click.echo(
        f"{facts.n_flagged:,} of {number_of(facts.n_scored, 'item')} flagged by "
        f"{facts.scoring.version}; {alarms.low:,.0f} to {alarms.high:,.0f} false alarms are to be "
        f"expected; {facts.n_quarantined:,} not scored."
    )
    for notice in facts.notices:
        if notice.level == "warning":
            print_words(f"Warning: {notice.text} {notice.remedy}".strip())
    if facts.changes is not None:
        print_words(f"Since {facts.changes.name}: {facts.changes.text}")

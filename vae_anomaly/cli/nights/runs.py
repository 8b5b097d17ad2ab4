"""``vae-anomaly runs``: output folders of `score`, what is in them, and what is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import emit, print_table, print_words
from vae_anomaly.cli.nights.score import Run, finish, reported, shown_progress
from vae_anomaly.cli.nights.sync import sync
from vae_anomaly.cli.options import given_threads, json_option, threads_option, tracking_option
from vae_anomaly.errors import DataError, StorageError
from vae_anomaly.names import typed
from vae_anomaly.words import number_of, reason_of

if TYPE_CHECKING:
    from vae_anomaly.batch.runs.found import FoundRun
    from vae_anomaly.batch.runs.verify import Verified

MAX_SHOWN = 20


@click.group()
def runs() -> None:
    """Look at output folders of `score`: how far they are, whether they are whole; log them later.

    \b
    Examples:
      vae-anomaly runs list nights/
      vae-anomaly runs verify flags/
      vae-anomaly runs resume flags/
      vae-anomaly runs sync
    """


runs.add_command(sync)


@runs.command("list")
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@json_option
def list_(folders: tuple[str, ...], as_json: bool) -> None:
    """List the output folders that are DIR or lie below it, and how far each is.

    A folder is complete, running, unfinished (stopped before its end), failed (parts of the input
    could not be scored), or damaged.

    \b
    Examples:
      vae-anomaly runs list nights/
      vae-anomaly runs list flags/ archive/2024/ --json
    """
    from vae_anomaly.batch.runs.found import find_runs

    found = list(find_runs(folders))
    if emit({"runs": [_record(one) for one in found]}, as_json=as_json):
        return
    if not found:
        click.echo("No results of `vae-anomaly score` there.")
        return
    header = ["folder", "state", "model", "items", "flagged", "not scored", "last run (UTC)"]
    print_table(list(map(_line, found)), header)
    for one in found:
        if one.why:
            print_words(f"{one.place}: {reason_of(one.why)}.{_remedy(one)}")


@runs.command()
@click.argument("folder", metavar="DIR")
@json_option
def show(folder: str, as_json: bool) -> None:
    """Show one output folder: its parts, what its run was asked for, what failed and why.

    \b
    Examples:
      vae-anomaly runs show flags/
      vae-anomaly runs show flags/ --json
    """
    from vae_anomaly.batch.runs.found import read_state

    found = read_state(folder)
    if not emit(_details(found), as_json=as_json):
        _print_details(found)


@runs.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("--allow-failed", is_flag=True, help="Parts that could not be scored are no fault.")
@json_option
def verify(folders: tuple[str, ...], allow_failed: bool, as_json: bool) -> None:
    """Check that an output folder is whole and that all its figures agree; write nothing.

    The SHA-256 of every file; rows in = rows out + not scored; rows, ids, scores and flags of each
    part; the ledger; files that nothing lists. Exit code 3 where something is wrong, 74 where a
    file cannot be read.

    \b
    Examples:
      vae-anomaly runs verify flags/
      vae-anomaly runs verify nights/2024-05-*/ --json
    """
    from vae_anomaly.batch.runs.verify import verify_run

    looked = [verify_run(folder, allow_failed=allow_failed) for folder in folders]
    if not emit({"runs": [_verdict(one) for one in looked]}, as_json=as_json):
        for one in looked:
            _print_verdict(one)
    wrong = [one for one in looked if one.findings]
    if wrong:
        kind = StorageError if any(f.is_io for one in wrong for f in one.findings) else DataError
        first, n = wrong[0], sum(len(one.findings) for one in wrong)
        raise kind(
            f"{first.place} is not as its run has promised: {number_of(n, 'fault')}. To score "
            f"again what is not right: {typed('vae-anomaly', 'runs', 'resume', first.place)}"
        )


@runs.command()
@click.argument("folder", metavar="DIR")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: as before]")
@click.option("--fail-on-anomaly/--no-fail-on-anomaly", default=None,
              help="Exit code 6 when anything is flagged.  [default: as before]")  # fmt: skip
@click.option("--fail-on-drift/--no-fail-on-drift", default=None,
              help="Exit code 6 when the night has moved away.  [default: as before]")  # fmt: skip
@click.option("--log-json", is_flag=True, help="Logs on stderr as JSON lines.")
@click.option("--report/--no-report", default=None,
              help="Write report.html.  [default: as before]")  # fmt: skip
@threads_option
@tracking_option
@json_option
def resume(
    folder: str, workers: int | None, fail_on_anomaly: bool | None, fail_on_drift: bool | None,
    log_json: bool, report: bool | None,
    uri: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Go on with a run that was stopped or lacks parts: same model, input and options.

    They are on record in the ledger of DIR, as is what ends it badly, its page and its threads;
    no passwords: where the address of the store has one, give it again. What is done and right is
    not done twice; what is new in the input is scored as well.

    \b
    Examples:
      vae-anomaly runs resume flags/
      vae-anomaly runs resume flags/ --workers 4
    """
    from vae_anomaly.batch.runs.command import ending_as
    from vae_anomaly.batch.runs.resume import command_of
    from vae_anomaly.batch.runs.resume import resume as go_on
    from vae_anomaly.threads import ask_threads

    command = command_of(folder)
    click.echo(f"Going on with: {command.words(folder)}", err=True)
    store = command.store(uri)
    was = command.ending
    if given_threads() is None and was.threads is not None:
        ask_threads(was.threads)
    run = Run(
        out=folder, max_bad_fraction=0.0, workers=1, engine="local", cached=False,
        fail_on_anomaly=was.fail_on_anomaly if fail_on_anomaly is None else fail_on_anomaly,
        fail_on_drift=was.fail_on_drift if fail_on_drift is None else fail_on_drift,
        max_flag_rate=None, log_json=log_json, report=was.report if report is None else report,
        dry_run=False,
        uri=None if store is None else str(store), as_json=as_json,
    )  # fmt: skip
    ending = replace(run.ending(), threads=given_threads() or was.threads)
    learns = command.options.get("learn") is not None
    with (
        ending_as(ending),
        reported(command.model, run, learns=learns) as page,
        shown_progress(run) as progress,
    ):
        summary = go_on(
            command, folder, uri=store, workers=workers, progress=progress, finished=page
        )
    things = "images" if command.kind == "images" else "rows"
    finish(summary, command.model, things, run, page)


def _record(found: FoundRun) -> dict[str, Any]:
    """Return an output folder in counts."""
    last = found.runs[-1] if found.runs else None
    return {
        "folder": found.place,
        "state": found.state,
        "why": found.why,
        "models": list(found.models),
        "partitions": len(found.rows),
        "rows_in": found.count("rows_in"),
        "rows_out": found.count("rows_out"),
        "flagged": found.count("rows_flagged"),
        "quarantined": found.count("rows_quarantined"),
        "codes": found.codes,
        "failed": found.failed,
        "repeated_ids": found.repeated_ids,
        "started": None if last is None else _time(last.started),
        "ended": None if last is None or last.ended is None else _time(last.ended),
        "changed": _time(found.changed()),
    }


def _details(found: FoundRun) -> dict[str, Any]:
    """Return all that is known of an output folder."""
    command = found.command if found.state != "damaged" else None
    return {
        **_record(found),
        "command": None if command is None else command.words(found.place),
        "asked": None if command is None else asdict(command),
        "runs": [
            {"run": one.run, "started": _time(one.started),
             "ended": None if one.ended is None else _time(one.ended),
             "partitions": one.partitions, "todo": one.todo, "version": one.code_version}
            for one in found.runs
        ],
        "parts": [
            {"key": row.key, "input": row.input_path, "rows_in": row.rows_in,
             "rows_out": row.rows_out, "flagged": row.rows_flagged,
             "quarantined": row.rows_quarantined, "codes": row.codes, "notes": row.notes,
             "model": row.model_version, "digest": row.model_digest, "threshold": row.threshold,
             "seconds": row.seconds, "done": _time(row.committed), "version": row.code_version}
            for row in found.rows
        ],
    }  # fmt: skip


def _line(found: FoundRun) -> list[str]:
    counts = [found.count(name) for name in ("rows_out", "rows_flagged", "rows_quarantined")]
    model = ", ".join(found.models) or "-"
    told = [f"{n:,}" for n in counts] if found.state != "damaged" else ["-"] * len(counts)
    return [found.place, found.state, model, *told, _minute(found.changed())]


def _print_details(found: FoundRun) -> None:
    command = found.command if found.state != "damaged" else None
    print_words(f"{found.place} is {found.state}{': ' * bool(found.why)}{reason_of(found.why)}.")
    if command is not None:
        click.echo(f"Asked for: {command.words(found.place)}")
    for run in found.runs[-1:]:
        ended = "not ended" if run.ended is None else f"ended {_minute(run.ended)}"
        click.echo(f"Last run: began {_minute(run.started)}, {ended} (UTC); {run.todo} of "
                   f"{number_of(run.partitions, 'part')} to score.")  # fmt: skip
    if found.rows:
        _print_parts(found)
    for key, reason in list(found.failed.items())[:MAX_SHOWN]:
        print_words(f"Failed: {key}: {reason}")
    if found.codes:
        codes = ", ".join(f"{n:,} {code}" for code, n in found.codes.items())
        click.echo(f"Not scored: {codes}; see {found.place}/quarantine/")
    if remedy := _remedy(found):
        click.echo(remedy.strip())


def _print_parts(found: FoundRun) -> None:
    rows = [
        [row.key, f"{row.rows_out:,}", f"{row.rows_flagged:,}", f"{row.rows_quarantined:,}",
         f"{row.seconds:.1f}", row.model_version, _minute(row.committed)]
        for row in found.rows[-MAX_SHOWN:]
    ]  # fmt: skip
    header = ["part", "items", "flagged", "not scored", "s", "model", "done (UTC)"]
    more = len(found.rows) - len(rows)
    print_table(rows, header, f"The last {len(rows)} of {len(found.rows)} parts" if more else "")


def _remedy(found: FoundRun) -> str:
    """Say what goes on with a folder that is not complete."""
    if found.state not in ("unfinished", "failed"):
        return ""
    if not found.runs:
        return " Run the same command again; what is done is not done twice."
    return f" Go on: {typed('vae-anomaly', 'runs', 'resume', found.place)}"


def _verdict(looked: Verified) -> dict[str, Any]:
    return {"folder": looked.place, "whole": not looked.findings, "files": looked.files,
            "rows": looked.rows, "notes": list(looked.notes),
            "findings": [asdict(one) for one in looked.findings]}  # fmt: skip


def _print_verdict(looked: Verified) -> None:
    counted = f"{number_of(looked.files, 'file')}, {number_of(looked.rows, 'item')}"
    state = "whole" if not looked.findings else number_of(len(looked.findings), "fault")
    click.echo(f"{looked.place}: {state} ({counted} looked at)")
    for one in _first(looked.findings):
        print_words(f"- {one.where}: {reason_of(one.what)}. {one.remedy}".rstrip())
    for note in looked.notes:
        print_words(f"Note: {note}")


def _first(findings: Sequence[Any]) -> Sequence[Any]:
    if len(findings) > MAX_SHOWN:
        click.echo(f"The first {MAX_SHOWN} of {len(findings)}; --json has all:")
    return findings[:MAX_SHOWN]


def _time(seconds: float | None) -> str | None:
    """Write a time as ISO 8601, UTC; nothing where it is none."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):  # no run has written that
        return None


def _minute(seconds: float | None) -> str:
    return (_time(seconds) or "-")[:16].replace("T", " ")

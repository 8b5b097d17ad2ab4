"""``vae-anomaly score images`` and ``vae-anomaly score table``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.nights.days import Dates, date_options, told_day, told_days
from vae_anomaly.cli.nights.preview import show_preview
from vae_anomaly.cli.options import (
    at_store,
    bundle,
    device_option,
    given_threads,
    image_options,
    json_option,
    one_or_all,
    state_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.errors import GateFailedError, VaeAnomalyError
from vae_anomaly.names import spelled, typed
from vae_anomaly.words import number_of, reason_of, verb_for

if TYPE_CHECKING:
    from datetime import date

    from vae_anomaly.batch import Options, Partition, RunSummary
    from vae_anomaly.batch.asked import AskedFor
    from vae_anomaly.batch.engines.choice import EngineName
    from vae_anomaly.batch.learning.options import LearnOptions
    from vae_anomaly.batch.plan import DrawnFor
    from vae_anomaly.batch.runs.command import Ending
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.jobs import Flag
    from vae_anomaly.jobs.nights.backfill import DayCounts, DayJob
    from vae_anomaly.jobs.report.night.write import ReportAtEnd
    from vae_anomaly.monitoring.checks import Limits
    from vae_anomaly.progress import Progress

TOP = 5
MAX_NOTES = 5
MANY_FLAGS, MANY_TIMES = 20, 10.0  # from when so many flags make one doubt the model


@click.group()
def score() -> None:
    """Score a night's images or a day's rows.

    \b
    Examples:
      vae-anomaly score images models:/tiles@champion tonight/ --out flags/
      vae-anomaly score table models:/cards@champion days/2024-05-01.parquet --out flags/
    """


@dataclass(frozen=True)
class Run:
    """Where results go, what ends a run, and how it is told, as every scoring takes them."""

    out: str
    max_bad_fraction: float
    workers: int
    engine: EngineName
    cached: bool
    fail_on_anomaly: bool
    fail_on_drift: bool
    max_flag_rate: float | None
    log_json: bool
    report: bool
    dry_run: bool
    uri: str | None
    as_json: bool

    def ending(self) -> Ending:
        """Return what `runs resume` is to know of how it ends."""
        from vae_anomaly.batch.runs.command import Ending

        return Ending(self.report, self.fail_on_anomaly, self.fail_on_drift, given_threads())

    def limits(self) -> Limits:
        """Return what is taken for drift."""
        from vae_anomaly.monitoring.checks import Limits

        return Limits(max_flag_rate=self.max_flag_rate)


scoring_options = bundle(
    "run",
    Run,
    click.option("--out", required=True, metavar="DIR", help="Output folder."),
    click.option("--max-bad-fraction", type=click.FloatRange(0, 1), default=0.05,
                 show_default=True, help="More than this share in quarantine is exit code 4."),
    click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Processes; each loads the model."),
    click.option("--engine", type=click.Choice(["local", "ray", "spark"]), default="local",
                 show_default=True, help="Where workers are: here, or on a cluster's machines."),
    click.option("--cached", is_flag=True,
                 help="Registry away: take the verified local copy of the model."),
    click.option("--fail-on-anomaly", is_flag=True, help="Exit code 6 when anything is flagged."),
    click.option("--fail-on-drift", is_flag=True,
                 help="Exit code 6 when inputs, scores or flags have moved away from training."),
    click.option("--max-flag-rate", type=click.FloatRange(0, 1), metavar="SHARE",
                 help="More flags than this are drift.  [default: what chance gives]"),
    click.option("--log-json", is_flag=True,
                 help="Logs on stderr as JSON lines, instead of progress."),
    click.option("--report/--no-report", default=True, show_default=True,
                 help="Write report.html, and log it with a registered model."),
    click.option("--dry-run", is_flag=True,
                 help="Say what would be scored, and why again; write nothing."),
    tracking_option,
    json_option,
)  # fmt: skip


@dataclass(frozen=True)
class Learn:
    """By what columns of entities verdicts are learned from, if at all."""

    learn: tuple[str, ...]
    evidence: bool

    @property
    def by(self) -> tuple[str, ...] | None:
        """The columns; None where nothing is to be learned."""
        return self.learn if self.learn or self.evidence else None

    def options(self, night: date | None) -> LearnOptions | None:
        """Return what a run is asked for."""
        from vae_anomaly.batch.learning.options import LearnOptions

        return LearnOptions.of(self.by, night if self.by is not None else None)


learn_options = bundle(
    "learn",
    Learn,
    click.option("--learn", multiple=True, metavar="COLUMN",
                 help="Rank by what verdicts have taught, also of this entity: terminal, camera."),
    click.option("--learn-evidence", "evidence", is_flag=True,
                 help="The same where no column names an entity, by the evidence alone."),
)  # fmt: skip


@score.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="INPUT...")
@click.option("--heatmaps", type=click.Choice(["flagged", "all", "none"]), default="flagged",
              show_default=True, help="Which images get a heatmap.")  # fmt: skip
@click.option("--masks", type=click.Choice(["flagged", "all", "none"]), default="flagged",
              show_default=True, help="Which images get a mask (255 = too hot).")  # fmt: skip
@image_options
@device_option
@threads_option
@learn_options
@date_options
@scoring_options
def images(
    model: str, paths: tuple[str, ...], heatmaps: DrawnFor, masks: DrawnFor, follow_links: bool,
    reading: ImageReading, device: str, learn: Learn, dates: Dates, run: Run,
) -> int | None:  # fmt: skip
    """Score the images of INPUT (folders, manifests, images, 'patterns*') with MODEL.

    All of them, whatever its folders are called; masks beside a data set, earlier results and
    recycle bins are no input, and are counted.
    Writes part-*.parquet (id, score, p_value, is_anomaly, heatmap, mask), heatmaps/, masks/,
    quarantine/, manifest.json and, last, report.html (see `vae-anomaly report`). A second run does
    only what is new or has changed.

    \b
    Examples:
      vae-anomaly score images models:/tiles@champion tonight/ --out flags/
      vae-anomaly score images model/ tonight/ --out flags/ --heatmaps all --fail-on-anomaly
      vae-anomaly score images model/ cam1/ cam2/ 'night/*.png' --out flags/
      vae-anomaly score images model/ tonight/ --out flags/ --masks all --heatmaps none
      vae-anomaly score images model/ tonight/ --out flags/ --device cuda --workers 4
      vae-anomaly score images model/ tonight/ --out flags/ --white 4095 --max-pixels 400000000
      vae-anomaly score images model/ tonight/ --out flags/ --dry-run
      vae-anomaly score images models:/tiles@champion tonight/ --out flags/ --learn folder
      vae-anomaly score images model/ 'night/{date}' --out 'flags/{date}' --date 2024-05-01
    """
    from vae_anomaly.batch import Options, score_images
    from vae_anomaly.batch.asked import images_asked_for, images_in

    night = _Night(
        model, paths, run, dates, learn, "images",
        score=partial(
            score_images, heatmaps=heatmaps, masks=masks, device=device, follow_links=follow_links,
            reading=reading,
        ),
        ask=partial(
            images_asked_for, follow_links=follow_links,
        ),
        options=Options(heatmaps=heatmaps, masks=masks, reading=reading),
        plan=partial(images_in, follow_links=follow_links),
    )  # fmt: skip
    return night.done()


@score.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="INPUT...")
@click.option("--id-column", metavar="COLUMN", help="Names a row.  [default: the model's]")
@click.option("--group-by", metavar="COLUMN",
              help="Watch each value of a column, such as the shop, on its own.")  # fmt: skip
@state_option
@threads_option
@learn_options
@date_options
@scoring_options
def table(
    model: str, paths: tuple[str, ...], id_column: str | None, group_by: str | None,
    state: str | None, learn: Learn, dates: Dates, run: Run,
) -> int | None:  # fmt: skip
    """Score the rows of INPUT (CSV or parquet files, folders, 'patterns*') with MODEL.

    Writes one part-*.parquet for each file (id, score, p_value, is_anomaly, reason_1 to reason_3),
    quarantine/, manifest.json and, last, report.html (see `vae-anomaly report`). A second run does
    only what is new or has changed. A model with entities goes on from the last night in --out,
    whose histories lie in state/.

    \b
    Examples:
      vae-anomaly score table models:/cards@champion days/2024-05-01.parquet --out flags/
      vae-anomaly score table models:/cards/3 'days/*.parquet' --out flags/ --workers 4
      vae-anomaly score table model/ today.csv --out flags/ --group-by shop --fail-on-drift
      vae-anomaly score table models:/cards@champion night/ --out flags/ --learn terminal
      vae-anomaly score table model/ 'days/{date}.csv' --out 'flags/{date}' --from 2024-05-01
          --to 2024-05-31 --redo failed --dry-run
    """
    from vae_anomaly.batch import Options, score_tables
    from vae_anomaly.batch.asked import tables_asked_for, tables_in

    night = _Night(
        model, paths, run, dates, learn, "rows",
        score=partial(score_tables, id_column=id_column, group_by=group_by, state=state),
        ask=partial(tables_asked_for, state=state),
        options=Options(id_column=id_column, group_by=group_by),
        plan=lambda source, _: tables_in(source),
    )  # fmt: skip
    return night.done()


@dataclass(frozen=True)
class _Night:
    """What is scored, of which day or days, and how."""

    model: str
    paths: tuple[str, ...]
    run: Run
    dates: Dates
    learn: Learn
    things: str
    score: Callable[..., RunSummary]
    ask: Callable[..., AskedFor]
    options: Options
    plan: Callable[[str | list[str], Path], Sequence[Partition]]

    def done(self) -> int | None:
        """Score one day, or the days of a range, or say what that would do."""
        self.dates.check(self.paths, self.run.out, learns=self.learn.by is not None)
        if self.dates.is_range:
            return self._range()
        day = self.dates.the_day()
        if self.run.dry_run:
            self._preview(day)
            return None
        run = self._run_of(day)
        with self._reported(run) as page, shown_progress(run) as progress:
            summary = self._scored(day, progress, page)
        finish(summary, self.model, self.things, run, page)
        return None

    def _preview(self, day: date) -> None:
        from vae_anomaly.batch.output.remote import place_to_look_at
        from vae_anomaly.batch.preview import preview_run

        out = self._run_of(day).out
        asked = self.ask(
            self.model, self._source(day), place_to_look_at(out), use_cached=self.run.cached,
            uri=self.run.uri,
            options=replace(self.options, learn=self.learn.options(self.dates.night(day))),
        )  # fmt: skip
        show_preview(preview_run(asked, out), as_json=self.run.as_json)

    def _range(self) -> int:
        from vae_anomaly.jobs.nights.backfill import backfill
        from vae_anomaly.tracking import resolve

        resolved = resolve(self.model, self.run.uri, use_cached=self.run.cached)
        is_registered = self.model.startswith("models:/")
        pinned = replace(self, model=f"models:/{resolved.label}" if is_registered else self.model)
        jobs = map(pinned._job, self.dates.all_days())
        dry_run = self.run.dry_run
        results = backfill(jobs, self.dates.redo or "none", dry_run=dry_run, tell=told_day)
        return told_days(results, dry_run=dry_run, as_json=self.run.as_json)

    def _job(self, day: date) -> DayJob:
        from vae_anomaly.jobs.nights.backfill import DayJob

        out, source = self._run_of(day).out, self._source(day)
        inputs = [source] if isinstance(source, str) else source
        plan, score = partial(self.plan, source, Path(out)), partial(self._of_range, day)
        return DayJob(day, inputs, out, plan, score)

    def _of_range(self, day: date) -> DayCounts:
        """Score one of many days: nothing is printed of it alone but its page's place."""
        from vae_anomaly.jobs.nights.backfill import DayCounts

        run = self._run_of(day)
        with self._reported(run) as page, shown_progress(run) as progress:
            summary = self._scored(day, progress, page)
        require_as_asked(summary, self.things, run)
        return DayCounts(summary.rows_out, summary.flagged, summary.quarantined)

    def _scored(self, day: date, progress: Progress | None, page: ReportAtEnd | None) -> RunSummary:
        from vae_anomaly.batch.runs.command import ending_as

        run = self._run_of(day)
        with ending_as(run.ending()):
            return self.score(
                self.model, self._source(day), run.out, max_bad_fraction=run.max_bad_fraction,
                workers=run.workers, engine=run.engine, use_cached=run.cached, uri=run.uri,
                limits=run.limits(), progress=progress, finished=page, learn=self.learn.by,
                night=None if self.learn.by is None else self.dates.night(day),
            )  # fmt: skip

    def _reported(self, run: Run) -> AbstractContextManager[ReportAtEnd | None]:
        return reported(self.model, run, learns=self.learn.by is not None)

    def _source(self, day: date) -> str | list[str]:
        from vae_anomaly.jobs.nights.dates import dated

        return one_or_all(tuple(dated(path, day) for path in self.paths))

    def _run_of(self, day: date) -> Run:
        from vae_anomaly.jobs.nights.dates import dated

        return replace(self.run, out=dated(self.run.out, day))


@contextmanager
def reported(model: str, run: Run, *, learns: bool = False) -> Iterator[ReportAtEnd | None]:
    """Give what writes the page when the run is finished, and logs the night.

    A run that ends with an error after everything is written has its page as well: told on stderr.
    """
    from vae_anomaly.jobs.report.night.facts import Wanted
    from vae_anomaly.jobs.report.night.write import ReportAtEnd

    if not (run.report or learns):
        yield None
        return
    page = ReportAtEnd(Wanted(model, run.uri, verify=False), draws=run.report)
    try:
        yield page
    except VaeAnomalyError:
        if page.path is not None:
            click.echo(f"Report: {page.path}", err=True)
        raise


@contextmanager
def shown_progress(run: Run) -> Iterator[Progress | None]:
    """Show progress, or structured logs where a program listens; never both."""
    from vae_anomaly.logs import log_to_stderr

    if not run.log_json:
        with show_progress() as progress:
            yield progress
        return
    handler = log_to_stderr(as_json=True)
    try:
        yield None
    finally:
        logging.getLogger("vae_anomaly").removeHandler(handler)


def finish(
    summary: RunSummary, model: str, things: str, run: Run, page: ReportAtEnd | None
) -> None:
    """Print what a run gave; a GateFailedError where it was not to flag anything."""
    from vae_anomaly.jobs import highest_flags

    top = highest_flags(summary.out, summary.plan, TOP)
    path = None if page is None else page.path
    document = {**summary.record(), "top": [asdict(flag) for flag in top],
                "report": None if path is None else str(path)}  # fmt: skip
    if not emit(document, as_json=run.as_json):
        _print(summary, things)
        if top:
            _print_flags(summary, top, things)
        if summary.learning is not None:
            for line in summary.learning.told():
                click.echo(line)
        click.echo(f"Results are in {summary.place}/ (manifest.json lists them).")
        if summary.learning is not None:
            _print_sample(summary)
        if top:
            _print_next(model, top[0], things, run.uri, summary)
        if path is not None:
            click.echo(f"Report: {path}")
    require_as_asked(summary, things, run)


def require_as_asked(summary: RunSummary, things: str, run: Run) -> None:
    """Refuse a night that flags, or has moved, where that was not to be: a GateFailedError."""
    from vae_anomaly.batch.summary import require_no_drift

    if run.fail_on_anomaly and summary.flagged:
        raise GateFailedError(
            f"{summary.flagged:,} of {number_of(summary.rows_out, things[:-1])} "
            f"{verb_for(summary.flagged)} flagged and --fail-on-anomaly was given. Look at them, "
            "or leave that option out."
        )
    if run.fail_on_drift:
        require_no_drift(summary.alarms, summary.place)


def _print(summary: RunSummary, things: str) -> None:
    from vae_anomaly.data.images.folders import told

    was = verb_for(summary.skipped, "was", "were")
    done = f" ({summary.skipped} of {number_of(summary.partitions, 'part')} {was} done before)"
    click.echo(
        f"{summary.model_version} scored {summary.rows_out:,} of "
        f"{number_of(summary.rows_in, things[:-1])} in {summary.seconds:.1f} "
        f"s{done * bool(summary.skipped)}."
    )
    share = summary.flagged / max(summary.rows_out, 1)
    bound = f"score above {summary.threshold:.2f}"
    if summary.learning is not None and summary.learning.flagged_by is not None:
        bound = summary.learning.flagged_by
    click.echo(f"Flagged {summary.flagged:,} ({share:.2%}): {bound}.")
    expected = 10.0**-summary.threshold
    for line in told(summary.left_out):
        click.echo(f"{line[0].upper()}{line[1:]}.")
    for note in summary.notes[:MAX_NOTES]:
        click.echo(f"Note: {reason_of(note)}.")
    if (more := len(summary.notes) - MAX_NOTES) > 0:
        click.echo(f"Note: {number_of(more, 'more note')} {verb_for(more)} in the manifest.")
    for text in (*summary.alarms, *summary.moved)[:MAX_NOTES]:
        click.echo(f"{'Drift' if text in summary.alarms else 'Moved'}: {text}.")
    if summary.flagged >= MANY_FLAGS and share > MANY_TIMES * expected:
        click.echo(
            f"Note: normal items alone would give about {expected:.1%}. When most of these are no "
            "anomalies, normal has moved: train again on recent items."
        )
    if summary.quarantined:
        codes = ", ".join(f"{n:,} {code}" for code, n in summary.codes.items())
        click.echo(
            f"Not scored: {summary.quarantined:,} ({codes}); see {summary.place}/quarantine/"
        )


def _print_flags(summary: RunSummary, top: list[Flag], things: str) -> None:
    learned = top[0].probability is not None
    rows = [
        [flag.id, *([f"{flag.probability:.3g}"] if learned else []), f"{flag.score:.2f}",
         f"{flag.p_value:.2g}", flag.heatmap or "; ".join(flag.reasons)]
        for flag in top
    ]  # fmt: skip
    highest = "likeliest" if learned else "strangest"
    title = f"The {highest} {len(top)}" if summary.flagged > len(top) else "What was flagged"
    header = ["id", *(["probability"] if learned else []), "score", "p-value",
              "heatmap" if things == "images" else "why"]  # fmt: skip
    print_table(rows, header, title)


def _print_sample(summary: RunSummary) -> None:
    command = ["vae-anomaly", "feedback", "sample", summary.place, "--out", "decisions.csv"]
    click.echo(f"List what people should look at:\n  {typed(*command)}")


def _print_next(model: str, flag: Flag, things: str, uri: str | None, summary: RunSummary) -> None:
    source, here = Path(flag.source), Path.cwd()
    item = str(source.relative_to(here)) if source.is_relative_to(here) else flag.source
    name = [] if things == "images" else ["--id", flag.id]
    numbered = flag.id.rpartition("#")
    if things == "rows" and numbered[0] and PurePosixPath(numbered[0]).name == spelled(source.name):
        item, name = f"{item}:{numbered[2]}", []  # without an id column, a row is FILE:ROW
    histories = ["--state", summary.place] if (summary.out / "state").is_dir() else []
    command = ["vae-anomaly", "inspect", model, item, *name, *histories, *at_store(uri)]
    click.echo(f"See why:\n  {typed(*command)}")

"""Write the page of a night: when somebody asks for it, and at the end of a run."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vae_anomaly.batch.drift.summary_file import note_report
from vae_anomaly.jobs.report.night.facts import FOLDER, Wanted, night_facts
from vae_anomaly.names import typed
from vae_anomaly.storage.addresses import is_remote, with_addresses
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from vae_anomaly.batch import RunSummary
    from vae_anomaly.metrics import Interval
    from vae_anomaly.reports.facts.items import ReviewItem
    from vae_anomaly.reports.facts.night import NightFacts

_REPORT: Final = "report.html"
logger = logging.getLogger(__name__)


def write_night(
    run_dir: str | Path, out: str | Path | None = None, wanted: Wanted | None = None
) -> tuple[Path, NightFacts]:
    """Draw the page of the last night in an output folder.

    Parameters
    ----------
    run_dir : str or Path
        Output folder of `score_images` or `score_tables`.
    out : str or Path, optional
        Default: ``report.html`` in that folder; of one in an object store, in the one here.

    Returns
    -------
    path, facts : Path, NightFacts
        Where it lies, and what it shows.

    Raises
    ------
    DataError
        As `night_facts`.
    StorageError
        If the page cannot be written.
    """
    from vae_anomaly.reports.pages.night import night_page
    from vae_anomaly.reports.pages.page import write_page

    beside = Path(_REPORT) if is_remote(run_dir) else Path(on_disk(run_dir), _REPORT)
    facts, page = night_facts(run_dir, wanted), Path(out or beside)
    items = tuple(_linked(item, Path(on_disk(run_dir)), page) for item in facts.items)
    facts = replace(facts, items=items)
    return write_page(night_page(facts), page), facts


def _linked(item: ReviewItem, root: Path, page: Path) -> ReviewItem:
    """Return an item whose overlay is named as seen from its page, where a link can lead there."""
    if item.image is None or item.image.heatmap_file is None:
        return item
    if with_addresses(str(root)) != str(root) and not page.is_relative_to(root):
        return replace(item, image=replace(item.image, heatmap_file=None))  # a copy, which goes
    try:
        overlay = os.path.relpath((root / item.image.heatmap_file).resolve(), page.parent.resolve())
    except ValueError:  # on another drive
        return replace(item, image=replace(item.image, heatmap_file=None))
    return replace(item, image=replace(item.image, heatmap_file=Path(overlay).as_posix()))


@dataclass
class ReportAtEnd:
    """Write the page when a run is finished, and log the night with a registered model.

    Give it as ``finished`` to `score_images` or `score_tables`. A page that fails never ends a
    night: what went wrong stands in ``problems``.

    Parameters
    ----------
    wanted : Wanted
        What the page is asked to show.
    draws : bool
        Whether there is to be a page; without one the night is logged where it is learned from.
    path : Path, optional
        Where it lies, once it is written.
    problems : list of str
        Why it was not written or not logged.
    """

    wanted: Wanted
    draws: bool = True
    path: Path | None = None
    problems: list[str] = field(default_factory=list)

    def __call__(self, summary: RunSummary) -> None:
        """Write and log."""
        alarms = self._drawn(summary) if self.draws else None
        is_logged = self.draws or summary.learning is not None
        if is_logged and not summary.model_version.startswith(FOLDER):
            self._log(summary, alarms)

    def _drawn(self, summary: RunSummary) -> Interval | None:
        """Draw the page, and return how many false alarms it expects."""
        try:
            self.path, facts = write_night(summary.out, None, self.wanted)
            note_report(summary.out)
            return facts.expected_false_alarms
        except Exception as err:
            logger.debug("no report", exc_info=True)
            why = with_addresses(reason_of(err))
            self._tell(
                f"The report was not written: {why}. The results are complete; try: "
                f"vae-anomaly report {typed(summary.place)}"
            )
        return None

    def _log(self, summary: RunSummary, alarms: Interval | None) -> None:
        from vae_anomaly.jobs.report.night.logged import log_scored

        try:
            log_scored(summary, self.path, alarms, self.wanted.uri)
        except Exception as err:
            logger.debug("not logged", exc_info=True)
            self._tell(f"The night was not logged to MLflow: {reason_of(err)}.")

    def _tell(self, problem: str) -> None:
        self.problems.append(problem)
        logger.warning("%s", problem)

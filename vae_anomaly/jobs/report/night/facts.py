"""Everything on the page of a night, gathered from what its run saved: neither model nor input.

::

    facts = night_facts("flags/")
    write_page(night_page(facts), "flags/report.html")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vae_anomaly.errors import DataError
from vae_anomaly.jobs.report.night.held_out import HeldOutScores
from vae_anomaly.jobs.report.night.judged import Costs, judged_by_file, judged_by_store
from vae_anomaly.jobs.report.night.learned import with_learned
from vae_anomaly.jobs.report.night.notices import NightCounts, notices_of
from vae_anomaly.jobs.report.night.previous import changes_since
from vae_anomaly.jobs.report.night.quarantine import quarantine_groups
from vae_anomaly.jobs.report.night.scores import NightScores, learned_bound, read_scores_of
from vae_anomaly.jobs.report.night.source import Night, nights_of
from vae_anomaly.jobs.report.night.steps import KnownFigures, histogram_of, slider_steps
from vae_anomaly.names import typed
from vae_anomaly.reports.facts.items import ReviewItem, ReviewRole
from vae_anomaly.reports.facts.night import Changes, NightFacts, Notice
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.tracking.store import displayed

MOST_FLAGGED: Final = 500
MOST_NEAR, MOST_AUDIT = 24, 30
FOLDER: Final = "folder:"  # a model without a registered name


@dataclass(frozen=True)
class Wanted:
    """What a page is asked to show beside the night itself.

    Parameters
    ----------
    model_ref : str
        What commands call the model. Default: the registered version that scored.
    uri : str, optional
        MLflow store of the model, for its verdicts and for commands.
    previous : path, optional
        Output folder with the night before. Default: the run before in the same folder.
    verdicts : path, optional
        Decisions of reviewers, or labels. Default: those stored with the registered model.
    costs : (float, float), optional
        Of a false alarm and of a miss.
    verify : bool
        Check the SHA-256 of every file of the folder.
    """

    model_ref: str = ""
    uri: str | None = None
    previous: str | Path | None = None
    verdicts: str | Path | None = None
    costs: Costs | None = None
    verify: bool = True


def night_facts(run_dir: str | Path, wanted: Wanted | None = None) -> NightFacts:
    """Gather the facts of the last night in an output folder.

    Parameters
    ----------
    run_dir : str or Path
        Output folder of `score_images` or `score_tables`.

    Raises
    ------
    DataError
        If the run was not finished, nothing was scored, a file was changed since, or verdicts that
        were named are on other items.
    """
    wanted = wanted or Wanted()
    *earlier, night = nights_of(Path(on_disk(run_dir)), verify=wanted.verify)
    scores, held_out = read_scores_of(night.root, night.entries), HeldOutScores.of(night.scoring)
    judged, verdicts = _judged(night, scores, wanted)
    steps = slider_steps(scores, held_out, night.threshold, judged)
    expected = next(s.false_alarms for s in steps if s.value == night.threshold)
    when, model = night.scored_at(), wanted.model_ref or _registered(night)
    bound = learned_bound(night.root, night.entries)
    counts = NightCounts(expected, when, model or "MODEL", bound)
    notices = notices_of(night, counts)
    kept = night.items()
    shown = with_learned(shown_items(kept), night.root, night.entries)
    flagged = night.count("rows_flagged")
    return NightFacts(
        name=night.name,
        scoring=night.scoring,
        scored_at=when,
        n_read=night.count("rows_in"),
        n_scored=len(scores),
        n_flagged=flagged,
        n_quarantined=night.count("rows_quarantined"),
        expected_false_alarms=expected,
        notices=(*notices, *([verdicts] if verdicts else [])),
        histogram=histogram_of(scores, held_out, night.threshold),
        steps=steps,
        items=shown,
        flagged_left_out=flagged - sum(item.is_anomaly for item in shown),
        quarantine=quarantine_groups(night.root, night.entries),
        changes=_changes(night, kept, earlier, wanted),
        **_commands(night, model, wanted),
    )


def _registered(night: Night) -> str:
    version = night.scoring.version
    return "" if version.startswith(FOLDER) else f"models:/{version}"


def _judged(
    night: Night, scores: NightScores, wanted: Wanted
) -> tuple[Callable[[float], KnownFigures] | None, Notice | None]:
    costs = wanted.costs or _costs_of(night)
    if wanted.verdicts is not None:
        return judged_by_file(wanted.verdicts, night, scores, costs)
    if night.scoring.version.startswith(FOLDER):
        return None, None
    name = night.scoring.version.rpartition("/")[0]
    return judged_by_store(name, wanted.uri, night, scores, costs)


def _costs_of(night: Night) -> Costs | None:
    """Return the costs that the threshold in force was tuned for, where it was."""
    asked = night.scoring.threshold.get("parameters") or {}
    false_alarm, miss = asked.get("cost_fp"), asked.get("cost_fn")
    if not isinstance(false_alarm, int | float) or not isinstance(miss, int | float):
        return None
    return float(false_alarm), float(miss)


def shown_items(kept: list[ReviewItem]) -> tuple[ReviewItem, ...]:
    """Return the items of a page with their roles, of what its partitions kept by score."""
    by_score = [item for item in kept if item.is_anomaly][:MOST_FLAGGED]
    others = [item for item in kept if not item.is_anomaly]
    near = [place for place, item in enumerate(others) if "near_miss" in item.roles]
    drawn = [place for place, item in enumerate(others) if "audit" in item.roles]
    drawn.sort(key=lambda place: others[place].draw)
    chosen: dict[ReviewRole, set[int]] = {  # by place: an id may be in several partitions
        "near_miss": set(near[:MOST_NEAR]),
        "audit": set(drawn[:MOST_AUDIT]),
    }
    rest = [
        replace(item, roles=roles)
        for place, item in enumerate(others)
        if (roles := tuple(role for role, places in chosen.items() if place in places))
    ]
    return (*by_score, *rest)


def _changes(
    night: Night, items: list[ReviewItem], earlier: list[Night], wanted: Wanted
) -> Changes | None:
    if wanted.previous is not None:
        before = nights_of(Path(on_disk(wanted.previous)), verify=wanted.verify)[-1]
        if before.scoring.kind != night.scoring.kind:
            raise DataError(
                f"{wanted.previous} holds {before.scoring.kind} results, {night.root} "
                f"{night.scoring.kind} ones: they cannot be compared. Name an earlier night of the "
                "same kind."
            )
        return changes_since(night, items, before, before.name)
    own = {entry["key"] for entry in night.entries}  # one that was scored again with it is no other
    earlier = [one for one in earlier if not own.issuperset(part["key"] for part in one.entries)]
    if not earlier:
        return None
    return changes_since(night, items, earlier[-1], earlier[-1].parts)


def _commands(night: Night, model: str, wanted: Wanted) -> dict[str, str]:
    """Return what a page prints to be typed."""
    ref = model or "MODEL"
    store = f" --tracking-uri {typed(displayed(wanted.uri))}" if wanted.uri else ""
    histories = f" --state {typed(night.root)}" if (night.root / "state").is_dir() else ""
    back = f"vae-anomaly report {typed(night.root)} --verdicts decisions.csv{store}"
    if model.startswith("models:"):
        scored = f"--scores {typed(night.root)}{store}"
        back = f"vae-anomaly feedback import {typed(ref)} decisions.csv {scored}"
    return {
        "threshold_command": (
            f"vae-anomaly threshold tune {typed(ref)} --value {{value}}{store} && "
            f"vae-anomaly threshold apply {typed(ref)} threshold.json{store}"
        ),
        "inspect_command": f"vae-anomaly inspect {typed(ref)} {{item}}{histories}{store}",
        "import_command": back,
        "model_ref": model,
    }

"""What was learned, in plain lines for people."""

from __future__ import annotations

from typing import Final

from vae_anomaly.jobs.learning.figures import LEAST_AUDITS, RankComparison
from vae_anomaly.jobs.learning.learn import ColumnGain, VerdictLesson
from vae_anomaly.names import typed
from vae_anomaly.verdicts.entities import ON_FROM
from vae_anomaly.words import names_of, number_of, verb_for

NAMED: Final = 5
_UNDECIDED: Final = 0.5  # nats


def lesson_lines(lesson: VerdictLesson) -> list[str]:
    """Say what was learned and from what, what it is worth, and what is in force now."""
    return [
        *_heard_lines(lesson),
        *_evidence_lines(lesson),
        *(_column_line(column) for column in lesson.columns),
        *_alarm_lines(lesson),
        *comparison_lines(lesson.comparison),
        *_threshold_lines(lesson),
        _force_line(lesson),
    ]


def _heard_lines(lesson: VerdictLesson) -> list[str]:
    judged = number_of(lesson.verdicts, "verdict")
    alarms = number_of(lesson.verdicts - lesson.confirmed, "false alarm")
    lines = [
        f"{lesson.model}: {judged} on items of {number_of(lesson.nights, 'night')}: "
        f"{lesson.confirmed:,} confirmed, {alarms}; {lesson.audits:,} of the items were drawn at "
        "random."
    ]
    if lesson.late:
        lines.append(
            f"late: {number_of(lesson.late, 'verdict')} came after a later night was ranked, and "
            f"{verb_for(lesson.late, 'counts', 'count')} from then on."
        )
    if lesson.withdrawn:
        counts = verb_for(lesson.withdrawn, "counts", "count")
        lines.append(f"withdrawn: {number_of(lesson.withdrawn, 'import')}, which {counts} nowhere.")
    if lesson.unknown:
        n = len(lesson.unknown)
        lines.append(
            f"left out: {number_of(n, 'verdict')} on items that no night has kept: "
            f"{names_of(lesson.unknown, NAMED)}. Nights keep what they score with --learn; list "
            "items for review with `vae-anomaly feedback sample FLAGS`."
        )
    if lesson.repeated:
        n = len(lesson.repeated)
        lines.append(
            f"same names: several nights have kept {number_of(n, 'judged item')}: "
            f"{names_of(lesson.repeated, NAMED)}. A verdict is taken to be on the last of these "
            "nights that began before its import: import each sheet before the next night, or give "
            "items names of their own."
        )
    return lines


def _threshold_lines(lesson: VerdictLesson) -> list[str]:
    if lesson.flagged_by is not None:
        return [f"threshold: {lesson.flagged_by}, as before, flags in runs with --learn."]
    if lesson.lost_threshold is None:
        return []
    return [
        f"threshold: {lesson.lost_threshold} is of another model's scores, so the model's own "
        "flags again. Choose one anew: vae-anomaly threshold tune MODEL --scores DIR --by combined"
    ]


def _evidence_lines(lesson: VerdictLesson) -> list[str]:
    if lesson.retrained:
        return [
            "evidence: off, for the model was trained anew and no night was scored with it yet. "
            "What was learned of entities carries over."
        ]
    if lesson.has_head:
        return [f"evidence: learned from {lesson.head_confirmed:,} confirmed items."]
    return [
        f"evidence: not learned from yet: {lesson.head_confirmed:,} confirmed on nights of this "
        f"model, {lesson.least_confirmed} are needed. Until then the score counts as it is."
    ]


def _column_line(column: ColumnGain) -> str:
    state = "on" if column.weight >= ON_FROM else "switched itself off"
    if abs(column.gain) < _UNDECIDED:
        state = "not decided yet"
    return (
        f"{column.name}: {state}: verdicts were foretold {abs(column.gain):.1f} nats "
        f"{'better' if column.gain >= 0 else 'worse'} with it (weight {column.weight:.2f}); "
        f"{number_of(column.values, 'value')} reviewed."
    )


def _alarm_lines(lesson: VerdictLesson) -> list[str]:
    if not lesson.alarms:
        return ["combined p-value: not measured yet: no night was ranked by what was learned."]
    told = "; ".join(
        f"at {alarm.level:g}: {alarm.share.estimate:.2%} [{alarm.share.low:.2%}, "
        f"{alarm.share.high:.2%}]"
        for alarm in lesson.alarms
    )
    n = number_of(lesson.alarms[0].items, "random item")
    lines = [f"combined p-value, false alarms among {n} of the last nights: {told}"]
    if any(alarm.is_exceeded for alarm in lesson.alarms):
        lines.append(
            "These are more than the p-value says: do not promise a rate of false alarms by it. "
            "Bound the probability instead, with `threshold tune --by combined --capacity N`."
        )
    return lines


def comparison_lines(found: RankComparison) -> list[str]:
    """Say what was found by what was learned and by the score, and what may be claimed."""
    if not found.nights:
        return [
            "found: nothing can be compared yet: no reviewed night was ranked by what was learned."
        ]
    lines = [
        f"found: on {number_of(found.nights, 'night')}, with verdicts that were not yet learned "
        f"from, {found.learned:,} of {found.confirmed:,} confirmed were among the first by what "
        f"was learned, {found.by_score:,} among as many by the score.",
        f"       {number_of(found.unseen, 'item')} of the first by the score "
        f"{verb_for(found.unseen, 'was', 'were')} never reviewed; at the rate of those that were "
        f"({found.reserve_confirmed:,} of {found.reserve:,}) at most {found.most_unseen:.0f} more "
        "are anomalies.",
        f"audits: {found.audits_confirmed:,} of {found.audits:,} were anomalies; "
        f"{found.audits_learned:,} of these {verb_for(found.audits_learned, 'stands', 'stand')} "
        "higher by what was learned, "
        f"{found.audits_by_score:,} by the score.",
    ]
    return [*lines, _claim(found)]


def _claim(found: RankComparison) -> str:
    finding = found.finding
    if finding == "better":
        return "What was learned finds more than the score, and the audits do not contradict it."
    if finding == "contradicted":
        return "No improvement is claimed: the audits contradict it."
    if finding == "too few audits":
        return (
            f"No improvement is claimed: {number_of(found.audits, 'audit')} so far, and at least "
            f"{LEAST_AUDITS} are needed."
        )
    return "No improvement is claimed: the difference may be that of what was reviewed."


def _force_line(lesson: VerdictLesson) -> str:
    off = typed("vae-anomaly", "feedback", "learn", f"models:/{lesson.model}@champion", "--off")
    if lesson.version is None:
        return "Nothing was stored (--dry-run)."
    name = f"{lesson.model}.learned version {lesson.version}"
    if not lesson.new:
        return f"In force as before: {name}; nothing new was learned."
    return f"In force now: {name}; `score --learn` ranks by it. Back: {off}"

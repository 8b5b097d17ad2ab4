"""What a night comes to, in words: how many, how sure, and whether anything is wrong with it.

Only what was counted is said. Whether flags are false alarms is the reviewer's to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vae_anomaly.reports.facts.night import NightFacts
from vae_anomaly.reports.pages.numbers import amount, ends
from vae_anomaly.words import number_of


@dataclass(frozen=True)
class NightAnswer:
    """The first lines of the page of a night.

    Parameters
    ----------
    headline : str
        How many were flagged.
    comparison : str
        Against what as many normal items would give.
    state : str
        Whether there are warnings.
    n_warnings : int
    """

    headline: str
    comparison: str
    state: str
    n_warnings: int


def noun_of(night: NightFacts) -> str:
    """Return what a night has counted, in the singular."""
    return "image" if night.scoring.kind == "image" else "row"


def answer(night: NightFacts) -> NightAnswer:
    """Say what a night comes to."""
    warnings = sum(one.level == "warning" for one in night.notices)
    state = number_of(warnings, "warning") if warnings else "No warnings"
    return NightAnswer(_headline(night), _comparison(night), state, warnings)


def _headline(night: NightFacts) -> str:
    noun = noun_of(night)
    if not night.n_scored:
        return f"No {noun}s were scored"
    flagged = f"{night.n_flagged:,}" if night.n_flagged else "None"
    return f"{flagged} of {number_of(night.n_scored, noun)} flagged"


def _comparison(night: NightFacts) -> str:
    expected, noun = night.expected_false_alarms, noun_of(night)
    if not night.n_scored:
        return ""
    if not math.isfinite(expected.estimate):
        return "How many false alarms to expect at this threshold is not known."
    return (
        f"As many normal {noun}s would give about {amount(expected.estimate)} false alarms at "
        f"this threshold ({ends(expected)}). {_against(night)}"
    )


def _against(night: NightFacts) -> str:
    """Compare the flags with the interval of false alarms."""
    expected = night.expected_false_alarms
    if night.n_flagged > expected.high:
        return "This night has more flags than that."
    if night.n_flagged < expected.low:
        return "This night has fewer flags than that."
    return "This night has about as many flags as that."

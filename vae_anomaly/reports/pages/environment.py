"""Where templates become pages: every value is escaped, a name that is missing is an error."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from vae_anomaly.reports.pages import numbers
from vae_anomaly.reports.pages.items import items_lead
from vae_anomaly.thresholds.record import one_in
from vae_anomaly.words import number_of, verb_for

_FILTERS = {
    "thousands": numbers.thousands,
    "amount": numbers.amount,
    "percent": numbers.percent,
    "interval": numbers.interval,
    "share_interval": numbers.share_interval,
    "ends": numbers.ends,
    "share_ends": numbers.share_ends,
    "score": numbers.score,
    "day": numbers.day,
    "minute": numbers.minute,
    "items_lead": items_lead,
    "number_of": number_of,
    "verb_for": verb_for,
    "one_in": one_in,
}


@cache
def page_environment() -> Environment:
    """Return the Jinja environment of all pages."""
    made = Environment(
        loader=PackageLoader("vae_anomaly.reports.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_FILTERS)
    return made

"""One small page of every kind, for what holds on all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from browser import made_models
from reports.pages import made
from reports.pages.test_compare import facts as comparison
from reports.pages.test_inspect import facts as inspected
from reports.pages.test_monitor import facts as monitored

from vae_anomaly.reports.facts.model import ModelFacts
from vae_anomaly.reports.facts.night import NightFacts
from vae_anomaly.reports.pages.compare import compare_page
from vae_anomaly.reports.pages.inspect import inspect_page
from vae_anomaly.reports.pages.model import model_page
from vae_anomaly.reports.pages.monitor import monitor_page
from vae_anomaly.reports.pages.night import night_page


def _night(facts: NightFacts) -> str:
    return night_page(facts, made=made.MADE)


def _model(facts: ModelFacts) -> str:
    return model_page(facts, made=made.MADE)


def _inspected(facts: NightFacts) -> str:
    return inspect_page(inspected(*facts.items[:1], *made.rows(1, 2).items[:2]), made=made.MADE)


KINDS: dict[str, Callable[[], str]] = {
    "night of images": cache(lambda: _night(made.images(3, 6))),
    "night of rows": cache(lambda: _night(made.rows(3, 6))),
    "night without flags": cache(lambda: _night(made.nothing_flagged())),
    "night without items": cache(lambda: _night(made.empty())),
    "model of images": cache(lambda: _model(made_models.of_images())),
    "model of rows": cache(lambda: _model(made_models.of_rows())),
    "comparison": cache(lambda: compare_page(comparison())),
    "last nights": cache(lambda: monitor_page(monitored(), made=made.MADE)),
    "inspected items": cache(lambda: _inspected(made.images(1, 2))),
}

"""Which items of a night its page shows, and as what."""

from __future__ import annotations

from vae_anomaly.batch.review.store import ReviewKeeper, draw_of, most_of
from vae_anomaly.jobs.report.night.facts import shown_items
from vae_anomaly.reports.facts.items import ReviewItem


def test_a_nearest_miss_of_a_small_folder_is_not_called_drawn_at_random():
    scores = {f"part_{k}.png": k / 40 for k in range(60)}
    keeper = ReviewKeeper(most_of(len(scores)))
    names = list(scores)
    for place in keeper.offer(names, list(scores.values()), [False] * len(names)):
        keeper.keep(names[place], ReviewItem(names[place], scores[names[place]], 0.1, False, (), 0))
    shown = shown_items(keeper.items())
    assert named(shown, "audit") == set(sorted(names, key=draw_of)[:6])
    assert named(shown, "near_miss") == set(names[-6:])


def named(shown, role):
    return {item.id for item in shown if role in item.roles}

from __future__ import annotations

import json
from dataclasses import asdict

from vae_anomaly.reports.facts.items import ReviewItem, ShownContribution, ShownPast, ShownRow
from vae_anomaly.state import from_json


def test_an_item_is_the_same_after_a_way_through_json():
    row = ShownRow(
        file="day.csv",
        row=3,
        explained=4.5,
        contributions=(ShownContribution("amount", 4.0, "4,310", "20 to 180", "5 to 900"),),
        rest=0.5,
        cells=(("amount", "4,310"), ("</script>", "=1+1")),
        past=(ShownPast("card 7", "amount", (20.0, 31.5), 4310.0),),
    )
    item = ReviewItem("7", 3.2, 0.001, True, ("flagged",), 0.25, "1 in 1,000", ("amount",), row=row)
    assert from_json(ReviewItem, json.loads(json.dumps(asdict(item)))) == item

"""Nights as `score --learn` keeps them, made of random numbers, and verdicts on their items."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from vae_anomaly.tracking import FeedbackImport, ScoredNight, log_night
from vae_anomaly.verdicts.entities import EntityRates
from vae_anomaly.verdicts.head import prior_offset
from vae_anomaly.verdicts.kept import KeptFacts, KeptItems, write_kept_items
from vae_anomaly.verdicts.ledger import NightItems
from vae_anomaly.verdicts.stage import SecondStage, entity_code

N = 400
FIRST = date(2026, 1, 1).toordinal()
NAMES = ("score", "length", "width")
TERMINALS = [f"t{i}" for i in range(40)]


def began(number: int) -> datetime:
    """Return when a night's run began: two in the morning of the day after."""
    return datetime.fromordinal(number).replace(tzinfo=UTC) + timedelta(hours=26)


def truth(number: int, n: int = N) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return features, terminals, and which are anomalies: those of the terminal t7 and others."""
    rng = np.random.default_rng(number)
    features = rng.normal(size=(n, 3)).astype(np.float32).astype(np.float64)
    terminals = rng.choice(TERMINALS, n).tolist()
    bad = (np.array(terminals) == "t7") | (rng.random(n) < 0.02)
    features[bad] += 1.0
    return features, terminals, bad


def night(
    number: int,
    stage: SecondStage | None = None,
    *,
    digest: str = "",
    n: int = N,
    model: str = "scale",
    version: str = "cards/1",
) -> KeptItems:
    """Return what a night has kept: everything, for it is small."""
    features, terminals, _ = truth(number, n)
    codes = {"terminal": [entity_code("terminal", name) for name in terminals]}
    ids = [f"{number}-{i:05d}" for i in range(n)]
    offset = prior_offset(features[:, 0], EntityRates().bad)
    stage = stage or SecondStage(number, model, NAMES, offset, EntityRates(), None, {}, None, 0, 0)
    judged = stage.judge(features, codes, number)
    p_value = (1.0 + (-features[:, 0]).argsort().argsort()) / (n + 1.0)
    facts = KeptFacts(number, n, stage.offset, model, version, digest, began(number).isoformat())
    some = np.ones(n, np.bool_)
    draw = np.random.default_rng([number, 1]).random(n)
    return KeptItems(
        facts, NightItems(number, ids, features, NAMES, codes, model), some, some, some, draw,
        features[:, 0], p_value, stage.p_combined(judged, p_value), judged.surprise,
    )  # fmt: skip


def log(kept: KeptItems, folder: Path, store: str) -> str:
    """Log what a night has kept, as a scoring run does; return the id of the run."""
    day = date.fromordinal(kept.facts.night).isoformat()
    out = folder / f"flags-{day}-{kept.facts.version.replace('/', '-')}"
    write_kept_items(kept, out / "learn.parquet")
    scored = ScoredNight(kept.facts.version, "d", str(out), f"m-{out.name}", learn=day)
    done = log_night(scored, [out / "learn.parquet"], uri=store)
    assert done is not None
    return done.run_id


def judged(kept: KeptItems, capacity: int = 40, audit: int = 10) -> pd.DataFrame:
    """Return right verdicts on the likeliest items of a night, and on some drawn at random."""
    _, _, bad = truth(kept.facts.night, kept.facts.n_items)
    order = np.argsort(-kept.surprise, kind="stable")
    likely, others = order[:capacity], order[capacity:]
    audits = others[np.argsort(kept.draw[others])[:audit]]
    places = [*likely, *audits]
    return pd.DataFrame(
        {
            "item": [kept.items.ids[i] for i in places],
            "is_anomaly": [bool(bad[i]) for i in places],
            "audit": [False] * len(likely) + [True] * len(audits),
            "who": "ada",
            "when": pd.Timestamp(began(kept.facts.night) + timedelta(hours=6)),
        }
    )


def imported(
    frame: pd.DataFrame, when: datetime, run: str = "r"
) -> tuple[FeedbackImport, pd.DataFrame]:
    """Return verdicts as an import of a time."""
    return FeedbackImport(run, when, "ada", "decisions.csv", len(frame)), frame


def morning(number: int) -> datetime:
    """Return when people answer: six hours after a night's run began."""
    return began(number) + timedelta(hours=6)

"""Finished runs written by hand: as many items as a test wants, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.batch.output.manifest import write_manifest
from vae_anomaly.batch.review.store import ReviewKeeper
from vae_anomaly.batch.tables import TABLE_SCHEMA
from vae_anomaly.files import sha256_of
from vae_anomaly.reports.facts.items import ReviewItem, ShownImage


def write_run(
    out: Path,
    parts: dict[str, pd.DataFrame],
    *,
    threshold: float = 2.0,
    version: str = "cards/1",
    images: dict[str, ReviewItem] | None = None,
) -> Path:
    """Write a folder of scored rows; each part is a frame of id, score and, if any, reason_1.

    With ``images``, what was kept of some items by their id, it is a run of images.
    """
    out.mkdir(parents=True)
    entries = [_write_part(out, key, frame, threshold, version) for key, frame in parts.items()]
    for entry in entries if images is not None else ():
        _keep(out, entry, parts[str(entry["key"])], images)
    write_manifest(out, {"format_version": 1, "partitions": entries, "failed": {}, "totals": {}})
    return out


def _write_part(
    out: Path, key: str, frame: pd.DataFrame, threshold: float, version: str
) -> dict[str, object]:
    flags = frame["score"] > threshold
    full = frame.assign(p_value=10.0 ** -frame["score"], is_anomaly=flags, model_version=version,
                        threshold=threshold)  # fmt: skip
    for name in ("reason_1", "reason_2", "reason_3"):
        full[name] = full[name].where(flags, None) if name in full else None
    name = f"part-{key}.parquet"
    pq.write_table(pa.Table.from_pandas(full, TABLE_SCHEMA, preserve_index=False), out / name)
    return {
        "key": key,
        "kind": "table",
        "output": name,
        "files": {name: sha256_of(out / name)},
        "rows_in": len(frame),
        "rows_out": len(frame),
        "rows_flagged": int(flags.sum()),
        "rows_quarantined": 0,
        "codes": {},
        "model_version": version,
        "model_digest": version,
        "threshold": threshold,
    }


def _keep(
    out: Path, entry: dict[str, object], frame: pd.DataFrame, images: dict[str, ReviewItem]
) -> None:
    """Make a part one of images, with what was kept of them."""
    own = frame[frame["id"].isin(list(images))]
    keeper = ReviewKeeper()
    for place in keeper.offer(own["id"].tolist(), own["score"], own["score"] > entry["threshold"]):
        name = own["id"].iloc[place]
        keeper.keep(name, images[name])
    kept = {name: sha256_of(out / name) for name in keeper.write(out, str(entry["key"]))}
    entry |= {"kind": "images", "files": entry["files"] | kept}


def scored(scores: np.ndarray | list[float], prefix: str = "t") -> pd.DataFrame:
    """Rows t0, t1, ... with these scores, each with a reason."""
    ids = [f"{prefix}{i}" for i in range(len(scores))]
    return pd.DataFrame({"id": ids, "score": scores, "reason_1": [f"why {name}" for name in ids]})


def kept_image(name: str, score: float, *, is_anomaly: bool, thumbnail: str) -> ReviewItem:
    """What a run keeps of an image: its reason names it."""
    image = ShownImage("", name, 8, 8, thumbnail, "", (), (), 3.0)
    why = (f"why {name}",)
    return ReviewItem(name, score, 10.0**-score, is_anomaly, (), 0.0, reasons=why, image=image)

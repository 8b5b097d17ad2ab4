"""Score folders and tables overnight: every partition once, whole, and on the record.

::

    out/
      part-<key>.parquet      one for each input partition: id, score, p_value, is_anomaly, ...
      heatmaps/<key>/*.png    images only: where it is wrong, to look at
      masks/<key>/*.png       images only: the same as 0 and 255, to compute with
      review/<key>.jsonl      what people will look at: flagged, nearest misses, an audit sample
      review/model-*.json     what is known of each model that scored
      tally/<key>.json        counts of inputs and scores, by which a night is compared
      learn/<key>.parquet     with learning only: what is kept of the partition to learn from
      quarantine/<key>.jsonl  what could not be scored, and why
      ledger.sqlite           what is done, from what, by which model
      manifest.json           written last; readers trust only what it lists
      summary.json            after it: counts, rates and what has moved, for programs
      learn.parquet           with learning only: what the night has kept to learn from
"""

from __future__ import annotations

from vae_anomaly.batch.drift.summary_file import NightSummary, read_summary
from vae_anomaly.batch.engines.local import graceful_termination
from vae_anomaly.batch.engines.partition import score_partition
from vae_anomaly.batch.output.ledger import PartitionResult
from vae_anomaly.batch.output.manifest import night_keys, read_manifest
from vae_anomaly.batch.output.results import (
    BadItem,
    read_quarantine,
    read_results,
)
from vae_anomaly.batch.plan import (
    Options,
    Output,
    Partition,
    ScoringModel,
    plan_images,
    plan_tables,
)
from vae_anomaly.batch.review import draw_of, read_review, read_scoring_facts
from vae_anomaly.batch.run import score_images, score_tables
from vae_anomaly.batch.summary import RunSummary
from vae_anomaly.logs import JsonFormatter, log_to_stderr

__all__ = [
    "BadItem",
    "JsonFormatter",
    "NightSummary",
    "Options",
    "Output",
    "Partition",
    "PartitionResult",
    "RunSummary",
    "ScoringModel",
    "draw_of",
    "graceful_termination",
    "log_to_stderr",
    "night_keys",
    "plan_images",
    "plan_tables",
    "read_manifest",
    "read_quarantine",
    "read_results",
    "read_review",
    "read_scoring_facts",
    "read_summary",
    "score_images",
    "score_partition",
    "score_tables",
]

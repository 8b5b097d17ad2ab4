"""What a run gave, in counts, and whether that is a success."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from vae_anomaly.batch.learning.told import NightLearning
from vae_anomaly.batch.output.ledger import LedgerRow
from vae_anomaly.batch.plan import Partition, ScoringModel
from vae_anomaly.batch.repeated_ids import told_repeats
from vae_anomaly.data.images.folders import LeftOutImages
from vae_anomaly.errors import DataError, GateFailedError, TooManyBadItemsError
from vae_anomaly.storage.addresses import with_addresses
from vae_anomaly.words import number_of

_FIRST: Final = 3


@dataclass(frozen=True)
class RunSummary:
    """What a run over all its partitions gave, those included that were done before.

    Parameters
    ----------
    partitions, skipped : int
        How many there are, and how many of them were done already.
    rows_in, rows_out, flagged, quarantined : int
        Rows or images.
    threshold : float
        Bound on the anomaly score.
    seconds : float
        Wall time of this run.
    codes : dict of str to int
        Quarantined items by reason.
    notes : tuple of str
        What its owner should look at, file by file: columns that have moved as a whole.
    repeated_ids : dict of str to int
        By partition the rows whose id an earlier file of the run has as well.
    left_out : tuple of LeftOutImages
        Images below the input that are none of parts: masks, results of our own, what systems keep.
    plan : tuple of Partition
        The input as it was when the run began.
    alarms, moved : tuple of str
        What is unlike the training, in words: what ends a night that is asked to fail on drift, and
        what has moved less than that.
    learning : NightLearning, optional
        By what the items are ranked, of a run with learning.
    """

    partitions: int
    skipped: int
    rows_in: int
    rows_out: int
    flagged: int
    quarantined: int
    out: Path
    model_version: str
    model_digest: str
    threshold: float
    seconds: float
    codes: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOutImages, ...] = ()
    plan: tuple[Partition, ...] = field(default=(), repr=False)
    repeated_ids: dict[str, int] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    learning: NightLearning | None = None

    @classmethod
    def of(
        cls,
        done: Sequence[LedgerRow],
        model: ScoringModel,
        out: Path,
        *,
        skipped: int,
        seconds: float,
        left_out: tuple[LeftOutImages, ...] = (),
        plan: tuple[Partition, ...] = (),
        repeated_ids: Mapping[str, int] | None = None,
    ) -> Self:
        """Add up what the ledger says of the partitions that are done."""
        codes = sum((Counter(row.codes) for row in done), Counter[str]())
        return cls(
            partitions=len(done),
            skipped=skipped,
            rows_in=sum(row.rows_in for row in done),
            rows_out=sum(row.rows_out for row in done),
            flagged=sum(row.rows_flagged for row in done),
            quarantined=sum(row.rows_quarantined for row in done),
            out=out,
            model_version=model.version,
            model_digest=model.digest,
            threshold=model.threshold,
            seconds=seconds,
            codes=dict(codes.most_common()),
            notes=(
                *told_repeats(repeated_ids or {}),
                *(note for row in done for note in row.notes),
            ),
            left_out=left_out,
            plan=plan,
            repeated_ids=dict(repeated_ids or {}),
        )

    def record(self) -> dict[str, Any]:
        """Return it as a document, without the plan."""
        record = asdict(replace(self, plan=())) | {"out": self.place}
        del record["plan"]
        if self.learning is None:
            del record["learning"]
        return record

    @property
    def place(self) -> str:
        """Where the results are: the output folder, of one in an object store its address."""
        return with_addresses(str(self.out))

    @property
    def bad_fraction(self) -> float:
        """Share of the input that went to quarantine, in [0, 1]."""
        return self.quarantined / self.rows_in if self.rows_in else 0.0


def require_no_drift(alarms: Sequence[str], out: str | Path) -> None:
    """Raise a `GateFailedError` where nights are unlike the training of their model."""
    if alarms:
        more = f"; and {len(alarms) - _FIRST} more" if len(alarms) > _FIRST else ""
        raise GateFailedError(
            f"{out} is unlike the training of its model, and was to fail then: "
            f"{'; '.join(alarms[:_FIRST])}{more}. Everything is written. Look at the source, or "
            "train again on recent normals."
        )


def require_good(summary: RunSummary, failed: Mapping[str, str], max_bad_fraction: float) -> None:
    """Raise for what went wrong, after everything that could be done is done."""
    if failed:
        others = f", the others are in {summary.place}" if summary.partitions else ""
        kind = TooManyBadItemsError if summary.partitions else DataError
        raise kind(
            f"{len(failed)} of {len(failed) + summary.partitions} partitions could not be scored"
            f"{others}. The first: {next(iter(failed.values()))}"
        )
    if summary.bad_fraction > max_bad_fraction:
        codes = ", ".join(f"{count} {code}" for code, count in summary.codes.items())
        raise TooManyBadItemsError(
            f"{summary.quarantined} of {number_of(summary.rows_in, 'item')} went to quarantine "
            f"({codes}), more than the {max_bad_fraction:.1%} allowed. Everything else is scored; "
            f"look into {summary.place}/quarantine, or raise --max-bad-fraction."
        )

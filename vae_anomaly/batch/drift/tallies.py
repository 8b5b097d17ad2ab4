"""Count a partition's items while they are scored, and keep the counts in ``tally/<key>.json``.

The counts add up to those of a night, so nothing is read twice. Scores are counted all; cells of a
large piece are counted of 2,048 rows drawn from it, the same ones each time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Indices
from vae_anomaly.batch.output.written import tally_path
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.detectors.judged import JudgedRows
from vae_anomaly.errors import DataError
from vae_anomaly.files import json_text, leads_out, replace_file, sha256_of
from vae_anomaly.monitoring.baseline import LONGEST_LEVEL, Baseline
from vae_anomaly.monitoring.columns import count_cells, latest
from vae_anomaly.monitoring.looks import by_measure, look_of
from vae_anomaly.monitoring.tally import (
    GroupCounts,
    Tally,
    VariableCounts,
    count_measures,
    counted_scores,
)
from vae_anomaly.state import from_json
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from vae_anomaly.batch.output.results import BadItem
    from vae_anomaly.batch.review.images import ScoredImage
    from vae_anomaly.detectors.protocol import AnyDetector

_MOST_ROWS: Final = 2048


class Tallying:
    """Count the items of one partition, piece by piece, into ``tally``.

    Parameters
    ----------
    detector : AnyDetector
        Its baseline has the bins; without one only scores are counted.
    group_by : str, optional
        Of tables: a column whose values are counted apart.
    """

    def __init__(self, detector: AnyDetector, group_by: str | None = None) -> None:
        self._baseline: Baseline | None = detector.baseline_
        self._group_by = group_by
        self.tally = Tally()
        self._pieces = 0

    def take_rows(self, judged: JudgedRows, frame: pd.DataFrame) -> None:
        """Count the rows of one piece, those that were not scored by their number alone.

        ``frame`` are all of its rows, as they were read.
        """
        verdicts, scored = judged.verdicts, judged.verdicts.is_scored
        groups = {} if self._group_by is None else _by_value(frame[self._group_by], judged)
        lost = int(np.sum(~scored))
        if judged.examination is None:
            self._add(Tally(GroupCounts(quarantined=lost), groups))
            return
        typed = judged.examination.frame
        whole = counted_scores(verdicts.p_value[scored], verdicts.is_anomaly[scored])
        if self._baseline is not None:
            drawn = typed.iloc[self._drawn(len(typed))]
            cells = count_cells(self._baseline, drawn)
            variables = {name: _kept(counts, missing) for name, counts, missing in cells}
            whole = replace(whole, variables=variables)
        self._add(Tally(replace(whole, quarantined=lost), groups, latest(typed)))

    def take_images(self, scored: Sequence[ScoredImage]) -> None:
        """Count images that were scored, and those of each folder."""
        folders = np.array([PurePosixPath(one.file.id).parent.name for one in scored])
        looks = [] if self._baseline is None else [look_of(one.pixels) for one in scored]

        def counted(which: Bools) -> GroupCounts:
            own = [one for one, it in zip(scored, which, strict=True) if it]
            counts = counted_scores([one.p_value for one in own], [one.is_anomaly for one in own])
            if self._baseline is None:
                return counts
            measures = by_measure([look for look, it in zip(looks, which, strict=True) if it])
            return replace(counts, variables=count_measures(self._baseline.variables, measures))

        groups = {name: counted(folders == name) for name in np.unique(folders).tolist()}
        self._add(Tally(counted(np.ones(len(scored), np.bool_)), groups))

    def take_lost(self, item: BadItem) -> None:
        """Count an image that was not scored, in its folder."""
        lost = GroupCounts(quarantined=1)
        self.tally += Tally(lost, {PurePosixPath(item.id).parent.name: lost})

    def write(self, root: Path, key: str) -> list[str]:
        """Write the file of a partition in one step; return its name below the output folder."""
        name = tally_path(key)
        with replace_file(root / name) as temporary:
            temporary.write_text(json_text(self.tally.to_dict()), encoding="utf-8")
        return [name]

    def _add(self, piece: Tally) -> None:
        self.tally += piece
        self._pieces += 1

    def _drawn(self, n: int) -> Indices:
        if n <= _MOST_ROWS:
            return np.arange(n)
        generator = np.random.default_rng(self._pieces)
        return np.sort(generator.choice(n, _MOST_ROWS, replace=False))


def _kept(counts: Any, missing: int) -> VariableCounts:
    return VariableCounts(tuple(counts.tolist()), missing)


def _by_value(cells: pd.Series, judged: JudgedRows) -> dict[str, GroupCounts]:
    """Count verdicts by the value of a column; rows without one count for the whole alone."""
    verdicts, scored = judged.verdicts, judged.verdicts.is_scored
    values = np.array([name[:LONGEST_LEVEL] if name else "" for name in read_keys(cells)])
    groups = {}
    for name in np.unique(values).tolist():
        own, lost = scored & (values == name), int(np.sum(~scored & (values == name)))
        if name:
            counts = counted_scores(verdicts.p_value[own], verdicts.is_anomaly[own])
            groups[name] = replace(counts, quarantined=lost)
    return groups


def read_tally(root: str | Path, entry: Mapping[str, Any]) -> Tally | None:
    """Read what was counted of a partition.

    Parameters
    ----------
    root : str or Path
        Output folder of a finished run.
    entry : mapping
        Of the partition, in ``partitions`` of the manifest.

    Returns
    -------
    tally : Tally or None
        None where an earlier version has scored, which counted nothing.

    Raises
    ------
    DataError
        If the file is missing, is not the one that the manifest lists, lies elsewhere, or holds no
        counts.
    """
    name = tally_path(str(entry["key"]))
    digest = entry["files"].get(name)
    if digest is None:
        return None
    path = Path(root, name)
    try:
        if leads_out(root, name):
            raise DataError("it leads out of the output folder")
        content = path.read_bytes()
        if sha256_of(content) != digest:
            raise DataError("its SHA-256 is not that of the manifest")
        return from_json(Tally, json.loads(content))
    except (OSError, ValueError, RecursionError, AttributeError) as err:
        raise DataError(
            f"{path} holds no counts of a partition: {reason_of(err)}. Run again; it is then "
            "scored again."
        ) from None

"""Tables as they come, with no option but the label's, beside the same tables prepared by hand.

    python benchmarks/as_it_comes.py DIR --seeds 3

DIR holds one parquet file a day (columns of the Fraud Detection Handbook's simulator), of which the
card set is made; the payment set is made up (`as_it_comes_data`). Both are written as CSV, one file
a night; `train table` learns from the earlier nights and `score table` judges the later ones. By
hand means that a person has left columns out, few columns that only what matters was kept. As it
comes, AUROC must not lie more than .02 below by hand.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from as_it_comes_data import card_table, payment_table
from sklearn.metrics import average_precision_score, roc_auc_score

from vae_anomaly import TabularVAEDetector
from vae_anomaly.batch import read_results, score_tables
from vae_anomaly.jobs import Destination, TableColumns, train_table_job

TRAIN_DAYS, TEST_DAYS = range(20, 30), range(30, 38)
HOURS_A_DAY = 24
RATE = 60  # payments an hour
PERSON_LEAVES_OUT = {
    "cards": ("Unnamed: 0", "cc_num", "first", "last", "street", "zip", "dob", "trans_num",
              "unix_time", "trans_date_trans_time"),
    "payments": ("step", "nameOrig", "nameDest", "isFlaggedFraud"),
}  # fmt: skip
FEW = {"cards": ("category", "amt", "gender", "state", "city_pop"),
       "payments": ("type", "amount", "oldbalanceOrg", "newbalanceOrig")}  # fmt: skip
LABEL = {"cards": "is_fraud", "payments": "isFraud"}
Nights = tuple[list[pd.DataFrame], list[pd.DataFrame]]


def card_nights(folder: Path, seed: int) -> Nights:
    """Return the card set's nights, to train on and to score."""
    table = card_table(folder, range(TRAIN_DAYS[0], TEST_DAYS[-1] + 1), seed)
    day = (table["unix_time"] // 86_400).to_numpy()
    return _parted(table, day - day[0], len(TRAIN_DAYS))


def payment_nights(seed: int) -> Nights:
    """Return the payment set's nights, to train on and to score."""
    n_days = len(TRAIN_DAYS) + len(TEST_DAYS)
    table = payment_table(n_days * HOURS_A_DAY, RATE, seed)
    return _parted(table, (table["step"].to_numpy() - 1) // HOURS_A_DAY, len(TRAIN_DAYS))


def _parted(table: pd.DataFrame, day: np.ndarray, n_train: int) -> Nights:
    nights = [table[day == number] for number in np.unique(day)]
    return nights[:n_train], nights[n_train:]


def measure(
    what: str, nights: Nights, columns: tuple[str, ...] | None, seed: int, preset: str
) -> dict[str, float]:
    """Train and score as the commands do, and rank the frauds of the later nights."""
    label = LABEL[what]
    with tempfile.TemporaryDirectory() as folder:
        train, test = (
            _written(part, Path(folder) / name, columns, label)
            for part, name in zip(nights, ("train", "test"), strict=True)
        )
        detector = TabularVAEDetector(random_state=seed, preset=preset)
        model, flags = Path(folder) / "model", Path(folder) / "flags"
        train_table_job(detector, train, Destination(folder=model), TableColumns(label=label))
        score_tables(str(model), test, flags)
        scored = read_results(flags, columns=["id", "score"]).set_index("id")["score"]
    labels = pd.Series(dict(_labels(nights[1], test, label)))
    y, score = labels.to_numpy(), scored.reindex(labels.index).to_numpy()
    return {"AUROC": roc_auc_score(y, score), "AP": average_precision_score(y, score)}


def _written(
    nights: list[pd.DataFrame], folder: Path, columns: tuple[str, ...] | None, label: str
) -> list[Path]:
    """Write one CSV a night."""
    folder.mkdir()
    files = [folder / f"night_{number:02d}.csv" for number in range(len(nights))]
    for night, file in zip(nights, files, strict=True):
        chosen = night if columns is None else night[[*columns, label]]
        chosen.to_csv(file, index=False)
    return files


def _labels(nights: list[pd.DataFrame], files: list[Path], label: str) -> Iterator[tuple[str, int]]:
    """Yield the id that a row has in the results, and its label."""
    for night, file in zip(nights, files, strict=True):
        for row, value in enumerate(night[label], start=1):
            yield f"{file.name}#{row}", int(value)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--sets", nargs="+", default=["cards", "payments"], choices=list(LABEL))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for what in args.sets:
        for seed in range(args.seeds):
            nights = card_nights(args.folder, seed) if what == "cards" else payment_nights(seed)
            every = [name for name in nights[0][0] if name != LABEL[what]]
            left = tuple(name for name in every if name not in PERSON_LEAVES_OUT[what])
            ways = {"as it comes": None, "by hand": left, "few columns": FEW[what]}
            for way, columns in ways.items():
                found = measure(what, nights, columns, seed, args.preset)
                rows.append({"table": what, "columns": way, "seed": seed, **found})
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows).pivot_table(index="table", columns="columns", values=["AUROC", "AP"])
    print(f"\nmean over {args.seeds} seeds\n{table.round(4).to_string()}")


if __name__ == "__main__":
    main()

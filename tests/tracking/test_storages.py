"""One table gets one answer, however it is stored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracking.storages import (
    IN_MEMORY,
    NAMES,
    OTHER_NUMBERS,
    PARQUETS,
    REQUESTS,
    TEXTS,
    Row,
    table_of,
    write_parquet,
    write_text,
)

from vae_anomaly import TabularVAEDetector
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.persistence import read_model
from vae_anomaly.tracking.package import write_package
from vae_anomaly.tracking.store import quiet

SHOPS = ("bar", "café; corner", 'the "old" mill', "Nürnberg, Süd", "two\nlines")


def usual_rows(n: int, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2026-01-01")
    rows: list[Row] = [
        (
            round(float(rng.gamma(2.0, 700.0)), 2),
            int(rng.poisson(3)),
            bool(rng.random() < 0.3),
            SHOPS[int(rng.integers(len(SHOPS)))],
            f"00{int(rng.integers(10, 30))}",
            start + pd.Timedelta(seconds=int(rng.integers(0, 30 * 86_400))),
        )
        for _ in range(n)
    ]
    holes = rng.random((n, len(NAMES))) < 0.03
    return [
        tuple(None if hole else cell for cell, hole in zip(row, empty, strict=True))
        for row, empty in zip(rows, holes, strict=True)
    ]


class Trained:
    """A detector, and the same model as MLflow loads it."""

    def __init__(self, folder: Path) -> None:
        rows = table_of(usual_rows(400, seed=1))
        self.detector = TabularVAEDetector(preset="fast", random_state=0).fit(rows)
        self.detector.save(folder / "model")
        with quiet():
            import mlflow.pyfunc

            write_package(folder / "model", read_model(folder / "model"), folder / "package")
            self.served = mlflow.pyfunc.load_model(str(folder / "package"))

    def scores(self, table: object) -> list[float]:
        return [float(score) for score in self.detector.anomaly_score(table)]

    def predicted(self, table: object) -> list[float]:
        return [float(score) for score in self.served.predict(table)["score"]]

    def answered(self, request: dict[str, object]) -> list[float]:
        from mlflow.pyfunc.scoring_server import invocations

        reply = invocations(json.dumps(request), "application/json", self.served, None)
        return [answer["score"] for answer in json.loads(reply.response)["predictions"]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    row = st.tuples(
        st.none() | st.integers(-99_999, 9_999_999).map(lambda cents: cents / 100),
        st.none() | st.integers(0, 300),
        st.none() | st.booleans(),
        st.none() | st.sampled_from((*SHOPS, "never seen")),
        st.none() | st.integers(0, 9999).map("{:04d}".format),
        st.none() | st.datetimes(pd.Timestamp("2025-01-01"), pd.Timestamp("2027-01-01")).map(
            lambda at: pd.Timestamp(at).floor("s")
        ),
    )  # fmt: skip
    # a usual row first, so that no column is empty and every one shows how it is written
    rows = [(1250.5, 2, True, "bar", "0017", pd.Timestamp("2026-01-20 10:30:07"))]
    return table_of(rows + draw(st.lists(row, min_size=4, max_size=12)))


@settings(max_examples=4)  # of up to 13 rows, each in 60 storages
@given(tables())
def test_every_storage_of_a_table_gives_the_same_scores(
    trained: Trained, tmp_path_factory: pytest.TempPathFactory, table: pa.Table
) -> None:
    folder = tmp_path_factory.mktemp("storages")
    texts = {name: write_text(table, name, folder) for name in TEXTS}
    parquets = {name: write_parquet(table, name, folder) for name in PARQUETS}
    requests = {name: request(table) for name, request in REQUESTS.items()}
    found = {
        **{f"CSV, {name}": trained.scores(read_table(file)) for name, file in texts.items()},
        **{f"parquet, {name}": trained.scores(read_table(f)) for name, f in parquets.items()},
        **{f"{name}, Python": trained.scores(make(table)) for name, make in IN_MEMORY.items()},
        **{f"{name}, MLflow": trained.predicted(make(table)) for name, make in IN_MEMORY.items()},
        **{f"JSON, {name}": trained.answered(request) for name, request in requests.items()},
    }
    expected = trained.scores(table.to_pandas())
    digits = found.pop("JSON, inputs, columns")  # of codes alone, numbers: refused by name
    assert [name for name, scores in found.items() if scores != expected] == []
    pairs = zip(digits, expected, table["code"].to_pylist(), strict=True)
    assert all(got == score or (got is None and code) for got, score, code in pairs)


@pytest.mark.parametrize("dialect", OTHER_NUMBERS)
def test_numbers_as_people_write_them_train_the_same_model(
    dialect: str, trained: Trained, tmp_path: Path
) -> None:
    file = write_text(table_of(usual_rows(400, seed=1)), dialect, tmp_path)
    other = TabularVAEDetector(preset="fast", random_state=0).fit(read_table(file))
    rows = table_of(usual_rows(50, seed=2))
    assert other.anomaly_score(rows).tolist() == trained.scores(rows)

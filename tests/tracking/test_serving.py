"""MLflow's server, batch command and ``predict`` give a row the score that the detector gives it.

Requests go to the function that answers ``/invocations``, without a server; one test starts one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracking.live_server import free_port, stop, wait_until_it_answers
from tracking.real_models import mixed_rows, surface, transactions

from vae_anomaly import TabularVAEDetector, load_detector
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.persistence import read_model
from vae_anomaly.tracking import load
from vae_anomaly.tracking.network.requests import RequestError
from vae_anomaly.tracking.package import write_package
from vae_anomaly.tracking.pyfunc import TablePredictor, load_predictor
from vae_anomaly.tracking.store import quiet

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"

Records = list[dict[str, object]]


def records_of(rows: pd.DataFrame) -> Records:
    return json.loads(rows.to_json(orient="records", date_format="iso"))


def columns_of(records: Records) -> dict[str, list[object]]:
    return {name: [record[name] for record in records] for name in records[0]}


LAYOUTS: dict[str, Callable[[Records], dict[str, object]]] = {
    "dataframe_split": lambda records: {
        "dataframe_split": {
            "columns": list(records[0]),
            "data": [list(record.values()) for record in records],
        }
    },
    "dataframe_records": lambda records: {"dataframe_records": records},
    "inputs of columns": lambda records: {"inputs": columns_of(records)},
    "inputs of records": lambda records: {"inputs": records},
    "instances": lambda records: {"instances": records},
}


class Served:
    """A model as MLflow loads it, and the scores that it should give."""

    def __init__(self, folder: Path) -> None:
        with quiet():
            import mlflow.pyfunc

            self.model = mlflow.pyfunc.load_model(str(folder / "package"))
        self.detector = load_detector(folder / "model")

    def post(self, body: str | bytes, content_type: str = JSON) -> list[dict[str, object]]:
        """Answer as the server does; the answer has to be JSON, which knows no NaN."""
        from mlflow.pyfunc.scoring_server import invocations

        reply = invocations(body, content_type, self.model, self.model.metadata.get_input_schema())
        assert reply.status == 200
        return json.loads(reply.response, parse_constant=pytest.fail)["predictions"]

    def ask(self, layout: str, records: Records) -> list[dict[str, object]]:
        return self.post(json.dumps(LAYOUTS[layout](records)))


@pytest.fixture(scope="module")
def served(mixed_model) -> Served:
    return Served(mixed_model)


def scores_of(answers: list[dict[str, object]]) -> list[object]:
    assert [answer["status"] for answer in answers] == ["scored"] * len(answers)
    return [answer["score"] for answer in answers]


STORAGES: dict[str, Callable[[pd.DataFrame], object]] = {
    "numpy": lambda rows: rows,
    "nullable": lambda rows: rows.convert_dtypes(),
    "Arrow-backed": lambda rows: rows.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda rows: rows.astype(object),
    "categories": lambda rows: rows.astype(dict.fromkeys(["age", "shop", "paid"], "category")),
    "small types": lambda rows: rows.astype({"age": "int8", "paid": "uint8"}),
    "floats": lambda rows: rows.astype({"age": float, "paid": float, "online": float}),
    "zone": lambda rows: rows.assign(when=rows["when"].dt.tz_localize("UTC")),
    "Arrow table": lambda rows: pa.Table.from_pandas(rows),
    "records": lambda rows: rows.to_dict("records"),
    "other order and a further column": lambda rows: rows.iloc[:, ::-1].assign(card=1),
}


@pytest.mark.parametrize("store", STORAGES.values(), ids=STORAGES)
def test_predict_takes_a_table_however_it_is_stored(store, served):
    rows = mixed_rows(12, seed=3)
    answers = served.model.predict(store(rows))
    assert answers["status"].eq("scored").all()
    assert answers["score"].tolist() == served.detector.anomaly_score(rows).tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_json_gives_the_detectors_scores(layout, served):
    rows = mixed_rows(12, seed=3)
    answers = served.ask(layout, records_of(rows))
    assert scores_of(answers) == served.detector.anomaly_score(rows).tolist()


@pytest.mark.parametrize("content_type", [CSV, PARQUET])
def test_files_in_a_request_give_the_detectors_scores(content_type, served):
    rows = mixed_rows(12, seed=3).assign(code="107", country="DE")
    buffer = BytesIO()
    if content_type == PARQUET:
        rows.to_parquet(buffer)
    body = rows.to_csv(index=False) if content_type == CSV else buffer.getvalue()
    answers = served.post(body, content_type)
    assert scores_of(answers) == served.detector.anomaly_score(rows).tolist()


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo", "-03:30"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_time_is_one_instant_in_a_file_and_in_a_request(unit, zone, served, tmp_path):
    rows = mixed_rows(3, seed=3)
    utc = pa.array(rows["when"]).cast(pa.timestamp(unit))
    typed = utc if zone is None else pc.assume_timezone(utc, "UTC").cast(pa.timestamp(unit, zone))
    table = pa.Table.from_pandas(rows.drop(columns="when")).append_column("when", typed)
    pq.write_table(table, tmp_path / "rows.parquet")
    expected = served.detector.anomaly_score(rows).tolist()
    read = read_table(tmp_path / "rows.parquet")
    assert served.detector.anomaly_score(read).tolist() == expected
    assert served.model.predict(read)["score"].tolist() == expected
    assert scores_of(served.post((tmp_path / "rows.parquet").read_bytes(), PARQUET)) == expected


def spellings(name: str, cell: object) -> list[object]:
    """Return what a caller may write for a cell."""
    if cell is None:
        return [None]
    if name == "amount":
        return [cell, str(cell)]
    if name == "age":
        return [cell, float(cell), str(cell)]
    if name == "paid":
        return [cell, float(cell), bool(cell), str(bool(cell)), "yes" if cell else "no"]
    if name == "online":
        return [cell, int(cell), str(cell).lower(), "Y" if cell else "N"]
    if name in {"when", "written"}:
        time = pd.Timestamp(cell)
        tokyo = time.tz_localize("UTC").tz_convert("Asia/Tokyo")
        return [str(time), time.isoformat(), f"{time.isoformat()}.000Z", tokyo.isoformat()]
    if name == "seen":
        return [cell, float(cell), str(cell), pd.Timestamp(cell, unit="s").isoformat()]
    return [cell]


@st.composite
def requests(draw) -> tuple[str, Records, Records]:
    """Return a layout, rows as they are meant, and the rows as somebody wrote them."""
    rows = mixed_rows(30, seed=5)
    places = draw(st.lists(st.integers(0, 29), min_size=1, max_size=4))
    meant = records_of(rows.iloc[places])
    for record in meant:
        for name in draw(st.sets(st.sampled_from([*set(rows) - {"country"}]), max_size=2)):
            record[name] = None
    written = [
        {name: draw(st.sampled_from(spellings(name, cell))) for name, cell in record.items()}
        for record in meant
    ]
    return draw(st.sampled_from([*LAYOUTS])), meant, written


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(request=requests())
def test_score_depends_on_no_layout_no_spelling_and_no_other_row(request, served):
    layout, meant, written = request
    typed = pd.DataFrame(meant, dtype=object).assign(
        when=lambda rows: pd.to_datetime(rows["when"]), age=lambda rows: rows["age"].astype(float)
    )
    expected = [served.detector.anomaly_score(typed.iloc[[i]])[0] for i in range(len(typed))]
    assert scores_of(served.ask(layout, written)) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("name", "cell", "code"),
    [
        ("age", "old", "not_a_number"),
        ("amount", float("inf"), "infinite"),
        ("online", 2, "not_a_boolean"),
        ("when", 1_767_225_600_000, "not_a_time"),
        ("when", "yesterday", "not_a_time"),
        ("shop", 7, "not_text"),
        ("code", 7, "not_text"),
    ],
)
def test_bad_row_is_refused_and_the_others_are_answered(name, cell, code, layout, served):
    rows = mixed_rows(3, seed=3)
    records = records_of(rows)
    records[1][name] = cell
    answers = served.ask(layout, records)
    bad = answers.pop(1)
    assert scores_of(answers) == served.detector.anomaly_score(rows.iloc[[0, 2]]).tolist()
    assert (bad["score"], bad["p_value"], bad["is_anomaly"]) == (None, None, True)
    assert bad["status"].startswith(f"{code}: column {name!r}")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_null_boolean_is_missing_and_not_false(layout, served):
    records = records_of(mixed_rows(4, seed=3).assign(online=False))
    records[2]["online"] = None
    rows = mixed_rows(4, seed=3).assign(online=[False, False, None, False])
    assert scores_of(served.ask(layout, records)) == served.detector.anomaly_score(rows).tolist()
    assert rows["online"].isna().any()


def test_bare_nan_in_a_request_is_a_missing_cell(served):
    rows = mixed_rows(3, seed=3)
    body = json.dumps({"dataframe_records": [{**r, "amount": np.nan} for r in records_of(rows)]})
    assert "NaN" in body
    expected = served.detector.anomaly_score(rows.assign(amount=np.nan))
    assert scores_of(served.post(body)) == expected.tolist()


def test_milliseconds_of_pandas_are_refused_with_the_remedy(served):
    rows = mixed_rows(2, seed=3)
    records = records_of(rows.assign(when=rows["when"].astype("datetime64[ms]").astype("int64")))
    answers = served.ask("dataframe_records", records)
    assert all('to_json(date_format="iso")' in answer["status"] for answer in answers)
    assert [answer["score"] for answer in answers] == [None, None]


def test_record_without_a_key_has_a_missing_cell(served):
    records = records_of(mixed_rows(2, seed=3))
    del records[1]["age"]
    rows = mixed_rows(2, seed=3).astype({"age": float})
    rows.loc[1, "age"] = np.nan
    answers = served.ask("dataframe_records", records)
    assert scores_of(answers) == served.detector.anomaly_score(rows).tolist()


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_records": []},
        {"inputs": []},
        {"inputs": {}},
        {"instances": []},
        {"dataframe_split": {"columns": list(mixed_rows(1, 0)), "data": []}},
    ],
    ids=str,
)
def test_request_without_rows_has_no_answers(body, served):
    assert served.post(json.dumps(body)) == []


def test_request_without_a_column_is_refused_by_its_name(served):
    from mlflow.exceptions import MlflowException

    records = [{"Age": 3, **record} for record in records_of(mixed_rows(2, seed=3))]
    for record in records:
        del record["age"]
    with pytest.raises(MlflowException, match=r"'age' is missing \(did you mean 'Age'\?\)") as told:
        served.ask("dataframe_records", records)
    assert told.value.get_http_status_code() == 400


@pytest.mark.parametrize(
    "body",
    [{"dataframe_split": {"data": [[31, 2.5]]}}, {"inputs": [[31, 2.5]]}],
    ids=["dataframe_split", "inputs"],
)
def test_columns_without_names_are_not_taken_in_order(body, served):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="columns came without names"):
        served.post(json.dumps(body))


def test_example_in_the_package_is_a_request_that_is_answered(mixed_model, served):
    body = (mixed_model / "package" / "serving_input_example.json").read_text()
    assert len(scores_of(served.post(body))) == 1


def test_columns_stand_in_the_package_in_their_order(served):
    told = [column["name"] for column in served.model.metadata.metadata["columns"]]
    assert told == list(mixed_rows(1, seed=0))


def test_image_comes_as_base64_and_a_bad_one_refuses_itself_alone(image_model, tmp_path):
    with quiet():
        write_package(image_model, read_model(image_model), tmp_path / "package")
    (tmp_path / "model").symlink_to(image_model)
    served = Served(tmp_path)
    buffer = BytesIO()
    surface(1).save(buffer, format="PNG")
    text = b64encode(buffer.getvalue()).decode()
    cells = [text, f"data:image/png;base64,{text}", "no base64!", None, "AAAA"]
    answers = served.post(json.dumps({"dataframe_records": [{"image": c} for c in cells]}))
    expected = served.detector.anomaly_score([np.asarray(surface(1))])[0]
    assert [answer["score"] for answer in answers] == [expected, expected, None, None, None]
    codes = [answer["status"].partition(":")[0] for answer in answers]
    assert codes == ["scored", "scored", "not_base64", "not_a_file", "not_an_image"]


GOLDEN = Path(__file__).parents[1] / "golden" / "2026-11"


def test_conditional_model_of_images_is_told_what_each_shows():
    predictor = load_predictor(GOLDEN / "pixels_conditional" / "model")
    files = sorted((GOLDEN / "inputs" / "products").rglob("*.png"))
    request = pd.DataFrame({"image": [file.read_bytes() for file in files]})
    told = request.assign(condition=[file.parent.name for file in files])
    answers = predictor.predict(told)
    expected = predictor.detector.anomaly_score(GOLDEN / "inputs" / "products")
    np.testing.assert_allclose(answers["score"], expected, rtol=1e-5)
    with pytest.raises(RequestError, match="no column 'condition': what the image shows"):
        predictor.predict(request)


def test_package_of_an_earlier_version_says_that_mlflow_checks_its_types(
    mixed_model, tmp_path, caplog
):
    package = shutil.copytree(mixed_model / "package", tmp_path / "package")
    file = package / "MLmodel"
    inputs = json.dumps([{"name": "online", "type": "boolean", "required": True}])
    file.write_text(file.read_text().replace("inputs: null", f"inputs: '{inputs}'"))
    load_predictor(package / "data" / "model")
    assert "Register it again" in caplog.text
    caplog.clear()
    load_predictor(mixed_model / "package" / "data" / "model")
    assert not caplog.text


def test_model_of_entities_says_that_a_server_has_no_past():
    rows = mixed_rows(200, seed=0)[["amount", "when"]].assign(card=np.arange(200) % 9)
    histories = EntityHistories(EntityColumns(("card",), time="when", amount="amount"))
    detector = TabularVAEDetector(preset="fast", max_steps=10, random_state=0)
    detector.fit(histories.extend(rows).drop(columns="card")).entities_ = histories
    predictor = TablePredictor(detector)
    with pytest.raises(RequestError, match=r"past of its entity, and a server keeps none"):
        predictor.predict(rows)
    assert predictor.predict(histories.copy().extend(rows))["status"].eq("scored").all()


def test_served_model_scores_a_table_row(registered, store, table_model, tmp_path):
    _, model = load("models:/cards@champion", store)
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model.path.parents[1]),
        "--host", "127.0.0.1", "--port", str(port), "--env-manager", "local", "--workers", "1",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=tmp_path, env=environment, start_new_session=True
        )
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/ping", process, tmp_path / "log")
            answers = ask(port)
        finally:
            stop(process)
    expected = load_detector(table_model).assess(rows_to_send())
    assert [answer["score"] for answer in answers] == expected["anomaly_score"].tolist()
    assert [answer["is_anomaly"] for answer in answers] == expected["is_anomaly"].tolist()
    assert answers[0]["status"] == answers[1]["status"] == "scored"
    assert answers[1]["is_anomaly"]
    assert "amount" in answers[1]["reason_1"]


def rows_to_send():
    """A usual row with two missing cells, and one with a strange amount in whole numbers."""
    rows = transactions(2, seed=9).drop(columns="id").astype({"merchant": object, "online": object})
    rows["amount"] = [40, 90_000]
    rows.loc[0, "merchant"] = None
    rows.loc[0, "online"] = None
    return rows


def ask(port: int):
    sent = rows_to_send()
    sent["when"] = sent["when"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    body = {"dataframe_split": {"columns": list(sent.columns), "data": sent.to_numpy().tolist()}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - loopback
        return json.load(reply)["predictions"]

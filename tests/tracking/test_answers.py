"""What a server's answer means: one error of ours, with the remedy and without credentials."""

from __future__ import annotations

import json
import logging

import pytest
from tracking.told_server import Told, told  # noqa: F401 - fixture

from vae_anomaly import load_detector
from vae_anomaly.errors import (
    ConfigError,
    ModelRefusedError,
    RegistryDeniedError,
    RegistryUnavailableError,
)
from vae_anomaly.tracking import (
    list_models,
    load_feedback,
    log_training,
    register_directory,
    resolve,
    show_model,
)
from vae_anomaly.tracking.client import check_writable
from vae_anomaly.tracking.network.answers import CREDENTIALS, gist, masked
from vae_anomaly.tracking.store import session

PAGE = "<html><head><title>{}</title></head><body>nginx</body></html>"
LOGIN = PAGE.format("Sign in") + "<form><input type='password'></form>"


def mlflow_error(status: int, code: str, message: str) -> Told:
    return Told(status, json.dumps({"error_code": code, "message": message}))


def empty_server(path: str) -> Told:
    """Answer as an MLflow server that knows nothing."""
    if path.partition("?")[0].endswith("/search"):
        return Told(200, "{}")
    return mlflow_error(404, "RESOURCE_DOES_NOT_EXIST", "there is nothing of that name")


NO_MLFLOW = "does not answer as an MLflow server"
ANSWERS = [
    (Told(401, "You are not authenticated."), RegistryDeniedError, "does not let us in"),
    (Told(401, '{"detail": "Not authenticated"}'), RegistryDeniedError, "does not let us in"),
    (Told(407, "Proxy login"), RegistryDeniedError, "does not let us in"),
    (Told(403, "Permission denied"), RegistryDeniedError, "Permission denied"),
    (Told(403, PAGE.format("403 Forbidden")), RegistryDeniedError, "403 Forbidden"),
    (mlflow_error(403, "PERMISSION_DENIED", "no"), RegistryDeniedError, "does not allow this"),
    (Told(404, PAGE.format("404 Not Found")), RegistryUnavailableError, NO_MLFLOW),
    (Told(404, '{"detail": "Not Found"}'), RegistryUnavailableError, NO_MLFLOW),
    (Told(405, "Method Not Allowed"), RegistryUnavailableError, NO_MLFLOW),
    (Told(501, "Unsupported method"), RegistryUnavailableError, NO_MLFLOW),
    (Told(400, PAGE.format("HTTP sent to HTTPS port")), RegistryUnavailableError, "HTTPS port"),
    (Told(200, PAGE.format("Grafana")), RegistryUnavailableError, "Grafana"),
    (Told(200, '{"status": "ok"}'), RegistryUnavailableError, NO_MLFLOW),
    (Told(200, "[1, 2]"), RegistryUnavailableError, NO_MLFLOW),
    (Told(429, "slow down"), RegistryUnavailableError, "in trouble"),
    (Told(500, PAGE.format("Server Error")), RegistryUnavailableError, "Server Error"),
    (Told(502, PAGE.format("502 Bad Gateway")), RegistryUnavailableError, "502 Bad Gateway"),
    (mlflow_error(503, "TEMPORARILY_UNAVAILABLE", "x"), RegistryUnavailableError, "in trouble"),
]
each_answer = pytest.mark.parametrize(
    ("answer", "kind", "words"),
    ANSWERS,
    ids=[f"{answer.status}-{i}" for i, (answer, _, _) in enumerate(ANSWERS)],
)


@each_answer
def test_every_answer_but_that_of_mlflow_is_one_error_of_one_line(told, answer, kind, words):
    url = told(lambda path: answer)
    with pytest.raises(kind, match=words) as caught, session(url):
        pass
    assert type(caught.value) is kind
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 404, 200])
def test_the_variables_of_the_credentials_are_named_and_not_their_values(told, monkeypatch, status):
    for name, value in zip(CREDENTIALS, ("ada", "hunter22", "t0ken123"), strict=True):
        monkeypatch.setenv(name, value)
    url = told(lambda path: Told(status, "who knows hunter22 and t0ken123?"))
    with pytest.raises(RegistryUnavailableError) as caught:
        list_models(url)
    assert all(name in str(caught.value) for name in CREDENTIALS)
    assert f"(set now: {', '.join(CREDENTIALS)})" in str(caught.value)
    assert "hunter22" not in str(caught.value)
    assert "t0ken123" not in str(caught.value)


def test_a_redirect_to_a_login_page_is_told(told):
    login = told(lambda path: Told(200, LOGIN))
    url = told(lambda path: Told(302, headers={"Location": f"{login}/login"}))
    with pytest.raises(RegistryUnavailableError, match=r"Sign in.*redirect to .*login.*TOKEN"):
        list_models(url)


def test_a_server_that_speaks_no_tls_is_told_from_one_that_is_not_trusted(told):
    url = told(empty_server).replace("http:", "https:")
    with pytest.raises(RegistryUnavailableError, match=r"does not speak TLS.*http://"):
        list_models(url)


def test_a_certificate_file_that_is_not_there_is_named(told, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", "/no/such.pem")
    with pytest.raises(RegistryDeniedError, match=r"no/such\.pem.*INSECURE_TLS"):
        list_models(told(empty_server).replace("http:", "https:"))


def test_credentials_in_the_uri_reach_the_server_and_nothing_else(told, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another")
    url = told(lambda path: Told(401, "no")).replace("//", "//ada:hunter%2022@")
    with caplog.at_level(logging.DEBUG), pytest.raises(RegistryDeniedError) as caught:
        list_models(url)
    shown = f"{caught.value} {caught.value.__cause__} {caplog.text}"
    assert "hunter" not in shown
    assert "ada" not in shown


@pytest.mark.parametrize("what", [show_model, load_feedback, lambda n, u: resolve(n, u)])
def test_a_model_that_is_not_there_is_refused(told, what):
    url = told(empty_server)
    ref = "cards" if what in {show_model, load_feedback} else "models:/cards@champion"
    with pytest.raises(ModelRefusedError, match="no model 'cards'"):
        what(ref, url)


def only_denies(ending: str):
    """Answer as an MLflow server whose user may do all but one thing."""

    def answers(path: str) -> Told:
        if path.endswith(ending):
            return Told(403, "Permission denied")
        if "/experiments/get-by-name" in path:
            experiment = {"experiment_id": "1", "name": "x", "lifecycle_stage": "active"}
            return Told(200, json.dumps({"experiment": experiment}))
        return Told(200, "{}")

    return answers


@pytest.mark.parametrize(
    "ending",
    ["registered-models/create", "registered-models/set-tag", "experiments/set-experiment-tag"],
)
def test_who_may_not_write_is_refused_before_a_training(told, ending):
    with pytest.raises(RegistryDeniedError, match=f"403 at {ending}"):
        check_writable(told(only_denies(ending)), ["vae-anomaly"], "cards")


@pytest.mark.parametrize("denied", ["nothing", "registered-models/delete"])
def test_who_may_write_passes(told, denied):
    check_writable(told(only_denies(denied)), ["vae-anomaly"], "cards")


@pytest.mark.parametrize("was_there", [False, True])
def test_the_check_leaves_no_new_name_and_takes_none_that_was_there(told, was_there):
    asked = []

    def answers(path: str) -> Told:
        asked.append(path.rpartition("/mlflow/")[2])
        if was_there and path.endswith("registered-models/create"):
            return mlflow_error(400, "RESOURCE_ALREADY_EXISTS", "cards")
        return only_denies("nothing")(path)

    check_writable(told(answers), ["vae-anomaly"], "cards")
    assert ("registered-models/delete" in asked) == (not was_there)


@pytest.mark.parametrize(
    "answer", [Told(403, "no"), Told(500, PAGE.format("x")), mlflow_error(400, "BAD_REQUEST", "x")]
)
def test_a_server_that_refuses_after_the_training_loses_nothing(
    told, table_model, store, tmp_path, answer
):
    """Whatever it says, the record stays and the message holds the command that sends it."""

    def answers(path: str) -> Told:
        return answer if path.endswith("runs/create") else only_denies("nothing")(path)

    with pytest.raises((RegistryUnavailableError, ModelRefusedError), match="Nothing is lost"):
        log_training(load_detector(table_model), name="cards", uri=told(answers))
    (record,) = (tmp_path / "vae-anomaly-store" / "spool").iterdir()
    assert register_directory(record, uri=store).version == 1


def test_no_cached_copy_stands_in_where_the_server_denies(told, monkeypatch):
    with pytest.raises(RegistryDeniedError, match="does not let us in"):
        resolve("models:/cards@champion", told(lambda path: Told(401)), use_cached=True)


@pytest.mark.parametrize(
    "uri", ["localhost:5000", "http://", "http:/host", "http://host:port", "https//host:5000"]
)
def test_what_only_looks_like_a_server_is_refused(uri):
    with pytest.raises(ConfigError, match="http://HOST:PORT"):
        list_models(uri)


def test_a_package_that_a_database_needs_is_named():
    with pytest.raises(ImportError, match="pip install") as caught:
        list_models("mssql+pymssql://me:hunter22@127.0.0.1/x")
    assert "hunter22" not in str(caught.value)


def test_gist_is_one_line_the_title_of_a_page_and_short():
    assert gist(PAGE.format("502\n Bad Gateway")) == "502 Bad Gateway"
    assert gist('{"message": "no"}') == "no"
    assert gist("a\n\nb") == "a b"
    assert len(gist("x" * 9_999)) < 200


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("NewConnectionError('<x at 0x7f>: Failed: [Errno 111] Connection refused')", "refused"),
        ("SSLError(1, '[SSL: X] certificate verify failed: self-signed certificate')", "self-"),
        ("NameResolutionError(\"H(host='h'): Failed to resolve 'h' (not known)\")", "resolve 'h'"),
    ],
)
def test_of_nested_causes_the_innermost_is_told(cause, told):
    text = f"HTTPConnectionPool(host='h', port=1): Max retries exceeded (Caused by {cause})"
    assert told in gist(text)
    assert len(gist(text)) < 45


def test_masked_leaves_other_text_alone():
    assert masked("see https://me:pw@host/x and a@b.c") == "see https://host/x and a@b.c"

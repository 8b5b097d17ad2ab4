"""What a person would leave out of a table, told by names and cells; and what must stay."""

from __future__ import annotations

import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.data.tables.kinds import Column, ColumnKind
from vae_anomaly.data.tables.name_words import words, words_of
from vae_anomaly.data.tables.schema import Schema

N = 600
RARE = (np.arange(N) % 50 == 0).astype(int)  # 2 %


def column(name: str, values: object, **others: object) -> Column:
    """Return what a column beside an amount is taken for."""
    amount = np.random.default_rng(0).lognormal(3, 1, N).round(2)
    return Schema.infer(pd.DataFrame({"amount": amount, name: values, **others}))[name]


def is_left_out(found: Column, role: str) -> bool:
    return found.role == role and found.kind in {ColumnKind.IGNORED, ColumnKind.IDENTIFIER}


def several(n_distinct: int, write: str) -> list[str]:
    """Return N texts of which so many are different, in no order."""
    numbers = np.random.default_rng(1).integers(0, n_distinct, N)
    return [write.format(i=int(number), long=4_000_000 + 7919 * int(number)) for number in numbers]


def numbers(low: int, high: int) -> object:
    return np.random.default_rng(0).integers(low, high, N)


def repeated(low: int, high: int) -> object:
    """Return 90 different numbers, each several times."""
    return np.random.default_rng(0).integers(low, high, 90).repeat(7)[:N]


def of_words(normal: str, *others: str) -> list[str]:
    return [others[i // 50 % len(others)] if RARE[i] else normal for i in range(N)]


def in_turn(*values: str) -> list[str]:
    return [values[i % len(values)] for i in range(N)]


LABELS = (
    *words(
        "isFraud IsFraud FraudFound_P is_fraud fraud_flag fraud-reported FRAUD TX_FRAUD isfraud"
    ),
    *words("isAnomaly anomaly chargeback isFlaggedFraud Class class target TARGET label Label y"),
    *words("outlier is_outlier is_defective Machine_failure machineFailure attack Attack_label"),
    *words("intrusion has_defect fraudflag ground_truth y_true class_label scrap_flag failure"),
    *words("betrug Betrugsverdacht ausschuss ist_defekt fehler Störung fraude es_fraude anomalie"),
    *words("frode Fault is_malicious Pass/Fail outcome engineFailure is_abnormal bad NOK 欺诈"),
    *("Machine failure", "default payment next month", "confirmed.chargeback"),
)


@pytest.mark.parametrize("name", sorted(LABELS))
def test_a_label_is_found_by_its_name_in_any_writing_and_left_out(name: str) -> None:
    found = column(name, RARE)
    assert is_left_out(found, "label")
    assert "anomalous in 2.00% of rows" in found.note


@pytest.mark.parametrize(
    "cells",
    [
        of_words("No", "Yes"), of_words("N", "Y"), of_words("false", "true"), RARE * 2 - 1,
        RARE.astype(bool), RARE + 1, of_words("legit", "fraud"), of_words("normal", "dos", "probe"),
        of_words("no fraud", "card theft", "account takeover"), RARE * (1 + np.arange(N) % 3),
        np.zeros(N, dtype=int), RARE.astype(float), pd.array(RARE, dtype="Int8"),
    ],
)  # fmt: skip
def test_a_label_may_be_written_in_many_ways(cells: object) -> None:
    assert is_left_out(column("fraudType", cells), "label")


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("verdict_of_review", of_words("legit", "suspicious")),
        ("traffic", of_words("BENIGN", "DDoS", "PortScan")),
        ("category", of_words("normal", "fraud")),
        ("remark", of_words("ok", "nok")),
        ("state", of_words("No attack", "Attack")),
        ("x7", of_words("gut", "Ausschuss")),
        ("Prüfung", of_words("i.O.", "n.i.O.")),
        ("final test", of_words("OK", "NG")),
        ("type", of_words("normal", "ddos", "xss")),
        ("machine_status", of_words("NORMAL", "BROKEN", "RECOVERING")),
        ("Normal/Attack", of_words("Normal", "Attack")),
        ("connection", of_words("normal.", "smurf.")),
        ("attack_cat", [None if cell == "x" else cell for cell in of_words("x", "Worms", "DoS")]),
        ("fault_type", of_words("no fault", "bearing", "gear")),
        ("fraud_scenario", of_words("none", "card theft", "account takeover")),
        ("defect_type", in_turn("scratch", "dent", "stain")),
        ("Attack LABLE (1:No Attack, -1:Attack)", 1 - 2 * RARE),
        ("label2", RARE),
        ("Is Laundering", RARE),
        ("PotentialFraud", of_words("No", "Yes")),
        ("Response", RARE),
        ("Quality", of_words("Good", "Bad")),
    ],
)
def test_a_label_is_found_by_its_words(name: str, cells: list[str]) -> None:
    assert is_left_out(column(name, cells), "label")


NO_LABELS = [
    ("fraud_score_of_partner", np.linspace(0, 1, N)),
    ("failure_rate", np.linspace(0, 1, N)),
    ("class", np.arange(N) % 3 + 1),
    ("class", in_turn("economy", "business", "first")),
    ("vehicle_class", in_turn("suv", "van")),
    ("target_temperature", 180 + np.arange(N) % 7),
    ("default_payment_method", in_turn("card", "bank")),
    ("defects_count_last_year", np.arange(N) % 4 // 3),
    ("previous_fraud", RARE),
    ("fault_tolerance", RARE),
    ("has_fraud_insurance", RARE),
    ("Fault", in_turn("Policy Holder", "Third Party")),
    ("flag", in_turn("SF", "S0", "REJ")),
    ("type", in_turn("PAYMENT", "TRANSFER")),
    ("result_code", np.arange(N) % 4),
    ("priority", of_words("normal", "high", "low")),
    ("road", of_words("good", "bad")),
    ("Risk", of_words("low", "high")),
    ("status", of_words("approved", "waiting")),
    ("restecg", of_words("normal", "ST-T abnormality", "hypertrophy")),
    ("previous_campaign", of_words("unknown", "failure", "success")),
    ("y", np.random.default_rng(3).normal(size=N)),
    ("status", of_words("active", "closed")),
    ("device_fraud_count", RARE),
    ("housing", of_words("own", "rent")),
    ("poutcome", of_words("unknown", "failure", "success")),
    ("rbc", of_words("normal", "abnormal")),
    ("sleep_quality", of_words("good", "poor")),
    ("response_time", np.arange(N) % 40),
    ("weather", of_words("normal", "storm")),
    ("protocol", in_turn("tcp", "udp")),
    ("is_online", RARE),
    ("night", RARE),
    ("alarm_limit", np.arange(N) % 5),
]


@pytest.mark.parametrize(("name", "cells"), NO_LABELS)
def test_what_only_resembles_a_label_is_read_without_a_word(name: str, cells: object) -> None:
    found = column(name, cells)
    assert (found.role, found.kind in {ColumnKind.IGNORED, ColumnKind.IDENTIFIER}) == (None, False)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("fraud", np.random.default_rng(2).random(N)),
        ("target", np.random.default_rng(2).random(N)),
        ("sensor_error", RARE),
        ("class", of_words("a", "b")),
        ("defects", np.arange(N) % 30),
        ("default", RARE),
        ("FLAG", RARE),
        ("difficulty", np.arange(N) % 22),
        ("Risk", of_words("good", "bad")),
        ("part_status", of_words("OK", "not ok")),
        ("transaction_status", in_turn("settled", "pending", "chargeback")),
    ],
)
def test_where_only_the_name_speaks_the_column_stays_and_is_named(name: str, cells: object) -> None:
    found = column(name, cells)
    assert (found.role, found.kind is ColumnKind.IGNORED) == ("label", False)
    assert "may be a label" in found.note


def test_of_a_label_that_is_mostly_empty_every_word_is_an_anomaly() -> None:
    cells = [word if RARE[i] else None for i, word in enumerate(in_turn("Exploits", "DoS"))]
    assert "anomalous in 2.00% of rows" in column("attack_cat", cells).note


def test_a_declared_kind_stands_and_has_no_role() -> None:
    frame = pd.DataFrame({"isFraud": RARE, "zip": np.arange(N) % 90 + 10_115})
    found = Schema.infer(frame, overrides={"isFraud": "boolean", "zip": "categorical"})
    assert [(c.kind, c.role) for c in found.columns] == [("boolean", None), ("categorical", None)]


@pytest.mark.parametrize("label", ["truth", None])
def test_modes_of_failure_and_copies_are_found_by_the_label_that_they_repeat(label) -> None:
    rng = np.random.default_rng(0)
    failed = rng.random(4000) < 0.05
    kind = rng.integers(0, 3, 4000)
    frame = pd.DataFrame(
        {
            "truth" if label else "failure": failed.astype(int),
            "TWF": (failed & (kind == 0)).astype(int),
            "stage": np.where(failed, np.array(["a", "b", "c"])[kind], "z"),
            "marked": np.where(failed & (rng.random(4000) < 0.98), "M", "N"),
            "late": (rng.random(4000) < np.where(failed, 0.5, 0.05)).astype(int),
            "rare": (rng.random(4000) < 0.01).astype(int),
        }
    )
    found = Schema.infer(frame, label=label)
    assert {c.name for c in found.columns if c.role == "label"} - {"failure"} == {
        "TWF", "stage", "marked",
    }  # fmt: skip
    assert {c.name for c in found.features} == {"late", "rare"}


def card_number(place: int) -> str:
    """Return a made-up card number with a right check digit."""
    digits = f"45390000{place:07d}"
    doubled = "".join(str(int(d) * (2 - i % 2)) for i, d in enumerate(digits[::-1]))
    return digits + str(-sum(map(int, doubled)) % 10)


def spelt(write: str, n_distinct: int = 90) -> list[str]:
    """Return N texts of letters only, of which so many are different."""
    places = np.arange(N) % n_distinct
    return [write.format(a=chr(65 + i % 10), b=chr(97 + i // 10)) for i in map(int, places)]


WHO_AND_WHERE = [
    ("cc_num", "person", repeated(10**15, 9 * 10**15)),
    ("kartennummer", "person", several(80, "4111 11** **** {i:04d}")),
    ("x", "person", [card_number(i % 70) for i in range(N)]),
    ("nameOrig", "person", several(400, "C{long}")),
    ("nameDest", "person", several(90, "M{long}")),
    ("home phone", "person", numbers(10**9, 2 * 10**9)),
    ("Social Security Number", "person", repeated(10**8, 9 * 10**8)),
    ("card_id", "person", several(90, "card-{i:03d}")),
    ("account_number", "person", several(90, "{long}")),
    ("contact", "person", several(90, "anna.{i}@example.com")),
    ("Email Address", "person", several(90, "a{i}@b.co.uk")),
    ("phone", "person", several(90, "030 {long}")),
    ("caller", "person", several(90, "+49 30 {long}")),
    ("ssn", "person", several(90, "123-45-{i:04d}")),
    ("first", "person", spelt("{a}nn{b}")),
    ("lastName", "person", spelt("{a}mith{b}")),
    ("Nachname", "person", spelt("{a}üller{b}")),
    ("customer_name", "person", spelt("{a}nna O'{b}eil")),
    ("dob", "person", pd.date_range("1950-01-01", periods=N, freq="37D")),
    ("Geburtsdatum", "person", [f"{1 + i % 28:02d}.03.{1950 + i % 40}" for i in range(N)]),
    ("customer", "person", several(90, "cust-{i}")),
    ("kennzeichen", "person", several(90, "B-XY {i}")),
    ("zip", "place", repeated(10_000, 99_999)),
    ("ZipCode", "place", several(90, "{i:05d}")),
    ("Postleitzahl", "place", several(90, "1{i:04d}")),
    ("postal_code", "place", several(90, "SW{i} 1AA")),
    ("street", "place", several(90, "{i} Elm Street")),
    ("where", "place", several(90, "{i} Elm Ave")),
    ("Strasse", "place", spelt("{a}lmen{b}weg")),
    ("birthDate", "person", numbers(19400101, 19991231)),
    ("customer", "person", several(90, "'C{long}'")),
    ("Account.1", "person", several(90, "8{i:04d}EBD0")),
    ("wallet_address", "identifier", several(90, "0x{i:04d}c0ffee00c0ffee00")),
    ("ip_address", "identifier", several(90, "10.0.0.{i}")),
    ("MAC address", "identifier", several(90, "AB:CD:EF:00:{i:02d}:01")),
    ("index", "identifier", np.tile(np.arange(N // 6), 6)),
    ("session", "identifier", [str(uuid.UUID(int=i % 90 + 2**100)) for i in range(N)]),
    ("device", "identifier", several(90, "{i:04d}c0ffee00c0ffee00")),
    ("page", "identifier", several(90, "https://example.com/{i}")),
    ("srcip", "identifier", several(90, "10.0.0.{i}")),
    ("Unnamed: 0", "identifier", np.tile(np.arange(N // 3), 3)),
    ("comment", "identifier", several(400, "the parcel number {i} came late and open")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "role", "cells"), WHO_AND_WHERE)
def test_who_and_where_is_left_out_with_the_reason(name: str, role: str, cells: object) -> None:
    found = column(name, cells)
    assert is_left_out(found, role), found
    assert "different" in found.note or "dates" in found.note or "never repeat" in found.note


FEATURES = [
    ("Kunden", np.random.default_rng(5).integers(1, 300, N)),
    ("merchant", several(90, "fraud_Kub and Sons {i}")),
    ("merchant_name", several(90, "Shop {i}")),
    ("product", several(90, "P{long}")),
    ("category", several(14, "kind {i}")),
    ("city", spelt("{a}{b}ville")),
    ("job", several(90, "Engineer, grade {i}")),
    ("state", several(50, "S{i}")),
    ("country", several(60, "C{i}")),
    ("lat", np.random.default_rng(0).normal(40, 5, N)),
    ("merch_long", np.random.default_rng(0).normal(-90, 5, N)),
    ("account_type", several(3, "type {i}")),
    ("accountAgeDays", numbers(0, 2000)),
    ("account_balance", numbers(0, 90_000)),
    ("city_pop", repeated(100, 90_000)),
    ("gender", several(2, "g{i}")),
    ("age", numbers(18, 90)),
    ("birth_year", numbers(1940, 2005)),
    ("card_type", several(4, "card {i}")),
    ("phone_model", several(60, "phone {i}")),
    ("plate_thickness", numbers(1, 90)),
    ("email_domain", several(40, "mail{i}.com")),
    ("index", numbers(0, 200)),
    ("zip", np.arange(N) % 5 + 10_115),
    ("customers", numbers(0, 200)),
    ("file_name", several(60, "part{i}.txt")),
    ("amount_cents", numbers(0, 10**6)),
    ("cell_voltage", np.random.default_rng(0).normal(3.7, 0.1, N).round(6)),
    ("tin", np.random.default_rng(0).normal(40, 3, N).round(6)),
    ("mobile_data_kb", numbers(10**6, 10**8)),
    ("card", numbers(0, 20_000)),
    ("insured", numbers(1000, 90_000)),
    ("security", several(90, "US{long}")),
    ("description", several(90, "a red woollen scarf for the winter {i}")),
    ("defect_density", np.random.default_rng(0).random(N)),
    ("angle_of_attack", np.random.default_rng(0).normal(3, 1, N)),
    ("Errors?", in_turn("Insufficient Balance", "Bad PIN")),
    ("error_code", 17 * RARE),
    ("zip_count_4w", numbers(100, 6700)),
    ("name_email_similarity", np.random.default_rng(0).random(N)),
    ("prev_address_months_count", numbers(0, 380)),
    ("date_of_birth_distinct_emails_4w", numbers(0, 30)),
    ("addr1", numbers(100, 540)),
    ("barcode", [str(400638133_0000 + 1000 * (i % 70)) + "17" for i in range(N)]),
    ("Provider", several(90, "PRV5{i:04d}")),
    ("operator", several(12, "op {i}")),
    ("last_amount", numbers(0, 900)),
    ("first_seen_days", numbers(0, 90)),
]


@pytest.mark.parametrize(("name", "cells"), FEATURES)
def test_what_repeats_and_tells_of_the_event_stays_a_feature(name: str, cells: object) -> None:
    found = column(name, cells)
    assert (found.role, found.kind in {ColumnKind.IGNORED, ColumnKind.IDENTIFIER}) == (None, False)


def test_columns_that_are_numbered_are_compared_with_the_label_as_well() -> None:
    frame = pd.DataFrame({0: np.arange(N) % 37 + 0.5, 1: RARE, 2: RARE})
    found = Schema.infer(frame, label="1")
    assert (found["2"].role, found["0"].role) == ("label", None)
    without = Schema.infer(frame[[0, 2]]).without_copies(frame, RARE == 1)
    assert [column.name for column in without.features] == ["0"]


@given(
    st.lists(
        st.sampled_from(["is", "fraud", "zip", "code", "first", "name"]), min_size=1, max_size=4
    )
)
def test_words_of_a_name_do_not_depend_on_how_they_are_joined(parts: list[str]) -> None:
    known = words("is fraud zip code first name")
    ways = ["_".join(parts), "-".join(parts), " ".join(parts), "".join(parts)]
    ways += ["".join(p.title() for p in parts), "_".join(parts).upper(), ".".join(parts)]
    ways += [parts[0] + "".join(part.title() for part in parts[1:])]
    assert {words_of(way, known) for way in ways} == {tuple(parts)}

"""Words that columns of persons, their numbers and their places are called by.

In small letters, without accents, in the languages that people's tables are written in.
"""

from __future__ import annotations

from typing import Final

from vae_anomaly.data.tables.name_words import words

PAYMENT_CARDS: Final = words(
    "card cards cc pan creditcard karte karten kreditkarte kreditkarten kartennummer tarjeta carte"
)
ACCOUNTS: Final = words(
    "account acct acc konto kontonummer iban bban compte cuenta conto rekening wallet"
)
SEVERAL: Final = words("kunden cards karten kreditkarten")  # alone, a count of them
PHONES: Final = words(
    "phone telephone tel telefon telefonnummer telefono mobile cell cellphone handy fax msisdn"
)
POSTAL: Final = words("zip postal post pin postcode postleitzahl plz pincode cep postnummer")
POSTAL_ALONE: Final = POSTAL - words("post pin")  # which mean something else without "code"
STREETS: Final = words(
    "street str strasse address addr adresse anschrift direccion indirizzo adres calle rue"
)
GIVEN: Final = words(
    "first last middle full given family sur fore maiden nick vor nach forename surname firstname "
    "lastname nickname"
)
NAMES: Final = words(
    "name vorname nachname familienname prenom nom nombre apellido apellidos nome cognome imie "
    "nazwisko naam voornaam achternaam surname forename nickname"
)
PERSONS: Final = words(
    "customer cust client user member person holder cardholder owner employee worker operator "
    "driver patient student passenger policyholder borrower applicant subscriber guest "
    "beneficiary sender receiver recipient payee payer originator counterparty debtor creditor "
    "buyer kunde kunden kundin mitarbeiter inhaber fahrer versicherter cliente usuario "
    "utilisateur contact"
)
WHERE_PHONES_ARE: Final = words("home work office private business day evening contact")
BIRTH: Final = words(
    "dob birth birthday birthdate born geburt geburts geburtsdatum geburtstag geboren naissance "
    "nacimiento nascita urodzenia"
)
OFFICIAL: Final = words(
    "ssn nino passport ausweis ausweisnummer personalausweis cpf dni curp aadhaar "
    "nhs tin steuernummer sozialversicherungsnummer personnummer pesel nif licence license"
)
PLATES: Final = words(
    "plate numberplate kennzeichen nummernschild immatriculation matricula targa kenteken "
    "registration"
)
COUNTERS: Final = words("unnamed index idx row rownum rownumber rowid record lfd zeile")
NUMBERS: Final = words(
    "number num no nr nummer numero id key code token hash ref reference"
)  # fmt: skip
SIDES: Final = words("orig origin dest destination from to of the on src source in de del des du")
MEASURES: Final = words(  # what a name tells of somebody that is no name
    "age amount avg balance brand change changed city count counts country county date dates days "
    "degree diff distance distinct domain emails entropy has is length limit match mean model "
    "months open pop population price provider rate ratio region risk score share similarity "
    "since size state status thickness type valid value velocity verified weight years"
)
ALL_WORDS: Final = frozenset().union(
    PAYMENT_CARDS, ACCOUNTS, PHONES, POSTAL, STREETS, GIVEN, NAMES, PERSONS, BIRTH, OFFICIAL,
    PLATES, COUNTERS, WHERE_PHONES_ARE, NUMBERS, SIDES, MEASURES,
    words("social security ip mac mail host file merchant product company shop model class"),
)  # fmt: skip

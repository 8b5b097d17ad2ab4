"""What words say of an item: an anomaly, normal, or not known. The one vocabulary of labels.

Columns of labels, reviewers' verdicts and columns that may hold the answer are read by it. Case,
accents, spaces, hyphens, underscores and dots do not matter, and "no fraud", "not ok" or "kein
Fehler" say the contrary of what follows.

Words are of two grades. *Plain* ones tell of an anomaly, or of none, wherever they stand. The
others, such as "positive" or "approved", do so only where a person has named the column.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from vae_anomaly.data.tables.cells import FALSE_WORDS, TRUE_WORDS
from vae_anomaly.data.tables.name_words import plain, words, words_of

YES: Final = frozenset(map(plain, TRUE_WORDS))
NO: Final = frozenset(map(plain, FALSE_WORDS))

EVENTS: Final = words(
    "fraud frauds fraudulent fraudster anomaly anomalies anomalous outlier outliers attack attacks "
    "intrusion intrusions malicious malware botnet chargeback chargebacks scam laundering phishing "
    "spam ransomware defect defects defective scrap scrapped nonconforming nonconformity "
    "counterfeit "
    "betrug betrugsfall betrugsverdacht anomalie ausschuss defekt schlechtteil angriff "
    "fraude frauduleux fraudulenta fraudulento rebut attaque anomalia ataque frode difetto scarto "
    "oszustwo bedrageri dolandiricilik мошенничество аномалия брак "
    "欺诈 异常 異常 不良 不良品 缺陷 攻击"
)
"""Of anomalies and nothing else."""
HARM: Final = words(
    "failure failures breakdown abnormal abnormality ausfall maschinenausfall storung stoerung "
    "panne defaillance averia fallo falla guasto uitval storing awaria сбой 故障"
)
"""Also said of a part, a pulse, a sensor."""
SLIPS: Final = words(
    "fault faults faulty error fehler fehlerhaft erreur defaut fout fel suspicious suspect bad nok "
    "nio bankrupt bankruptcy churn churned"
)
"""Also said of whose fault it was, of a measurement."""
TELLTALE: Final = EVENTS | words(
    "malignant nok nio ng fake forged broken dos ddos backdoor injection xss portscan bruteforce "
    "mitm trojan worm exploit exploits fuzzers shellcode neptune smurf"
)
"""Beside any word for normal they make an answer."""
PLAIN_ANOMALY: Final = TELLTALE | HARM | words("bad fail failed reject rejected suspicious faulty")
ANOMALY_WORDS: Final = PLAIN_ANOMALY | (SLIPS - {"suspect"}) | frozenset({
    "irregular", "unusual", "novelty", "damaged", "positive", "infected",
    "confirmed", "confirm", "tp", "fn", "true alarm", "true positive", "false negative",
    "confirmed fraud", "confirmed defect",
    "anomal", "auffallig", "auffaellig", "schlecht", "betrugerisch", "betruegerisch",
    "durchgefallen", "bestatigt", "bestaetigt",
})  # fmt: skip

BENIGN: Final = words("benign legit legitimate inlier nonfraud nonfraudulent")
"""Of no anomaly and nothing else."""
PLAIN_NORMAL: Final = BENIGN | words(
    "normal good ok okay genuine healthy conforming pass passed gut io"
)
GOOD_NAMES: Final = frozenset({"good", "ok", "normal"})
NAMES_OF_NORMAL: Final = GOOD_NAMES | {
    "okay", "benign", "gut", "io", "in ordnung", "gutteil", "fehlerfrei", "defect free", "none",
}  # fmt: skip
"""Words beside which any other is the name of a kind of anomaly."""
NORMAL_WORDS: Final = PLAIN_NORMAL | NAMES_OF_NORMAL | frozenset({
    "legal", "authentic", "clean", "fine", "intact", "regular", "usual", "accept", "accepted",
    "approved", "compliant", "negative", "success", "ham", "cleared", "correct",
    "fp", "tn", "false alarm", "false positive", "true negative",
    "legitim", "echt", "unauffallig", "unauffaellig", "bestanden", "fehlalarm",
})  # fmt: skip

UNDECIDED: Final = frozenset({
    "", "?", "-", "na", "n/a", "nan", "null", "unsure", "unclear", "unknown", "undecided",
    "unlabeled", "unlabelled", "not labeled", "not labelled", "uncertain", "unbekannt",
    "unklar", "offen",
})  # fmt: skip
WAITING: Final = frozenset({"open", "pending"})
"""Not decided yet, unless names of defects stand beside them: an open circuit is one."""

NOT: Final = words("no not non kein keine nicht without ohne sans sin")
_NEGATED = re.compile(rf"(?:(?:{'|'.join(sorted(NOT))}) |(?:non|not) ?)(?P<rest>.+)")


def tidy(word: object) -> str:
    """Return a word as the vocabulary has it.

    Examples
    --------
    >>> tidy(" Not_Fraud "), tidy("n.i.O."), tidy("Défaut"), tidy(1.0)
    ('not fraud', 'nio', 'defaut', '1')
    """
    text = " ".join(re.sub(r"[_-]", " ", plain(str(word)).casefold()).split()) or str(word).strip()
    if re.fullmatch(r"-?\d+\.0+|-?\d+", str(word).strip()):
        return str(word).strip().partition(".")[0]
    return text if re.search(r"\d", text) else text.replace(".", "").strip() or text


@cache
def says_anomaly(word: str) -> bool | None:
    """Tell what a word that is `tidy` says; None where that is not known.

    Examples
    --------
    >>> says_anomaly("fraud"), says_anomaly("not fraud"), says_anomaly("verified")
    (True, False, None)
    """
    if word in ANOMALY_WORDS or word in YES:
        return True
    if word in NORMAL_WORDS or word in NO:
        return False
    negated = _NEGATED.fullmatch(word)
    if negated is None or negated["rest"] in YES | NO:
        return None
    meant = says_anomaly(negated["rest"])
    return None if meant is None else not meant


def has(text: str, meant: frozenset[str]) -> bool:
    """Tell whether a text has one of some words, or is one written as "n.i.O."."""
    return not meant.isdisjoint(words_of(text)) or re.sub(r"[. /]", "", text) in meant


def denies(text: str) -> bool:
    """Tell whether a text denies an anomaly, as "no failure" does."""
    return has(text, NOT | {"none"}) and has(text, EVENTS | HARM | SLIPS)


def is_plainly_normal(text: str) -> bool:
    """Tell whether a text speaks of no anomaly, whatever its column is called."""
    return denies(text) or (
        has(text, PLAIN_NORMAL) and not has(text, NOT | {"none"} | PLAIN_ANOMALY)
    )

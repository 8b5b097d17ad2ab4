"""What words say of an item: an anomaly, normal, or not known. The one vocabulary of labels.

Columns of labels and reviewers' verdicts are read by it. Case, spaces, hyphens, underscores and
dots do not matter, and "no fraud", "not ok" or "kein Fehler" say the contrary of what follows.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from vae_anomaly.data.tables.cells import FALSE_WORDS, TRUE_WORDS

YES: Final = TRUE_WORDS | {"ja", "j", "wahr", "oui", "vrai", "sí", "si"}
NO: Final = FALSE_WORDS | {"nein", "falsch", "non", "faux"}
GOOD_NAMES: Final = frozenset({"good", "ok", "normal"})  # of folders and kinds, too
NAMES_OF_NORMAL: Final = GOOD_NAMES | {
    "okay", "benign", "gut", "io", "in ordnung", "gutteil", "fehlerfrei", "defect free", "none",
}  # fmt: skip
"""Words beside which any other is the name of a kind of anomaly."""
NORMAL_WORDS: Final = NAMES_OF_NORMAL | {
    "legit", "legitimate", "legal", "genuine", "authentic", "clean", "fine", "healthy", "intact",
    "inlier", "regular", "usual", "pass", "passed", "accept", "accepted", "approved", "conforming",
    "compliant", "negative", "success", "ham", "cleared", "correct",
    "fp", "tn", "false alarm", "false positive", "true negative",
    "legitim", "echt", "unauffällig", "unauffaellig", "bestanden", "fehlalarm",
}  # fmt: skip
ANOMALY_WORDS: Final = frozenset({
    "anomaly", "anomalies", "anomalous", "abnormal", "outlier", "irregular", "unusual", "novelty",
    "fraud", "fraudulent", "frauds", "scam", "chargeback", "counterfeit", "fake", "forged",
    "defect", "defective", "defects", "bad", "nok", "ng", "fail", "failed", "failure", "fault",
    "faulty", "broken", "damaged", "scrap", "reject", "rejected", "nonconforming", "positive",
    "attack", "intrusion", "malicious", "malware", "malignant", "phishing", "spam", "infected",
    "confirmed", "confirm", "tp", "fn", "true alarm", "true positive", "false negative",
    "confirmed fraud", "confirmed defect",
    "anomal", "anomalie", "auffällig", "auffaellig", "defekt", "schlecht", "schlechtteil", "nio",
    "fehler", "fehlerhaft", "ausschuss", "betrug", "betrügerisch", "betruegerisch", "angriff",
    "durchgefallen", "bestätigt", "bestaetigt",
})  # fmt: skip
UNDECIDED: Final = frozenset({
    "", "?", "-", "na", "n/a", "nan", "null", "unsure", "unclear", "unknown", "undecided",
    "unlabeled", "unlabelled", "not labeled", "not labelled", "uncertain", "unbekannt",
    "unklar", "offen",
})  # fmt: skip
WAITING: Final = frozenset({"open", "pending"})
"""Not decided yet, unless names of defects stand beside them: an open circuit is one."""

_NEGATED = re.compile(r"(?:(?:no|not|kein|keine|nicht|without|ohne) |(?:non|not) ?)(?P<rest>.+)")


def tidy(word: object) -> str:
    """Return a word as the vocabulary has it.

    Examples
    --------
    >>> tidy(" Not_Fraud "), tidy("n.i.O."), tidy(1.0)
    ('not fraud', 'nio', '1')
    """
    text = " ".join(re.sub(r"[_-]", " ", str(word).casefold()).split()) or str(word).strip()
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

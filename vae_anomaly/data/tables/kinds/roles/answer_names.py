"""Words that columns of answers are called by, beside those for anomalies themselves.

In small letters, without accents, in the languages that people's tables are written in.
"""

from __future__ import annotations

from typing import Final

from vae_anomaly.data.tables.label_words import EVENTS, HARM, SLIPS
from vae_anomaly.data.tables.name_words import words

PLURALS: Final = words("frauds anomalies outliers attacks intrusions chargebacks defects failures")
KINDS_OF_EVENTS: Final = words(
    "cat category subcategory type kind class label scenario family mode"
)
HINTS: Final = words(  # too often something else to be left out for it
    "default defaulted flag flagged alert alarm difficulty"
)
ANSWERS: Final = words(
    "label labels labelled labeled lable target y groundtruth ground truth gt annotation etiqueta "
    "zielvariable 标签"
)
OUTCOMES: Final = words(
    "class classes classification klasse klasa clase classe outcome result results response "
    "diagnosis verdict decision befund ergebnis quality qualitat inspection pass fail failed "
    "passed ok good normal benign legit genuine healthy inlier"
)
PARTICLES: Final = words(
    "is was has have had be ist hat est es flag flagged found reported detected confirmed "
    "potential ind indicator yn p f tx txn binary bool multi detailed true the a of in cat "
    "category type kind kinds class classes label labels status state scenario name id code final "
    "actual real event case row column col var variable value data"
)
THINGS: Final = words(
    "machine system product part transaction card payment loan credit device unit item"
)
RATINGS: Final = words("risk rating")  # of words for both sides: good and bad
FUTURE: Final = words("next future within upcoming will")
LATER: Final = words("default churn")  # events where the name says that they are still to come
OTHERWISE: Final = words(
    "score scores rate rates ratio prob probability proba risk pct percent percentage share count "
    "counts num number nr anzahl nombre numero amount sum betrag cost costs loss losses "
    "temperature temp speed pressure setpoint size weight width height length distance position "
    "torque volume angle load price density depth area diameter energy "
    "voltage current frequency qty quantity rpm days day hours hour minutes age time date "
    "datetime timestamp since last previous prev prior past earlier historic historical history "
    "hist ever before months years year month method limit threshold insurance protection "
    "prevention monitoring department team rule check checks checked screening avg mean max min "
    "std level grade index tolerance model version vendor provider policy allowed enabled "
    "supported tested detector budget"
)
ALL_OF_NAMES: Final = frozenset().union(
    EVENTS, HARM, KINDS_OF_EVENTS, SLIPS, HINTS, ANSWERS, OUTCOMES, PARTICLES, THINGS, OTHERWISE,
    RATINGS, FUTURE, LATER,
)  # fmt: skip

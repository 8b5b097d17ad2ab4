"""Words that columns of answers are called by, and words that such columns hold.

In small letters, without accents, in the languages that people's tables are written in.
"""

from __future__ import annotations

from typing import Final

from vae_anomaly.data.tables.kinds.roles.name_words import words

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
HARM: Final = words(  # also said of a part, a pulse, a sensor: no answer by the cells alone
    "failure failures breakdown abnormal abnormality ausfall maschinenausfall storung stoerung "
    "panne defaillance averia fallo falla guasto uitval storing awaria сбой 故障"
)
PLURALS: Final = words("frauds anomalies outliers attacks intrusions chargebacks defects failures")
KINDS_OF_EVENTS: Final = words(
    "cat category subcategory type kind class label scenario family mode"
)
SLIPS: Final = words(
    "fault faults faulty error fehler fehlerhaft erreur defaut fout fel suspicious suspect bad nok "
    "nio bankrupt bankruptcy churn churned"
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
NORMAL_ONES: Final = words(
    "normal benign good ok okay legit legitimate genuine healthy inlier conforming pass passed "
    "gut io nonfraud nonfraudulent"
)
BENIGN: Final = words("benign legit legitimate inlier nonfraud nonfraudulent")
TELLTALE: Final = EVENTS | words(
    "malignant nok nio ng fake forged broken dos ddos backdoor injection xss portscan bruteforce "
    "mitm trojan worm exploit exploits fuzzers shellcode neptune smurf"
)
BAD: Final = TELLTALE | HARM | words("bad fail failed reject rejected suspicious faulty")
NOT: Final = words("no not non none kein keine without ohne sans sin")
PARTICLES: Final = words(
    "is was has have had be ist hat est es flag flagged found reported detected confirmed "
    "potential ind indicator yn p f tx txn binary bool multi detailed true the a of in cat "
    "category type kind kinds class classes label labels status state scenario name id code final "
    "actual real event case row column col var variable value data"
)
THINGS: Final = words(
    "machine system product part transaction card payment loan credit device unit item"
)
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
ALL_OF_LABELS: Final = frozenset().union(
    EVENTS, HARM, KINDS_OF_EVENTS, SLIPS, HINTS, ANSWERS, OUTCOMES, PARTICLES, THINGS, OTHERWISE,
    FUTURE, LATER,
)  # fmt: skip

"""Words by which folders and kinds call images good, defective, or a part for training or test.

Words are kept without accents, blanks and signs, in small letters, as `fold` writes them. A *plain*
word tells by itself, whatever stands beside it (``OK_front``); of the others, which are names of
things as well (a clean room, a thread), the whole name must be made.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_LETTERS: Final = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "\u0131": "i"})


def fold(text: str) -> str:
    """Write a word in small letters without accents, however it is encoded.

    Examples
    --------
    >>> fold("Défaut"), fold("Zły"), fold("\uff2f\uff2b")
    ('defaut', 'zly', 'ok')
    """
    apart = unicodedata.normalize("NFKD", text.replace("ß", "ss").translate(_LETTERS))
    return "".join(sign for sign in apart if not unicodedata.combining(sign)).casefold()


def _words(text: str) -> frozenset[str]:
    return frozenset(fold(text).split())


GOOD: Final = _words(
    # English, and what the field's data sets and their exports write
    "good ok okay normal normals nominal acceptable accepted approved conforming conform compliant "
    "faultless flawless undamaged undefective "
    # German, Dutch, Danish, Swedish
    "gut gute guten gutes gutteil gutteile fehlerfrei fehlerlos mangelfrei inordnung unauffallig "
    "unauffaellig unbeschadigt unbeschaedigt einwandfrei goed goede goedgekeurd godkendt godkand "
    # French, Spanish, Italian, Portuguese
    "bon bons bonne bonnes conforme conformes bueno buenos buena buenas aceptado aceptados "
    "aprobado aprobados buono buoni buona buone conformi bom boa boas "
    # Polish, Czech, Hungarian, Turkish, Russian, Ukrainian
    "dobry dobre dobra sprawny sprawne prawidlowy prawidlowe spravny megfelelo iyi saglam "
    "hatasiz kusursuz годный годные годен хороший хорошие норма исправный исправные добрий "
    "добрі "
    # Chinese, Japanese, Korean
    "良品 良 好品 合格 合格品 正常 正常品 无缺陷 無缺陷 無欠陥 无瑕疵 欠陥なし "
    "정상 정상품 양품 합격 합격품"
)
GOOD_ALONE: Final = _words(
    "pass passed accept accepts acc clean fine "
    "intact perfect healthy correct sound golden io jo bien sain sains "
    "correcto correctos bestanden"
)
DEFECT: Final = _words(
    "bad defect defects defective defectives defected def anomaly anomalies anomalous abnormal "
    "abnormals abnormality abnormalities faulty fault faults fail fails failed failure failures "
    "ng nok ko nio reject rejects rejected rej scrap scrapped damage damages damaged broken crack "
    "cracks cracked scratch scratches scratched dent dents dented contamination contaminated "
    "corrosion corroded rust rusty blowhole blowholes porosity burr burrs chipped deformed "
    "deformation flaw flaws flawed imperfect rotten invalid nonconforming nonconformity "
    "nonconform unacceptable "
    "schlecht schlechte schlechten schlechtes schlechtteil schlechtteile fehler fehlerhaft "
    "fehlerhafte fehlteil fehlteile defekt defekte defekten ausschuss schrott mangel maengel "
    "mangelhaft kaputt riss risse kratzer delle dellen beschadigt beschaedigt anomalie anomalien "
    "auffallig auffaellig anomal slecht slechte afkeur afgekeurd kapot dalig trasig felaktig fejl "
    "mauvais mauvaise mauvaises defaut defauts defectueux defectueuse defectueuses rebut rebuts "
    "nonconforme nonconformes rayure rayures fissure fissures malo malos mala malas defecto "
    "defectos defectuoso defectuosos defectuosa defectuosas rechazo rechazos rechazado rechazados "
    "roto rotos grieta grietas anomalia anomalias difetto difetti difettoso difettosi difettosa "
    "difettose scarto scarti cattivo cattivi guasto guasti nonconformi graffio graffi crepa crepe "
    "ruim ruins defeito defeitos defeituoso defeituosos rejeitado rejeitados "
    "zly zle zla wada wady wad wadliwy wadliwe wadliwa uszkodzony uszkodzone odrzut odrzuty "
    "vada vady vadny vadne spatny spatne hibas rossz selejt hatali kusurlu bozuk "
    "брак браки бракованный бракованные дефект дефекты дефектный дефектные плохой плохие "
    "неисправный неисправные поганий погані "
    "不良 不良品 不合格 不合格品 次品 残次品 缺陷 有缺陷 缺陷品 "
    "异常 異常 不正常 非正常 瑕疵 废品 坏品 欠陥 欠陥品 "
    "불량 불량품 불합격 불합격품 비정상 결함 이상"
)
DEFECT_ALONE: Final = _words(
    "hole holes cut cuts color colour thread fold glue liquid poke bent squeeze misplaced missing "
    "print spot spots stain stains void voids pit pits pitted inclusion inclusions patch patches "
    "crazing bubble bubbles wrinkle wrinkles tear torn burn burnt burned chip chips warp warped "
    "oil dirt dust particle particles smear smears fray break uneven casse fel vika"
)
"""Kinds of defects that are names of things as well."""

NEGATORS: Final = _words(
    "no not non nicht kein keine ohne sans sin senza bez sem nao nie ne geen niet zonder не без"
)
FREE: Final = _words("free frei libre less los")
"""After a word for defects: free of them."""

FILLERS: Final = _words(
    "part parts piece pieces image images img imgs sample samples picture pictures pic pics photo "
    "photos dir folder set data dataset class item items product products public private mixed "
    "the of and no nr teil teile bild bilder aufnahme aufnahmen pieza piezas imagen imagenes pezzo "
    "pezzi immagine immagini zdjecia pecas imagens stuk stuks 图片 图像 画像 品 이미지 품"
)
"""Says nothing of the images that it names."""

PARTS: Final = {
    **dict.fromkeys(
        _words(
            "train training trainset traindata entrainement apprentissage entrenamiento "
            "addestramento treino treinamento 训练 训练集 学習 訓練 학습 훈련"
        ),
        "train",
    ),
    **dict.fromkeys(
        _words(
            "test tests testing testset testdata prueba pruebas testdaten 测试 测试集 テスト 테스트"
        ),
        "test",
    ),
    **dict.fromkeys(
        _words("val valid validation validacion validazione validierung 验证 验证集 検証 검증"),
        "val",
    ),
}
"""The parts that a data set is split into."""

UNSORTED: Final = _words(
    "unsorted none unknown unlabeled unlabelled unclear undecided unsure review pending todo misc "
    "inbox unsortiert unbekannt unklar offen pseudofehler pseudoausschuss overkill underkill "
    "production produktion archive archiv backup raw new neu old alt all alle original "
    "originals originale temp tmp"
)
FALSE: Final = _words("false pseudo")
"""Before a word for a class: what was sorted wrongly (false rejects), no class of its own."""
CODES: Final = _words(
    "pos neg positive negative positives negatives positiv negativ yes no true false"
)
"""Pairs of these tell two classes apart, but not which of the two is good."""

CODED: Final = _words("class classes cls label category klasse klassen classe clase kategorie")
"""With a number or letter, the code of a class."""

VIEWPOINTS: Final = _words(
    "l r cam cams camera cameras kamera kameras camara view views left right top bottom front back "
    "rear side sides upper lower inner outer inside outside middle center centre links rechts oben "
    "unten vorn vorne hinten mitte seite gauche droite haut bas line lane linie ligne linea line "
    "station machine maschine robot cell nest cavity kavitat kavitaet spindle nozzle lot lots "
    "batch batches charge los shift schicht day night tag nacht morning evening week month monday "
    "tuesday wednesday thursday friday saturday sunday north south east west nord sud ost angle "
    "exposure light lighting illumination gain lens mono rgb ir nir uv bright dark field fov mode "
    "speed coil roll wafer panel board sheet frame"
)
"""Where, when or how images were taken: no class."""

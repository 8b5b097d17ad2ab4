"""The facts of a model as Markdown, in the layout of a model card.

The headings are those of the model-card template of Hugging Face, in its order; one that would have
nothing below it is left out.

References
----------
Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from vae_anomaly.detectors.images.fit.self_test import found_table
from vae_anomaly.names import legible
from vae_anomaly.reports.facts.model import ModelFacts
from vae_anomaly.reports.facts.training import EvaluationFacts, KindRate
from vae_anomaly.reports.pages.model import FIGURE_NAMES
from vae_anomaly.reports.pages.numbers import day, minute, percent, share_interval, thousands
from vae_anomaly.words import number_of

_SHARES: Final = ("recall", "fpr", "precision", "fpr_at_95_tpr")
_SPECIAL: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]|<>#~"})
_MOST_STRANGE: Final = 10


def model_card(facts: ModelFacts) -> str:
    """Return the card of a model: Markdown with a head of YAML.

    Whatever names and cells hold is shown as it is: no sign of theirs is read as Markdown or HTML.
    """
    parts = [
        _head(facts),
        [f"# Model card for {_plain(facts.name)}", _plain(facts.summary)],
        ["## Model details", *_details(facts)],
        ["## Uses", *_uses(facts)],
        ["## Bias, risks and limitations", *_limits(facts)],
        ["## How to get started with the model", *_commands(facts, exclude="train it again")],
        ["## Training details", *_training(facts)],
        ["## Evaluation", *_evaluation(facts)],
        ["## Calibration", *_calibration(facts)],
        ["## Threshold", *_threshold(facts)],
        ["## Technical specifications", *_technical(facts)],
        ["## How to reproduce", *_reproduce(facts)],
    ]
    return "\n\n".join(legible(text) for text in chain.from_iterable(parts)) + "\n"


def _head(facts: ModelFacts) -> list[str]:
    tags = [
        "anomaly-detection",
        "variational-autoencoder",
        "images" if facts.kind == "image" else "tabular",
    ]
    lines = ["---", "library_name: vae-anomaly", "tags:", *(f"- {tag}" for tag in tags), "---"]
    return ["\n".join(lines)]


def _details(facts: ModelFacts) -> Iterator[str]:
    what = "images" if facts.kind == "image" else "rows of a table"
    rows = [
        (
            "Model type",
            f"variational autoencoder that flags anomalous {what}, trained on normal ones",
        ),
        ("Version", "" if facts.version is None else str(facts.version)),
        ("Aliases", ", ".join(f"@{alias}" for alias in facts.aliases)),
        ("Registered", minute(facts.created) if facts.created else ""),
        ("Saved by", f"vae-anomaly {facts.package_version}" if facts.package_version else ""),
        ("Digest", facts.digest),
    ]
    yield _list(f"**{name}:** {_plain(value)}" for name, value in rows if value)


def _uses(facts: ModelFacts) -> Iterator[str]:
    yield from ("### Direct use", _list(map(_plain, facts.uses)))
    yield from ("### Out-of-scope use", _list(map(_plain, facts.out_of_scope)))


def _limits(facts: ModelFacts) -> Iterator[str]:
    yield _list(map(_plain, facts.limits))
    if facts.notices:
        told = (f"{one.text} {one.remedy}".strip() for one in facts.notices)
        yield from ("### Recommendations", _list(map(_plain, told)))
    if facts.unknown:
        yield from ("### Not known", _list(map(_plain, facts.unknown)))


def _commands(facts: ModelFacts, exclude: str) -> Iterator[str]:
    lines = [f"# {what}\n{text}" for what, text in facts.commands if what != exclude]
    yield _code("\n".join(lines))


def _training(facts: ModelFacts) -> Iterator[str]:
    yield from ("### Training data", *_data(facts))
    if facts.columns:
        yield "### Schema"
        yield _table(
            ("column", "kind", "training had"),
            [(c.name, c.kind, c.shown if c.is_read else "not read") for c in facts.columns],
        )
    yield "### Training hyperparameters"
    yield _table(("parameter", "value"), list(facts.parameters))
    yield from _strangest(facts)


def _data(facts: ModelFacts) -> Iterator[str]:
    card, lines = facts.training, [f"{number_of(facts.n_normals, f'normal {facts.noun}')}"]
    if card is not None:
        lines.append(f"read: {_plain(card.source)}")
        if card.n_labelled:
            lines.append(f"labelled as anomalies, left out: {thousands(card.n_labelled)}")
        lines += [f"{_plain(s.column)}: {day(s.first)} to {day(s.last)}" for s in card.spans]
        lines += [f"not used: {thousands(n)} ({_plain(why)})" for why, n in card.passed_over]
        lines.append(f"groups: {thousands(card.n_groups) if card.n_groups else 'none told'}")
    if facts.left_out:
        named = "; ".join(map(str, facts.left_out[:_MOST_STRANGE]))
        lines.append(f"left out as outliers: {len(facts.left_out)} ({_plain(named)})")
    lines += [_plain(one) for one in facts.recalibrated]
    if "sha256" in facts.fingerprint:
        lines.append(f"SHA-256 of the data: {facts.fingerprint['sha256']}")
    yield _list(lines)


def _strangest(facts: ModelFacts) -> Iterator[str]:
    items = () if facts.training is None else facts.training.strangest[:_MOST_STRANGE]
    if items:
        yield "### Strangest training items"
        yield (
            "As they were judged before the model had seen them. A defect among the good ones "
            "would stand here."
        )
        rows = [(one.id, f"{one.score:.2f}", "; ".join(one.reasons) or one.words) for one in items]
        yield _table(("item", "score", "why"), rows)


def _evaluation(facts: ModelFacts) -> Iterator[str]:
    if facts.found:
        head, rows = found_table(facts.found)
        yield "### Synthetic defects found, in 100"
        yield _table(head, rows)
    if facts.self_test:
        yield _plain(facts.self_test)
    if not facts.evaluations:
        yield "Nothing with labels is on record: how many anomalies this model finds is not known."
    for one in facts.evaluations:
        yield from _measured(one)


def _measured(one: EvaluationFacts) -> Iterator[str]:
    when = f", {day(one.when)}" if one.when else ""
    yield f"### On {_plain(one.source or 'labelled items')}{when}"
    normal, odd = (
        number_of(one.n_normals, "normal item"),
        number_of(one.n_anomalies, "anomaly", "anomalies"),
    )
    yield f"{normal} and {odd}."
    rows = [(FIGURE_NAMES.get(name, name), _figure(name, one)) for name, _ in one.figures]
    yield _table(("figure", "value (95 % interval)"), rows)
    if one.kinds:
        yield _shares("kind", one.kinds)
    for column, alarms, finds in one.by:
        yield from (_shares(f"{column}: {what}", rows) for what, rows in
                    (("false alarms", alarms), ("finds", finds)) if rows)  # fmt: skip


def _figure(name: str, one: EvaluationFacts) -> str:
    value = dict(one.figures)[name]
    if name in _SHARES:
        return share_interval(value)
    if value.low == value.high:
        return f"{value.estimate:.3f}"
    return f"{value.estimate:.3f} ({value.low:.3f} to {value.high:.3f})"


def _calibration(facts: ModelFacts) -> Iterator[str]:
    held = facts.held_out
    yield (
        f"{number_of(facts.n_held_out, f'normal {facts.noun}')} were held out. Whether they keep "
        f"the rates that scores state: {held.how}."
    )
    if held.rates:
        yield _table(
            ("stated", "reached (95 % interval)", "beyond"),
            [
                (percent(r.stated), share_interval(r.reached), f"{r.beyond:,} of {r.n:,}")
                for r in held.rates
            ],
        )
    if held.groups:
        yield _table(
            ("group", "items", f"beyond a stated {percent(held.group_rate)}"),
            [(g.name, thousands(g.n), share_interval(g.reached)) for g in held.groups],
        )


def _threshold(facts: ModelFacts) -> Iterator[str]:
    yield _plain(facts.threshold_words)
    if facts.events:
        yield _table(
            ("when", "what", "version", "from", "to", "by", "why"),
            [
                (minute(e.when), e.what, e.version, _bound(e.old), _bound(e.new), e.who, e.why)
                for e in facts.events
            ],
        )


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _technical(facts: ModelFacts) -> Iterator[str]:
    seen = "images" if facts.kind == "image" else "the columns of the schema"
    yield (
        f"The model is a folder of JSON and safetensors, without code. It reads {seen}, and gives "
        "a raw score in nats, a conformal p-value against the held-out normals, and the anomaly "
        "score -log10 p, which the threshold is compared with."
    )


def _reproduce(facts: ModelFacts) -> Iterator[str]:
    command = next((text for what, text in facts.commands if what == "train it again"), "")
    pinned = f"pip install vae-anomaly=={facts.package_version}\n" if facts.package_version else ""
    yield _code(f"{pinned}{command}")
    yield (
        f"The same data, seed and machine give the digest {facts.digest}; scores of another "
        "machine agree to a relative 1e-4."
    )


def _shares(head: str, rows: Iterable[KindRate]) -> str:
    cells = [(r.name, thousands(r.n), thousands(r.flagged), share_interval(r.share)) for r in rows]
    return _table((head, "items", "flagged", "share (95 % interval)"), cells)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(map(_plain, head))} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_plain, row))} |" for row in rows)])


def _code(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}bash\n{text}\n{fence}"


def _plain(text: str) -> str:
    """Return text that stays text: in one line, no sign of it read as Markdown or HTML."""
    return " ".join(text.split()).translate(_SPECIAL)

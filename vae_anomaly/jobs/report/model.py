"""Facts of a model's page: from its folder, and from the registry where it has a name there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.detectors.parameters import IMAGE, TABULAR, Parameter
from vae_anomaly.errors import DataError
from vae_anomaly.evaluation.reached import held_out_facts
from vae_anomaly.jobs.report.model_store import StoreFacts, store_facts
from vae_anomaly.jobs.report.model_words import (
    Told,
    limits,
    notices,
    out_of_scope,
    self_test_told,
    summary,
    unknown,
    uses,
)
from vae_anomaly.names import typed
from vae_anomaly.persistence import saved_with
from vae_anomaly.reports.facts.model import ColumnFacts, LatentMap, ModelFacts
from vae_anomaly.reports.facts.training import ColumnRange, HeldOutFacts, TrainingCard
from vae_anomaly.reports.pages.numbers import day
from vae_anomaly.scoring.outliers import LeftOut
from vae_anomaly.state import from_json
from vae_anomaly.storage.addresses import is_remote
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.tracking import ResolvedModel, load, show_model
from vae_anomaly.tracking.store import displayed

if TYPE_CHECKING:
    from vae_anomaly.detectors.protocol import AnyDetector, TableDetector

_MAP_LATENTS: Final = 2
CHAMPION: Final = "champion"
MOST_SCORES: Final = 400
_SELF_TEST: Final = "self_test_auroc"
_MOST_SHOWN: Final = 5


def model_facts(ref: str | Path, uri: str | None = None) -> ModelFacts:
    """Gather what is known of a model.

    Parameters
    ----------
    ref : str or Path
        A model folder, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
    uri : str, optional
        The MLflow store; a folder asks for none.

    Raises
    ------
    ModelRefusedError
        If there is no such model, or it is not what was saved.
    RegistryUnavailableError
        If the store does not answer.
    """
    detector, model = load(ref, uri)
    return facts_of_model(detector, model, store_facts(model, uri), uri=uri)


def is_model(target: str) -> bool:
    """Say whether a name is that of a model: in the registry, or a folder that holds one."""
    return target.startswith("models:") or Path(on_disk(target), "detector.json").is_file()


def write_model_page(
    ref: str, out: str | Path | None = None, uri: str | None = None
) -> tuple[Path, ModelFacts]:
    """Draw the page of a model.

    Parameters
    ----------
    ref, uri
        As `model_facts`.
    out : str or Path, optional
        Default: ``FOLDER-report.html`` beside a model folder, which holds nothing but the model;
        ``NAME-VERSION-report.html`` here for a registered one.

    Returns
    -------
    path, facts : Path, ModelFacts
        Where it lies, and what it shows.
    """
    from vae_anomaly.reports.pages.model import model_page
    from vae_anomaly.reports.pages.page import write_page

    facts = model_facts(ref, uri)
    beside = Path(f"{facts.name}-{facts.version}-report.html")
    if facts.version is None and is_remote(ref):
        beside = Path(f"{facts.name}-report.html")
    elif facts.version is None:
        folder = Path(ref).resolve()
        beside = folder.with_name(f"{folder.name}-report.html")
    return write_page(model_page(facts), out or beside), facts


def facts_of_saved(folder: str | Path, name: str) -> ModelFacts:
    """Gather what a model folder knows of itself, under the name that it will be registered by."""
    detector, model = load(folder)
    facts = facts_of_model(detector, replace(model, ref=f"models:/{name}@{CHAMPION}"), name=name)
    return replace(facts, ref=f"models:/{name}@{CHAMPION}")


def described_model(name: str, uri: str | None = None) -> str:
    """Return which model a name means: itself, the champion of the name, or its latest version.

    Raises
    ------
    ModelRefusedError
        If there is neither a folder nor a registered model of that name.
    """
    if is_model(name):
        return name
    card = show_model(name, uri)
    if CHAMPION in card.aliases or not card.versions:
        return f"models:/{name}@{CHAMPION}"
    return f"models:/{name}/{card.versions[0].version}"


def facts_of_model(
    detector: AnyDetector,
    model: ResolvedModel,
    store: StoreFacts | None = None,
    name: str = "",
    uri: str | None = None,
) -> ModelFacts:
    """Gather what a detector knows of itself, with what a store adds; commands name ``uri``."""
    store = store or StoreFacts()
    training, damaged = _training(detector)
    held_out = training.held_out if training and training.held_out else _held_out(detector)
    own = () if training is None or training.evaluation is None else (training.evaluation,)
    evaluations = (*store.evaluations, *own)
    told = Told(detector, training, held_out, evaluations)
    called = name or model.name or Path(model.ref).resolve().name
    n_normals = training.n_normals if training else _n_normals(detector)
    return ModelFacts(
        name=called,
        ref=model.ref,
        version=model.version,
        aliases=store.aliases,
        kind=detector.kind,
        noun=told.noun,
        digest=model.digest,
        package_version=saved_with(model.path),
        created=store.created,
        store=store.store,
        summary=summary(told, called, n_normals),
        parameters=_parameters(detector),
        n_normals=n_normals,
        n_held_out=detector.calibration_.n,
        fingerprint=dict(detector.fingerprint_),
        columns=_columns(detector, training),
        left_out=_left_out(detector),
        self_test=self_test_told(told),
        self_test_auroc=None if told.found else detector.metrics_.get(_SELF_TEST),
        found=told.found,
        threshold=detector.threshold_.to_dict(),
        threshold_words=detector.threshold_.in_words(),
        training=training,
        held_out=held_out,
        held_out_scores=_scores(detector),
        evaluations=evaluations,
        reliability=None if detector.probability_ is None else detector.probability_.to_dict(),
        events=store.events,
        versions=store.versions,
        latent_map=_latent_map(detector, training),
        uses=uses(told),
        out_of_scope=out_of_scope(told),
        limits=limits(told),
        unknown=(*damaged, *unknown(told)),
        notices=notices(told),
        commands=_commands(detector, model, called, uri),
        recalibrated=tuple(map(str, detector.recalibrated_)),
    )


def _training(detector: AnyDetector) -> tuple[TrainingCard | None, tuple[str, ...]]:
    """Return what training kept, and a word on what cannot be read of it."""
    if detector.training_ is None:
        return None, ()
    try:
        return from_json(TrainingCard, detector.training_), ()
    except DataError:
        return None, ("What training kept was written by another version, and is not shown.",)


def _held_out(detector: AnyDetector) -> HeldOutFacts:
    return held_out_facts(detector.calibration_.reference, detector.calibration_groups_)


def _n_normals(detector: AnyDetector) -> int:
    known = (detector.metrics_.get(key) for key in ("n_images", "rows"))
    return int(next((n for n in known if n is not None), detector.calibration_.n))


def _scores(detector: AnyDetector) -> tuple[float, ...]:
    scores = detector.calibration_.reference_scores()
    if len(scores) > MOST_SCORES:
        scores = np.quantile(scores, np.linspace(0.0, 1.0, MOST_SCORES))
    return tuple(float(f"{score:.5g}") for score in scores)


def _parameters(detector: AnyDetector) -> tuple[tuple[str, str], ...]:
    """Return parameters and values, those that differ from their defaults first."""
    declared = IMAGE if detector.kind == "image" else TABULAR
    told = [(p, getattr(detector, p.name, p.default)) for p in declared]
    changed = [(p.name, _value(p, value)) for p, value in told if value != p.default]
    usual = [(p.name, _value(p, value)) for p, value in told if value == p.default]
    return (*changed, *usual)


def _value(parameter: Parameter, value: object) -> str:
    return parameter.unless or "none" if value is None else str(value)


def _columns(detector: AnyDetector, training: TrainingCard | None) -> tuple[ColumnFacts, ...]:
    if detector.kind != "tabular":
        return ()
    ranges = {} if training is None else {one.name: one for one in training.columns}
    spans = {} if training is None else {one.column: one for one in training.spans}
    known, pasts = detector.known_values_, _beside_pasts(detector)
    read = {column.name for column in detector.schema_.features}
    return tuple(
        ColumnFacts(
            name=column.name,
            kind=column.kind.value,
            is_read=column.name in read,
            note=column.note,
            shown=(
                f"{day(spans[column.name].first)} to {day(spans[column.name].last)}"
                if column.name in spans
                else pasts.get(column.name)
                or _shown(ranges.get(column.name), known.get(column.name, ()))
            ),
            missing=ranges[column.name].missing if column.name in ranges else None,
        )
        for column in detector.schema_.columns
    )


def _beside_pasts(detector: TableDetector) -> dict[str, str]:
    """Return what is usual in the columns that compare a row with the past of its entities."""
    from vae_anomaly.detectors import TabularVAEDetector
    from vae_anomaly.detectors.tabular.encode.columns import NumericColumn
    from vae_anomaly.detectors.tabular.reasons.entities import entity_columns

    if not isinstance(detector, TabularVAEDetector):
        return {}
    entities = entity_columns(detector.entities_)
    return {
        one.name: entities[one.name].usual(one)
        for one in detector.model_.encoder.columns
        if one.name in entities and isinstance(one, NumericColumn)
    }


def _shown(column: ColumnRange | None, values: tuple[str, ...]) -> str:
    """Say what a column has: a range, or its most frequent values."""
    if column is not None and column.low:
        return f"{column.low} to {column.high}, half below {column.middle}"
    if column is not None and column.frequent:
        values = tuple(value for value, _ in column.frequent)
    if not values:
        return ""
    n = max(len(values), 0 if column is None else column.n_values)
    more = f" and {n - _MOST_SHOWN:,} more" if n > _MOST_SHOWN else ""
    return f"{', '.join(values[:_MOST_SHOWN])}{more}"


def _left_out(detector: AnyDetector) -> tuple[LeftOut, ...]:
    """Return what was left out; rows without their ids, which are cells of an identifier."""
    if detector.kind == "image" or detector.schema_.id_column is None:
        return tuple(detector.left_out_)
    return tuple(
        replace(item, id=f"row left out {number}")
        for number, item in enumerate(detector.left_out_, start=1)
    )


def _latent_map(detector: AnyDetector, training: TrainingCard | None) -> LatentMap | None:
    means = detector.training_means()
    if means is None or means.shape[1] < _MAP_LATENTS:
        return None
    axes = list(training.map_axes) if training and training.map_axes else None
    if axes is None or max(axes) >= means.shape[1]:
        axes = detector.leading_latents(_MAP_LATENTS)
    points = tuple((float(f"{x:.3g}"), float(f"{y:.3g}")) for x, y in means[:, axes].tolist())
    marked = (
        ()
        if training is None
        else zip(training.strangest, training.strangest_latents, strict=False)
    )
    return LatentMap(
        axes=(f"latent {axes[0]}", f"latent {axes[1]}"),
        points=points,
        marked=tuple((item.id, place[0], place[1]) for item, place in marked),
    )


def _commands(
    detector: AnyDetector, model: ResolvedModel, name: str, uri: str | None
) -> tuple[tuple[str, str], ...]:
    store = f" --tracking-uri {typed(displayed(uri))}" if uri and model.name is not None else ""
    state = "" if detector.kind == "image" or detector.entities_ is None else " --state flags/"
    kind, ref = "images" if detector.kind == "image" else "table", model.ref
    registered = f"--name {typed(name)}" if model.name is not None else "--out DIR --no-register"
    train = " ".join(["vae-anomaly train", kind, "INPUT", registered, *_options(detector)])
    new = "NEW_IMAGES/" if detector.kind == "image" else "NEW_ROWS"
    labels = "" if detector.kind == "image" else " --labels COLUMN"
    return (
        ("score new items", f"vae-anomaly score {kind} {typed(ref, new)} --out flags/{store}"),
        ("explain one", f"vae-anomaly inspect {typed(ref)} ITEM{state}{store}"),
        ("measure on labels", f"vae-anomaly evaluate {typed(ref)} INPUT{labels} --log{store}"),
        (
            "choose another threshold",
            f"vae-anomaly threshold tune {typed(ref)} --target-fpr 0.005{store}",
        ),
        ("check its files", f"vae-anomaly models verify {typed(ref)}{store}"),
        ("train it again", f"{train}{store}"),
    )


def _options(detector: AnyDetector) -> list[str]:
    """Return the options that made the detector, where they are not the defaults."""
    declared = IMAGE if detector.kind == "image" else TABULAR
    own = [
        _option(p, getattr(detector, p.name, p.default)) for p in declared if _differs(p, detector)
    ]
    if detector.kind == "image" or detector.entities_ is None:
        return own
    return [*own, typed(*detector.entities_.columns.options)]


def _differs(parameter: Parameter, detector: AnyDetector) -> bool:
    value = getattr(detector, parameter.name, parameter.default)
    usual = parameter.default if parameter.option_default is None else parameter.option_default
    return value is not None and value != usual and parameter.name != "device"


def _option(parameter: Parameter, value: object) -> str:
    return f"{parameter.flag} {typed(str(value))}"

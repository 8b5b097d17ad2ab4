"""Each parameter of both detectors, declared once.

The checks of both wings, the options of ``vae-anomaly train``, the keys below ``[detector]`` of a
pipeline's TOML file and docs/parameters.md are made from these; a test holds the signatures of the
detectors to them. The page is printed by ``python -m vae_anomaly.detectors.parameters``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import nan
from numbers import Integral, Real
from typing import Final

from vae_anomaly.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class OneOf:
    """One of some words or numbers.

    Parameters
    ----------
    values : tuple of str or int
    refused : mapping of str to str
        What one might expect among them: why it is not, and what to take.
    """

    values: tuple[str | int, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """What is allowed, to follow "must be"."""
        return f"one of {', '.join(map(str, self.values))}"

    def allows(self, value: object) -> bool:
        """Say whether a value is one of them."""
        return isinstance(value, str | Integral) and value in self.values

    def end(self, value: object) -> str:
        """Return what to take instead, to follow the value that was received."""
        if str(value) in self.refused:
            return f". {self.refused[str(value)]}"
        return f"{did_you_mean(str(value), map(str, self.values))}."


@dataclass(frozen=True)
class Whole:
    """A whole number from ``least`` to ``most``, and a multiple of ``multiple``."""

    least: int
    multiple: int = 1
    most: int | None = None

    @property
    def words(self) -> str:
        """What is allowed, to follow "must be"."""
        if self.multiple > 1:
            return f"a multiple of {self.multiple} of at least {self.least}"
        if self.most is not None:
            return f"an int from {self.least} to {self.most}"
        return f"an int >= {self.least}"

    def allows(self, value: object) -> bool:
        """Say whether a value is such a number; 64.0 is one, too."""
        number = _number(value)
        above = self.most is not None and number > self.most
        return number >= self.least and number % self.multiple == 0 and not above


@dataclass(frozen=True)
class Number:
    """A number of at least ``low``, or above it; and of at most ``high``, or below it."""

    low: float
    high: float | None = None
    above: bool = False
    below: bool = False

    @property
    def words(self) -> str:
        """What is allowed, to follow "must be"."""
        if self.high is None:
            return f"a number >{'' if self.above else '='} {self.low:g}"
        ends = "(" if self.above else "[", ")" if self.below else "]"
        return f"a number in {ends[0]}{self.low:g}, {self.high:g}{ends[1]}"

    def allows(self, value: object) -> bool:
        """Say whether a value is such a number; NaN is none."""
        number = _number(value)
        low = number > self.low if self.above else number >= self.low
        high = self.high is None or (number < self.high if self.below else number <= self.high)
        return low and high


def _number(value: object) -> float:
    """Return a number, and NaN for what is none."""
    try:
        return nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return nan


@dataclass(frozen=True)
class Text:
    """What is written as text in commands and files, and checked where it is used.

    It names a file where it ends with one of ``endings``; the empty one is the end of all.
    """

    words: str
    endings: tuple[str, ...] = ()

    def allows(self, value: object) -> bool:
        """Allow everything: whether there is such a column or device, the input tells."""
        return True


@dataclass(frozen=True)
class Switch:
    """Something that is done or not."""

    words: str = "a bool"

    def allows(self, value: object) -> bool:
        """Say whether a value is True or False."""
        return isinstance(value, bool)


Allowed = OneOf | Whole | Number | Text | Switch


@dataclass(frozen=True)
class Parameter:
    """One parameter of a detector.

    Parameters
    ----------
    name : str
        In Python, and the key below ``[detector]`` of a TOML file.
    allowed : OneOf, Whole, Number, Text or Switch
        What it may be, besides None where that is the default.
    default : str, int, float or None
    help : str
        What it does, in a sentence.
    unless : str
        What None comes to.
    option : str
        Of the command line, where it is not the name with dashes.
    metavar : str
        What stands for the value in the help.
    why, instead : str
        For the message: why it must be so, and what else to do.
    option_default : int, optional
        Where commands differ from Python.
    """

    name: str
    allowed: Allowed
    default: str | int | float | None
    help: str
    unless: str = ""
    option: str = ""
    metavar: str = ""
    why: str = ""
    instead: str = ""
    option_default: int | None = None

    @property
    def flag(self) -> str:
        """The option of the command line, with its dashes."""
        return self.option or f"--{self.name.replace('_', '-')}"

    def is_file(self, value: object) -> bool:
        """Tell whether a value names a file."""
        allowed = self.allowed
        return isinstance(allowed, Text) and str(value).lower().endswith(allowed.endings)

    @property
    def words(self) -> str:
        """What is allowed, to follow "must be"."""
        return self.allowed.words + " or None" * (self.default is None)

    def allows(self, value: object) -> bool:
        """Say whether the value alone has a meaning."""
        return self.allowed.allows(value) or (value is None and self.default is None)

    def fault(self, value: object, owner: str) -> str | None:
        """Say what is wrong with a value for a detector of this name; None where nothing is."""
        if self.allows(value):
            return None
        end = self.allowed.end(value) if isinstance(self.allowed, OneOf) else "."
        return (
            f"The {self.name!r} parameter of {owner} must be {self.words}"
            f"{self.why and ': '}{self.why}. Got {value!r}{end}{self.instead and ' '}{self.instead}"
        )


PRESET_NAMES: Final = ("fast", "default", "thorough")
SCORES: Final = ("fused", "reconstruction", "elbo", "iw_nll", "kl", "latent")
DEVICE: Final = Parameter(
    "device", Text("one of cpu, cuda, cuda:N or auto"), "cpu", metavar="WHERE",
    help="Where a model of images computes: `cpu`, `cuda`, `cuda:N`, or `auto`, a GPU where there "
    "is one.",
)  # fmt: skip
_SHARED: Final = (
    Parameter("preset", OneOf(PRESET_NAMES), "default", "How much work to spend."),
    Parameter("target_fpr", Number(0, 1, above=True, below=True), 0.01,
              "False alarms per normal item that you accept."),
    Parameter("max_steps", Whole(1), None, "Upper bound on optimisation steps.",
              unless="the preset's"),
    Parameter("outliers", OneOf(("drop", "keep")), "drop",
              "Training items that stand far apart from all others: leave them out and name them, "
              "or keep them."),
    Parameter("random_state", Whole(0), None,
              "The same seed and input give the same model on the same machine.",
              unless="a fresh seed", option="--seed", option_default=0),
)  # fmt: skip

TABULAR: Final = (
    Parameter("model", OneOf(
        ("vae", "beta", "denoising", "conditional", "ladder", "autoencoder", "importance_weighted",
         "mixture", "vamp"),
        {"semi_supervised": "It learns classes from labels, and this detector is fitted on normal "
         "rows without any. Use model='conditional' with condition= for a column that is always "
         "known, or train vae_anomaly.vae.variants yourself.",
         "vq": "Its codes lie on a grid that convolutions make, and a row has no grid. Use "
         "model='mixture' for rows that fall into clusters."},
    ), "vae", "Kind of VAE; `vae` suits most tables."),
    Parameter("condition", Text("a categorical or boolean column"), None,
              "For `conditional`: the product, machine, ... of a row.", metavar="COLUMN"),
    Parameter("score", OneOf(SCORES), "fused",
              "Evidence that is calibrated and explained; `fused` is the best."),
    Parameter("beta", Number(0, above=True), None, "Weight of the KL in training.",
              unless="the model's", why="without KL it is no VAE",
              instead="For no KL at all use model='autoencoder'."),
    Parameter("latent_dim", Whole(1), None, "Length of the code.",
              unless="one per feature, at most 32"),
    Parameter("hidden", Whole(1), 64, "Width of the hidden layers."),
    Parameter("memory", Whole(100), None, "Normal rows that the model keeps.",
              unless="the preset's"),
    Parameter("contamination", Number(0, 0.5, below=True), 0.0,
              "Expected share of unmarked anomalies among the rows."),
    *_SHARED,
)  # fmt: skip
"""Parameters of `TabularVAEDetector`, but for ``schema`` and ``column_kinds``: the reading's."""

IMAGE: Final = (
    Parameter("model", OneOf(
        ("bank", "conv", "vae", "beta", "denoising", "autoencoder", "conditional", "vq", "ladder",
         "importance_weighted", "mixture", "vamp"),
        {"semi_supervised": "It learns from labelled classes, and this detector sees good parts "
         "only. Take 'conditional' with condition= for several products, or build it with "
         "vae_anomaly.vae.family."},
    ), "bank", "All but `bank` see 64-pixel images; `conv`, or `vae`, is the plain VAE."),
    Parameter("pose", OneOf(("auto", "fixed", "any")), "auto",
              "For `bank`: parts lie one way, or any quarter turn or mirror image is as good; "
              "`auto` asks the images."),
    Parameter("register", OneOf(("off", "auto", "shift")), "off",
              "Shift parts that move to where the others lie; `auto` asks the images whether it "
              "helps."),
    Parameter("foreground", OneOf(("off", "auto")), "off",
              "Ignore a clearly uniform background; what lies on it is then not seen."),
    Parameter("condition", Text("folder, or a column of the manifest"), None,
              "For `conditional`: what it is told, `folder` or a column of the manifest.",
              metavar="WHERE"),
    Parameter("channels", OneOf((1, 3)), None, "Grey or colour.", unless="as the images are"),
    Parameter("white", Whole(1, most=65535), None,
              "The value that is white in images of 16 bits: 4095 of a camera of 12.",
              unless="by the brightest pixels"),
    Parameter("beta", Number(0), None, "Weight of the KL.", unless="the model's"),
    Parameter("latent_dim", Whole(1), None, "Number of latents.", unless="the model's"),
    Parameter("features", Text("a torch.nn.Module, 'timm:NAME', 'FILE.onnx' or 'auto'", (".onnx",)),
              None,
              "For `bank`: a backbone in the place of the fixed filters, `timm:NAME` or an ONNX "
              "file; `auto`: one whose weights are at hand, else the filters.",
              unless="the filters", metavar="WHICH"),
    Parameter("features_weights", Text("a local file", ("",)), None,
              "Weights of `timm:NAME`, a local .safetensors file; or what `auto` takes.",
              metavar="FILE"),
    Parameter("download", Switch(), False,
              "Fetch the weights of `timm:NAME` once, for this training; nothing is downloaded "
              "unless told.", unless="no"),
    Parameter("image_size", Whole(64, 16), 256,
              "Images are resized to this side, in pixels; a multiple of 16.", option="--size"),
    Parameter("tile_size", Whole(64, 16), None,
              "For large images: cut them into tiles of this side instead of resizing them; a "
              "multiple of 16.", unless="no tiles"),
    Parameter("tile_overlap", Number(0, 0.5), 0.25,
              "Share of a tile's side that the next one shares."),
    Parameter("precision", OneOf(("float32", "bf16")), "float32",
              "Arithmetic of training; scores are float32."),
    DEVICE,
    *_SHARED,
)  # fmt: skip
"""Parameters of `ImageVAEDetector`."""


def faults_of(
    parameters: Iterable[Parameter], values: Mapping[str, object], owner: str
) -> dict[str, str]:
    """Say what is wrong with each value alone, by the name of the parameter.

    Parameters
    ----------
    parameters : iterable of Parameter
    values : mapping of str to object
        What was given; a parameter that is not among them keeps its default.
    owner : str
        Name of the detector.
    """
    given = [parameter for parameter in parameters if parameter.name in values]
    faults = {p.name: p.fault(values[p.name], owner) for p in given}
    return {name: fault for name, fault in faults.items() if fault is not None}


def check_saved(parameters: Iterable[Parameter], config: Mapping[str, object]) -> None:
    """Refuse the parameters of a saved detector if one has no meaning; ConfigError names them."""
    parameters = tuple(parameters)
    if faults := faults_of(parameters, config, "the saved detector"):
        raise ConfigError(" ".join(faults.values()))
    texts = [one.name for one in parameters if isinstance(one.allowed, Text)]
    others = [name for name in texts if not isinstance(config.get(name), str | None)]
    if others:
        raise ConfigError(f"{others[0]!r} of the saved detector is no text.")


def reference() -> str:
    """Return docs/parameters.md: what both detectors can be asked, in Markdown."""
    return "\n".join([_HEAD, *_section("TabularVAEDetector", "train table", TABULAR),
                      *_section("ImageVAEDetector", "train images", IMAGE)])  # fmt: skip


_HEAD: Final = """\
# Parameters of the detectors

Printed by `python -m vae_anomaly.detectors.parameters`, where each is declared. A name is that of
the Python parameter and of the key below `[detector]` in the TOML file of a
[pipeline](operations.md#pipelines).
"""


def _section(owner: str, command: str, parameters: Iterable[Parameter]) -> list[str]:
    rows = [
        f"| `{p.name}` | `{p.flag}` | {p.allowed.words} | {_default(p)} | {p.help} |"
        for p in parameters
    ]
    return [
        f"## {owner}\n",
        f"| name | option of `{command}` | may be | unless given | what it does |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def _default(parameter: Parameter) -> str:
    plain = parameter.unless or ("none" if parameter.default is None else f"`{parameter.default}`")
    option = parameter.option_default
    return plain if option is None else f"{plain}; on the command line `{option}`"


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - the page

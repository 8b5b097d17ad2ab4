"""Everything between a resized image and its map, as one module that can be saved and exported.

::

      image ─ bank ─ standardise ─ linear VAE ─ residual / held-out sd = z ─┬─ energy ─┬─ scored
                                            repair VAEs, what they leave r ─┼─ energy ─┼─ shown
                                            defect heads, which see z and r ┴─ logit ──┘

Each map is put on the scale of held-out normals before they are added, and the sum again. *Whether*
an image is anomalous is asked of the linear level first, *where* of all three: the heads point at
the right place more often, but what they have not been taught, such as thin cracks, they talk down.
So the score takes the whole of the scored map, and of the shown one what is hot in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.backbone import BackboneBank, BackboneSpec
from vae_anomaly.detectors.images.features.filter_bank import BankOutput, FilterBank
from vae_anomaly.detectors.images.fine.level import FineLevel, FinePeaks
from vae_anomaly.detectors.images.networks.repair import RepairJudgement, RepairVAE
from vae_anomaly.detectors.images.networks.residuals import (
    Decorrelation,
    MapScale,
    ResidualScale,
    Standardiser,
    energy_map,
)
from vae_anomaly.state import from_json
from vae_anomaly.vae.family import ModelDescription
from vae_anomaly.vae.linear import LinearVAE

if TYPE_CHECKING:
    from torch import Generator


RESIDUAL_BOUND: Final = 8.0
"""Standardised residuals are clipped to this many sd before the repair VAE sees them."""

REPAIR_WEIGHT: Final = 0.25
"""Share of the repair VAEs, on the shown map, in the one vote of the two residual levels."""

HEAD_WEIGHT: Final = 1.0
"""Vote of the defect head, on the shown map, beside that of the two residual levels."""

_EARLIER_VOTES: Final = {"repair_weight": 0.5, "head_weight": 0.25, "scored": "shown"}
"""Of models that were saved before these were written down."""

_NEUTRAL_EXPOSURE: Final = (-0.6, 0.25)  # mid grey, in log brightness, and a moderate contrast


@dataclass(frozen=True)
class NetworkSpec:
    """Shapes from which an empty network is built before its weights are loaded.

    Parameters
    ----------
    kind : str
        "bank", or the name of a member on pixels.
    image_size : int, pixels
    channels : {1, 3}
    latent_dim : int
        Latents of the linear level, or of the pixel VAE.
    n_networks : int
        Repair VAEs whose maps are averaged.
    width : int
        Channels of the repair VAEs.
    description : ModelDescription, optional
        What a member on pixels is made of. Models saved before there were several have none: they
        are "conv".
    backbone : BackboneSpec, optional
        The user's module in the place of the fixed bank.
    repair_weight, head_weight : float
        Votes of repair VAEs and defect heads on the shown map, where there are any.
    scored : {"shown", "linear"}
        Map that becomes the image score: the shown one, or that of the linear level.
    decorrelated : bool
        Whether the linear level's map is that of decorrelated channels. No earlier model's is.
    n_materials : int
        Materials of which fine detail is known; 0 of models that do not look for it, and of all
        that were saved before it was.
    n_statistics : int, optional
        Whole-image numbers that a conditional model compares with what is usual; None of models
        saved when there were 11, in colour 13, and of all that have no conditions.
    """

    kind: str
    image_size: Annotated[int, Field(ge=16, le=16384)]
    channels: Annotated[int, Field(ge=1, le=3)]
    latent_dim: Annotated[int, Field(ge=1, le=65536)]
    n_networks: Annotated[int, Field(ge=0, le=16)]
    width: Annotated[int, Field(ge=1, le=1024)] = 48
    description: ModelDescription | None = None
    backbone: BackboneSpec | None = None
    repair_weight: Annotated[float, Field(ge=0, le=100)] = REPAIR_WEIGHT
    head_weight: Annotated[float, Field(ge=0, le=100)] = HEAD_WEIGHT
    scored: Annotated[str, Field(pattern="^(shown|linear)$")] = "shown"
    n_statistics: Annotated[int, Field(ge=1, le=1000)] | None = None
    decorrelated: bool = False
    n_materials: Annotated[int, Field(ge=0, le=100)] = 0

    @property
    def sees_chroma(self) -> bool:
        """Whether the last maps of the bank are chroma; those of a user's backbone are its own."""
        return self.kind == "bank" and self.channels == 3 and self.backbone is None

    @property
    def has_two_maps(self) -> bool:
        """Whether another map is scored than is shown."""
        return self.scored != "shown"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        values = asdict(self)
        if not self.n_materials:
            del values["n_materials"]
        # a member on pixels has no votes; what was always written for it stays
        return values if self.kind == "bank" else values | _EARLIER_VOTES

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkSpec:
        """Read what `to_dict` wrote, in this version or an earlier one."""
        return from_json(cls, {**_EARLIER_VOTES, **values})


@dataclass(frozen=True)
class NetworkOutput:
    """What a network says about a batch of images.

    Attributes
    ----------
    heatmap : Tensor of shape (N, G, G), float32
        The map that is shown, in sd of held-out normals; higher = more anomalous.
    score_map : Tensor of shape (N, G, G), float32
        The map that is pooled into the image score, in the same unit; often the shown one.
    statistics : Tensor of shape (N, S), float32
        Whole-image numbers of the bank.
    nll, kl : Tensor of shape (N,), nats
        Reconstruction term and KL of the VAE that was trained by gradient (mean over networks);
        of the linear VAE where there is none.
    linear_nll : Tensor of shape (N,), nats
        Exact -log p of the linear level, which is its negative ELBO; 0 for the pixel VAE.
    condition : Tensor of shape (N,), int64, optional
        Code of the condition that each image was judged as; None for models without.
    fine_peaks : Tensor of shape (N, C), float32, optional
        Height of the strongest cell of each channel of fine detail; None for models without.
    fine_cells : Tensor of shape (N, C), int64, optional
        Its number, row by row.
    material : Tensor of shape (N,), int64, optional
        Which one each image shows; None for models without fine detail.
    """

    heatmap: Tensor
    score_map: Tensor
    statistics: Tensor
    nll: Tensor
    kl: Tensor
    linear_nll: Tensor
    condition: Tensor | None = None
    fine_peaks: Tensor | None = None
    fine_cells: Tensor | None = None
    material: Tensor | None = None

    @property
    def terms(self) -> Tensor:
        """Reconstruction term, KL and the linear level's -log p, (N, 3), nats."""
        return torch.stack((self.nll, self.kl, self.linear_nll), 1)

    def take(self, n: int) -> NetworkOutput:
        """Return, on the processor, what is said of the first n images; others fill a chunk up."""
        return combined([self], lambda parts: parts[0][:n].cpu())


def combined(
    outputs: Sequence[NetworkOutput], join: Callable[[list[Tensor]], Tensor]
) -> NetworkOutput:
    """Return one output for several: each field is what ``join`` makes of theirs."""
    columns = {name: [vars(output)[name] for output in outputs] for name in vars(outputs[0])}
    joined: dict[str, Any] = {
        name: None if parts[0] is None else join(parts) for name, parts in columns.items()
    }
    return NetworkOutput(**joined)


def mean_of(parts: Sequence[Tensor]) -> Tensor:
    """Return the mean of tensors of one shape, element by element."""
    return torch.stack(list(parts)).mean(0)


class LinearLevel(nn.Module):
    """Standardise maps, take away what the linear VAE explains, and scale what is left.

    Attributes
    ----------
    decorrelation : Decorrelation or None
        What the residuals go through before they become heat, if anything.
    """

    def __init__(
        self, shape: tuple[int, ...], latent_dim: int, *, decorrelated: bool = False
    ) -> None:
        super().__init__()
        self.standardise = Standardiser(shape)
        self.vae = LinearVAE(shape, latent_dim)
        self.scale = ResidualScale(shape)
        self.decorrelation = Decorrelation(shape[0]) if decorrelated else None

    @classmethod
    def fit(
        cls,
        maps: Tensor,
        latent_dim: int,
        weigh: Tensor | None = None,
        vary: Callable[[Tensor], Tensor] | None = None,
    ) -> LinearLevel:
        """Fit standardisation and linear VAE to maps (N, C, G, G); the scale stays 1.

        With ``weigh`` (C, G, G), the sd that an earlier fit left out of fold, the VAE sees maps in
        units of it: its isotropic noise is then true, a step towards factor analysis. ``vary`` adds
        to the standardised maps others that the VAE is to explain as well.
        """
        standardise = Standardiser.fit(maps)
        if weigh is not None:
            standardise.spread.mul_(weigh)
        standard = standardise(maps)
        vae = LinearVAE.fit(standard if vary is None else vary(standard), latent_dim)
        level = cls(tuple(maps.shape[1:]), vae.latent_dim)
        level.standardise, level.vae = standardise, vae
        return level

    def residual(self, maps: Tensor) -> Tensor:
        """Return what the linear VAE leaves of maps, unscaled, (N, C, G, G)."""
        standard = self.standardise(maps)
        rest: Tensor = standard - self.vae.project(standard)
        return rest

    def forward(self, maps: Tensor) -> Tensor:
        """Return the residual in sd of held-out normals, (N, C, G, G)."""
        z: Tensor = self.scale(self.residual(maps))
        return z

    def heat(self, z: Tensor) -> Tensor:
        """Return the log-energy map (N, G, G) of residuals in sd of held-out normals."""
        return energy_map(z if self.decorrelation is None else self.decorrelation(z))


class RepairMember(nn.Module):
    """One repair VAE with the scales of the normals that it has not seen."""

    def __init__(self, vae: RepairVAE) -> None:
        super().__init__()
        self.vae = vae
        self.scale = ResidualScale(vae.shape)
        self.repair_scale = MapScale()
        self.head_scale = MapScale()

    def calibrate(
        self, z: Tensor, *, colour: bool = False, chunk: int = 64
    ) -> tuple[Tensor, Tensor]:
        """Set the scales from held-out z (N, C, G, G); return their repair and head maps."""
        parts = [self.vae.judge(deepened(part)) for part in torch.split(z, chunk)]
        rest = torch.cat([part.rest for part in parts])
        logit = torch.cat([part.defect_logit for part in parts])
        self.scale = ResidualScale.fit(rest, colour=colour)
        energy = energy_map(self.scale(rest))
        self.repair_scale, self.head_scale = MapScale.fit(energy), MapScale.fit(logit)
        return self.repair_scale(energy), self.head_scale(logit)

    def forward(self, deep: Tensor) -> tuple[Tensor, Tensor, RepairJudgement]:
        """Return repair map and head map on their scales, (N, G, G), and the VAE's terms.

        Of `deepened` residuals.
        """
        said = self.vae.judge(deep)
        energy = energy_map(self.scale(said.rest))
        return self.repair_scale(energy), self.head_scale(said.defect_logit), said


def deepened(z: Tensor) -> Tensor:
    """Return residuals (N, C, G, G) as repair VAEs see them: clipped, 2 x 2 cells as channels."""
    return functional.pixel_unshuffle(z.clamp(-RESIDUAL_BOUND, RESIDUAL_BOUND), 2)


def combine_maps(linear: Tensor, repair: Tensor, head: Tensor, spec: NetworkSpec) -> Tensor:
    """Add the maps to the shown one: both levels share one vote, the head has its own."""
    share = spec.repair_weight
    return (1.0 - share) * linear + share * repair + spec.head_weight * head


class BankNetwork(nn.Module):
    """Filter bank, linear level and repair VAEs; the bank is a fixed one of its own if left out.

    Attributes
    ----------
    exposure : tuple of float
        Mean and sd of log brightness that `decode` gives its images, for the maps hold neither.
    """

    exposure: tuple[float, float] = _NEUTRAL_EXPOSURE

    def __init__(self, spec: NetworkSpec, bank: FilterBank | BackboneBank | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.bank = bank or FilterBank(spec.image_size, spec.channels)
        shape = (self.bank.n_channels, self.bank.grid, self.bank.grid)
        self.linear = LinearLevel(shape, spec.latent_dim, decorrelated=spec.decorrelated)
        self.linear_scale = MapScale()
        self.members = nn.ModuleList(
            RepairMember(RepairVAE(shape[0], shape[1], width=spec.width))
            for _ in range(spec.n_networks)
        )
        self.heat_scale = MapScale()
        n = spec.n_materials
        self.fine = FineLevel(spec.image_size, spec.channels, n) if n else None

    def forward(self, images: Tensor, condition: Tensor | None = None) -> NetworkOutput:
        """Inspect images (N, C, S, S), float32 in [0, 1]; there are no conditions here."""
        if self.fine is None:
            return self.inspect(self.bank(images))
        seen, fine = [], []
        for features, octaves in self.bank.looks(images):
            seen.append(features)
            fine.append(self.fine(octaves))
        output, peaks = self.inspect(BankOutput.joined(seen)), FinePeaks.joined(fine)
        return replace(
            output, fine_peaks=peaks.height, fine_cells=peaks.cell, material=peaks.material
        )

    def inspect(self, features: BankOutput) -> NetworkOutput:
        """Inspect images of which the bank's maps are known."""
        standard = self.linear.standardise(features.maps)
        plane, log_prob, terms = self.linear.vae.project_and_terms(standard)
        z = self.linear.scale(standard - plane)
        linear_map = self.linear_scale(self.linear.heat(z))
        shown = linear_map
        if len(self.members):
            deep = deepened(z)
            answers = [member(deep) for member in self.members]
            repair, head = (mean_of([answer[k] for answer in answers]) for k in (0, 1))
            shown = combine_maps(linear_map, repair, head, self.spec)
            terms = mean_of([torch.stack((vae.nll, vae.kl), 1) for _, _, vae in answers])
        heatmap = self.heat_scale(shown)
        return NetworkOutput(
            heatmap=heatmap,
            score_map=linear_map if self.spec.has_two_maps else heatmap,
            statistics=features.statistics,
            nll=terms[:, 0],
            kl=terms[:, 1],
            linear_nll=-log_prob,
        )

    def preview(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the coarse image that the linear VAE expects, (N, 1, S / 4, S / 4) in [0, 1].

        Texture energies have no image; only level and exposure can be shown. The image's own
        brightness below the high-pass is kept.
        """
        standard = self.linear.standardise(self.bank(images).maps)
        maps = self._unstandardised(self.linear.vae.project(standard))
        preview: Tensor = self.bank.coarse_image(images, maps)
        return preview

    def latents(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return posterior means of the linear level, (N, Z), the strongest latent first."""
        return self.map_latents(self.bank(images).maps)

    def map_latents(self, maps: Tensor) -> Tensor:
        """Return the linear level's posterior means (N, Z) of images of which maps are known."""
        mean, _ = self.linear.vae.encode(self.linear.standardise(maps))
        return mean

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the coarse images (N, 1, S / 4, S / 4) of latents, evenly lit, in [0, 1]."""
        slow, spread = (z.new_full((len(z), 1, 1, 1), value) for value in self.exposure)
        return self.bank.draw(self._unstandardised(self.linear.vae.decode(z)), slow, spread)

    def draw_prior(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw latents of the linear level, (n, Z)."""
        return torch.randn(n, self.linear.vae.latent_dim, generator=generator)

    def _unstandardised(self, maps: Tensor) -> Tensor:
        return maps * self.linear.standardise.spread + self.linear.standardise.mean

"""From pictures to the latents of a fitted image detector, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.images.conditions import known_codes
from vae_anomaly.detectors.images.examination import as_pictures, full_batches, settled
from vae_anomaly.detectors.latent_space import LatentSpaceMixin
from vae_anomaly.devices import exact_float32

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector


class ImageLatentsMixin(LatentSpaceMixin[Floats32]):
    """Latents of pictures, pictures of latents; see `LatentSpaceMixin` for what is made of them."""

    def reconstruct(self, X: Any) -> Floats32:
        """Return what the VAE expects in place of each picture.

        Returns
        -------
        ndarray of shape (N, s, s), or (N, s, s, 3) for the plain VAE in colour, float32 in [0, 1]
            For ``model="bank"`` a preview of brightness at a quarter of the resolution: the model
            explains log-energies of filters, of which only the level can be shown as a picture.
        """
        detector = cast("ImageVAEDetector", self)
        check_is_fitted(detector, "network_")
        parts = [
            detector.network_.preview(images, codes)[:n]
            for images, codes, n in full_batches(detector, detector._open(X))
        ]
        return as_pictures(torch.cat(parts))

    def transform(self, X: Any) -> Floats32:
        """Return where pictures lie among the latents.

        Returns
        -------
        ndarray of shape (N, Z), float32
            Posterior means: of the linear level for ``model="bank"``, of the VAE on pixels else;
            of ``vq`` the chosen codes, one position after another.
        """
        detector = cast("ImageVAEDetector", self)
        check_is_fitted(detector, "network_")
        parts = [
            detector.network_.latents(images, codes)[:n]
            for images, codes, n in full_batches(detector, detector._open(X))
        ]
        return torch.cat(parts).numpy(force=True)

    def _decode(self, z: Floats32, conditions: Any = None) -> Floats32:
        """Return the pictures of latents (N, Z), by default under the first condition there is."""
        detector = cast("ImageVAEDetector", self)
        latents, codes = torch.from_numpy(z), None
        if detector.conditions_:
            first = detector.conditions_[:1]
            chosen = first * len(z) if conditions is None else conditions
            codes = torch.from_numpy(known_codes(detector.conditions_, chosen, len(z)))
        place = settled(detector)
        told = None if codes is None else codes.to(place)
        with torch.inference_mode(), exact_float32(place):
            return as_pictures(detector.network_.decode(latents.to(place), told))

    def _draw_prior(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Draw on the processor, so that a seed means the same latents everywhere."""
        detector = cast("ImageVAEDetector", self)
        network = detector.network_.cpu()
        with torch.inference_mode():
            return network.draw_prior(n, generator)

    def _latent_reference(self) -> Floats32 | None:
        detector = cast("ImageVAEDetector", self)
        check_is_fitted(detector, "network_")
        return detector.latents_

    def _one(self, item: Any) -> Any:
        """Return a single picture, given as a path or an array with or without a batch axis."""
        if not isinstance(item, np.ndarray):
            return item
        single = item.ndim == 2 or (item.ndim == 3 and item.shape[2] in (3, 4))
        return item[None] if single else item

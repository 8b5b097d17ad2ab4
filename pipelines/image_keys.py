"""What both jobs on images may be told of their files."""

from __future__ import annotations

from pydantic import BaseModel

from vae_anomaly.data.images.decode import ImageReading


class ImageKeys(BaseModel):
    """How large a file of an image may be; None leaves it to what is usual."""

    max_pixels: int | None = None
    max_bytes: int | None = None
    max_frames: int | None = None

    def reading(self, white: int | None = None) -> ImageReading:
        """Return how images are read."""
        return ImageReading(self.max_pixels, self.max_bytes, self.max_frames, white)

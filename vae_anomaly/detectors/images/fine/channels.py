"""What each channel of the fine filters looks for: its group, its sign, its size, in words.

=======  ====================================================================================
group    channels
=======  ====================================================================================
spots    a difference of Gaussians at three octaves; bright and dark: 6
lines    short lines on the image at half size, in eight directions; bright and dark: 16
tints    colour only: mean log red - log green and log blue - log green of a cell around that
         of the image, slightly smoothed; more and less: 4
=======  ====================================================================================
"""

from __future__ import annotations

from typing import Final

OCTAVES: Final = 3
DIRECTIONS: Final = 8

SPOTS: Final = slice(0, 2 * OCTAVES)
LINES: Final = slice(SPOTS.stop, SPOTS.stop + 2 * DIRECTIONS)
TINTS: Final = slice(LINES.stop, LINES.stop + 4)

GROUPS: Final = {"fine_spots": SPOTS, "fine_lines": LINES, "fine_tints": TINTS}
"""Which channels belong together, by the name of their column in the evidence."""

_SPOT_PIXELS: Final = 3.0
"""Width of a spot that the first octave answers to best, in pixels of the resized image."""

_TINTS: Final = (
    "redder than the rest", "greener than the rest", "bluer than the rest", "yellower than the rest"
)  # fmt: skip


def n_channels(image_channels: int) -> int:
    """Return how many channels there are for grey (1) or colour (3) images."""
    return TINTS.stop if image_channels == 3 else LINES.stop


def channel_groups(n: int) -> dict[str, slice]:
    """Return the groups that n channels have."""
    return {name: part for name, part in GROUPS.items() if part.stop <= n}


def channel_words(channel: int, pixels: float) -> str:
    """Say what a channel has found, where a pixel of the resized image has ``pixels`` of the image.

    Examples
    --------
    >>> channel_words(1, 0.5), channel_words(6, 1.0)
    ('a dark spot of about 2 px', 'a thin bright line')
    """
    if channel < SPOTS.stop:
        octave, is_dark = divmod(channel, 2)
        width = max(1, round(_SPOT_PIXELS * 2**octave * pixels))
        return f"a {'dark' if is_dark else 'bright'} spot of about {width} px"
    if channel < LINES.stop:
        return f"a thin {'bright' if channel < LINES.start + DIRECTIONS else 'dark'} line"
    return f"a place {_TINTS[channel - TINTS.start]}"

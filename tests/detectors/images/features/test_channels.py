"""All channels of a backbone on one grid of cells, and what becomes of very many."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.backbone import BackboneBank, BackboneSpec
from vae_anomaly.detectors.images.features.channels import MAX_MAPS, AllChannels, RandomDirections

GRID = 4


def spread_evenly(n: int, width: int, side: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, width, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("side", [4, 8, 11], ids=["same", "twice", "no multiple"])
def test_a_cell_is_the_mean_of_its_pixels_and_of_its_neighbours_within_the_image(side):
    maps = spread_evenly(2, 3, side)
    cells = functional.adaptive_avg_pool2d(maps, GRID)
    wanted = functional.avg_pool2d(cells, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(AllChannels(GRID, [3], 3)([maps]), wanted)


def test_channels_of_coarse_and_fine_maps_are_standardised_over_images_and_positions():
    looks = [[5.0 + 3.0 * spread_evenly(8, 2, 16, k), spread_evenly(8, 3, 2, k)] for k in range(3)]
    channels, widths = AllChannels.fit(GRID, looks)
    seen = torch.cat([channels(maps) for maps in looks])
    assert (widths, seen.shape) == ([2, 3], (24, 5, GRID, GRID))
    torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(5), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(seen.std((0, 2, 3), correction=0), torch.ones(5))


def test_of_very_many_channels_the_strongest_directions_stay_and_vary_alike():
    """What 300 channels share in 20 hidden ones is all kept: distances stay as they were."""
    hidden = spread_evenly(60, 20, GRID)
    mixed = functional.conv2d(hidden, spread_evenly(1, 300, 20)[0, :, :, :1].unsqueeze(-1))
    channels, _ = AllChannels.fit(GRID, [[mixed]])
    seen = channels([mixed])
    whole = AllChannels(GRID, [300], 300)
    whole.mean.copy_(channels.mean)
    whole.spread.copy_(channels.spread)
    wanted = whole([mixed])
    assert seen.shape[1] == MAX_MAPS
    apart = torch.pdist(seen.flatten(1)), torch.pdist(wanted.flatten(1))
    torch.testing.assert_close(*apart, atol=1e-3, rtol=1e-4)
    sd = seen.std((0, 2, 3))
    assert sd.max() < 3.0 * sd.min()  # of principal directions as they are: without bound


def test_a_spec_of_an_earlier_version_reads_random_directions_on_cells_of_8_pixels():
    earlier = BackboneSpec("module", "0" * 64, (12, 40))
    channels = earlier.channels(64)
    assert isinstance(channels, RandomDirections)
    assert (earlier.cell, channels.grid, channels.n_channels) == (8, 8, 28)
    assert set(channels.state_dict()) == {
        f"{k}.{name}" for k in (0, 1) for name in ("mean", "spread", "directions")
    }


class Counting(nn.Module):
    """Count how many images go through."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def __deepcopy__(self, memo) -> Counting:
        return self

    def forward(self, images):
        self.seen.append(len(images))
        return functional.avg_pool2d(images, 16)


def test_on_the_processor_each_image_goes_through_the_module_once_and_alone():
    images = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    module = Counting()
    bank = BackboneBank.fit(module, 64, 1, [images])
    module.seen.clear()
    filled = torch.cat((images, images[-1:], images[-1:]))  # a chunk of 5
    output = bank(filled)
    assert module.seen == [1, 1, 1]
    assert len(output.maps) == len(output.statistics) == 5
    torch.testing.assert_close(output.maps[2], output.maps[4], atol=0.0, rtol=0.0)

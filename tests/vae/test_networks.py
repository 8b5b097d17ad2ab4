from __future__ import annotations

import pytest
import torch

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.likelihoods import CategoricalLikelihood, GaussianLikelihood
from vae_anomaly.vae.model import VAE
from vae_anomaly.vae.networks import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, seeded

SHAPES = [
    (1, 16),
    (2, 17),
    (3, 1),
    (3, 64, 64),
    (1, 65, 33),
    (1, 28, 28),
    (2, 1, 7),
    (1, 8, 16, 16),
    (2, 5, 9, 6),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_convolutional_vae_returns_the_shape_it_was_given(shape):
    dims = len(shape) - 1
    with seeded(0):
        vae = VAE(
            ConvEncoder(shape, (4, 8, 8), 5, spatial_dims=dims),
            ConvDecoder(shape, (4, 8, 8), 5, spatial_dims=dims),
            GaussianLikelihood((shape[0], *[1] * dims)),
        )
    out = vae(torch.rand(3, *shape))
    assert out.recon.shape == (3, *shape)
    assert out.mean.shape == (3, 5)
    assert out.nll.shape == (3,)
    out.nll.sum().backward()
    assert all(p.grad is not None for p in vae.parameters())


def test_convolutional_decoder_emits_several_numbers_per_pixel_in_the_last_axis():
    shape = (2, 7, 5)
    vae = VAE(
        ConvEncoder(shape, (4,), 3),
        ConvDecoder(shape, (4,), 3, n_params=6),
        CategoricalLikelihood(6),
    )
    codes = torch.randint(6, (4, *shape)).float()
    assert vae.decode(torch.zeros(4, 3)).shape == (4, *shape, 6)
    assert vae.eval()(codes).nll.shape == (4,)


def test_each_number_of_a_pixel_comes_from_its_own_channel():
    decoder = ConvDecoder((2, 4, 4), (3,), 2, n_params=5)
    with torch.no_grad():
        decoder.up.stages[-1].weight.zero_()
        decoder.up.stages[-1].bias.copy_(torch.arange(10.0))
    pixel = decoder(torch.zeros(1, 2))[0, :, 0, 0]  # (C, n_params)
    assert torch.equal(pixel, torch.arange(10.0).reshape(2, 5))


def test_reference_image_vae_has_the_sizes_asked_for():
    with seeded(0):
        encoder = ConvEncoder((3, 64, 64), (32, 64, 128), 128)
        decoder = ConvDecoder((3, 64, 64), (32, 64, 128), 128)
    mean, logvar = encoder(torch.zeros(2, 3, 64, 64))
    assert mean.shape == logvar.shape == (2, 128)
    assert decoder(mean).shape == (2, 3, 64, 64)


def test_a_condition_changes_the_output_of_every_network():
    on, off = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    with seeded(0):
        parts = [
            (MLPEncoder((6,), 8, 3, condition_dim=2), torch.ones(1, 6)),
            (MLPDecoder((6,), 8, 3, condition_dim=2), torch.ones(1, 3)),
            (ConvEncoder((1, 9), (4,), 3, 1, condition_dim=2), torch.ones(1, 1, 9)),
            (ConvDecoder((1, 9), (4,), 3, 1, condition_dim=2), torch.ones(1, 3)),
        ]
    for part, x in parts:
        first, second = part(x, condition=on), part(x, condition=off)
        if isinstance(first, tuple):
            first, second = first[0], second[0]
        assert not torch.allclose(first, second)


def test_a_linear_vae_without_hidden_layers_can_be_built():
    encoder, decoder = MLPEncoder((6,), (), 2), MLPDecoder((6,), (), 2)
    x = torch.randn(3, 6)
    mean, _ = encoder(2 * x)
    torch.testing.assert_close(mean - encoder.head.bias[:2], 2 * (x @ encoder.head.weight[:2].T))
    assert decoder(mean).shape == (3, 6)


def test_skip_adds_a_linear_map():
    with seeded(0):
        encoder = MLPEncoder((6,), 8, 2, linear_skip=True)
        plain = MLPEncoder((6,), 8, 2)
    plain.load_state_dict(encoder.state_dict(), strict=False)
    x = torch.randn(3, 6)
    torch.testing.assert_close(encoder(x)[0] - plain(x)[0], encoder.skip(x))
    assert torch.equal(encoder(x)[1], plain(x)[1])


def test_networks_from_one_seed_are_equal_and_the_global_state_is_left_alone():
    before = torch.get_rng_state()
    with seeded(3):
        first = MLPEncoder((6,), 8, 2)
    with seeded(3):
        second = MLPEncoder((6,), 8, 2)
    assert torch.equal(first.head.weight, second.head.weight)
    assert torch.equal(before, torch.get_rng_state())


def test_a_shape_without_channels_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match=r"got shape \(28, 28\).*Add a channel axis"):
        ConvEncoder((28, 28), (8,), 2)


def test_an_unknown_activation_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match=r"one of relu, silu, tanh, elu. Got 'gelu'"):
        MLPEncoder((6,), 8, 2, activation="gelu")

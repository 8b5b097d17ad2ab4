from __future__ import annotations

import json

import pytest
import torch

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.family import LIKELIHOODS, MEMBERS, PRIORS, ModelDescription, build_model

SHAPE = (2, 6, 5)
NEEDS = {
    "conditional": {"n_conditions": 3},
    "semi_supervised": {"n_conditions": 3},
    "vq": {"channels": (4,)},
    "ladder": {"hidden": (16, 8)},
}


def describe(kind: str = "vae", **options: object) -> ModelDescription:
    given = {"latent_dim": 4, "hidden": (16,), "n_levels": 5, "n_components": 3}
    return ModelDescription(kind, SHAPE, **(given | NEEDS.get(kind, {}) | options))


def extras(kind: str) -> dict[str, torch.Tensor]:
    return {"condition": torch.tensor([0, 2])} if kind == "conditional" else {}


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_model_is_its_description_and_its_weights(kind):
    description, x = describe(kind), torch.rand(2, *SHAPE)
    model = build_model(description, random_state=3).eval()
    text = json.dumps(description.to_dict())
    twin = build_model(ModelDescription.from_dict(json.loads(text)), random_state=9)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.eval()(x, **extras(kind)).elbo, model(x, **extras(kind)).elbo)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("channels", [(), (4,)], ids=["dense", "conv"])
def test_every_likelihood_fits_both_kinds_of_network(likelihood, channels):
    model = build_model(describe(likelihood=likelihood, channels=channels))
    x = torch.randint(5, (3, *SHAPE)).float()
    x = x / 4 if likelihood in ("bernoulli", "discretized_logistic") else x
    out = model.eval()(x)
    assert out.recon.shape == x.shape
    assert torch.isfinite(out.elbo).all()


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_can_be_asked_for(prior):
    out = build_model(describe(prior=prior)).eval()(torch.rand(3, *SHAPE))
    assert torch.isfinite(out.kl).all()


def test_one_seed_gives_one_model_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    first, second = (build_model(describe(), random_state=1).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "vea"}, r"'kind'.*Got 'vea' \(did you mean 'vae'\?\)"),
        ({"likelihood": "gausian"}, r"'likelihood'.*did you mean 'gaussian'\?"),
        (
            {"prior": "flow"},
            r"'prior' of a model must be one of mixture, normal, vamp\. Got 'flow'",
        ),
    ],
    ids=["kind", "likelihood", "prior"],
)
def test_a_name_that_stands_for_nothing_is_answered_with_the_choices(options, message):
    with pytest.raises(ConfigError, match=message):
        describe(**options)


def test_an_unknown_entry_is_refused():
    values = describe().to_dict() | {"latent_dims": 3}
    with pytest.raises(ConfigError, match=r"Got 'latent_dims' \(did you mean 'latent_dim'\?\)"):
        ModelDescription.from_dict(values)


def test_vq_without_convolutions_says_what_to_give():
    with pytest.raises(ConfigError, match=r"'vq' needs convolutions; got channels=\(\)"):
        build_model(describe("vq", channels=()))

from dataclasses import replace

import pytest
from reports.pages.made import THRESHOLD, images

from vae_anomaly.reports.pages.threshold import in_force
from vae_anomaly.thresholds.catalogue import POLICIES


def with_policy(policy, **parameters):
    night = images()
    threshold = {**night.scoring.threshold, "policy": policy, "parameters": parameters}
    return in_force(replace(night, scoring=replace(night.scoring, threshold=threshold)))


def test_the_threshold_in_force_is_a_step_of_the_slider():
    found = in_force(images())
    assert found.step.value == THRESHOLD
    assert images().steps[found.index] == found.step


def test_without_a_slider_there_is_no_step():
    assert in_force(replace(images(), steps=())).step is None


@pytest.mark.parametrize(
    ("policy", "parameters", "words"),
    [
        ("fpr", {"fpr": 0.005}, "false-alarm rate of at most 0.005"),
        ("max_alarms", {"max_alarms_per_day": 20, "volume": 9500}, "at most 20 false alarms a day"),
        ("cost", {"cost_fp": 1, "cost_fn": 50}, "least cost"),
        ("f2", {"beta": 2}, "f2"),
        ("fpr", {}, "fpr"),
    ],
)
def test_a_policy_is_said_with_what_it_was_asked_for(policy, parameters, words):
    assert with_policy(policy, **parameters).policy == words


def test_every_policy_of_the_catalogue_has_its_words():
    for policy in POLICIES.values():
        numbers = {option.recorded: 0.5 for option in policy.options}
        if policy.name != "f_beta":  # records name it by its beta: f1, f2
            assert with_policy(policy.name, **numbers).policy != policy.name

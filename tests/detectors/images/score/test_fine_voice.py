"""The voice of fine detail: honest on normals, louder with the peak, never without an end."""

from __future__ import annotations

import numpy as np

from vae_anomaly.detectors.images.score.fine_voice import FINE_FROM, FineVoice


def peaks(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gumbel(4.0, 0.6, (n, 22))


def test_normals_and_new_good_images_are_surprising_alike():
    voice = FineVoice(peaks(200))
    new = voice(peaks(2000, 1)).surprise
    for share in (0.5, 0.9, 0.95):
        limit = np.quantile(voice.of_normals.surprise, share)
        assert abs((new > limit).mean() - (1.0 - share)) < 0.06


def test_a_higher_peak_of_any_channel_is_more_surprising():
    voice = FineVoice(peaks(60))
    usual = np.full((1, 22), 4.0)
    for channel in (0, 7, 21):
        said = []
        for height in (5.0, 8.0, 14.0):
            image = usual.copy()
            image[0, channel] = height
            evidence = voice(image)
            said.append(float(evidence.surprise[0]))
            assert height < 8.0 or int(evidence.channels[0].argmax()) == channel
        assert said == sorted(said)
        assert said[-1] > FINE_FROM


def test_what_is_usual_has_no_vote():
    assert FineVoice(peaks(60))(np.full((1, 22), 4.0)).vote[0] == 0.0


def test_the_vote_of_one_spot_grows_slower_the_farther_out_it_is():
    voice = FineVoice(peaks(60))
    far = np.full((3, 22), 4.0)
    far[:, 0] = 10.0, 20.0, 30.0
    first, second = np.diff(voice(far).vote)
    assert 0.0 < second < first

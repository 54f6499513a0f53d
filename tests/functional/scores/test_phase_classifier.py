"""The classifier of phases against scikit-learn's own pipeline."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.embedded_videos import ACTIONS, make_batch, parts
from tpl_lightning.functional.scores.phase_classifier import fit_phase_classifier, phase_accuracy_sums
from tpl_lightning.functional.scores.video_rows import VideoRows

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def _slow_classifier(train, strengths):
    """scikit-learn's own pipeline, cold starts and no rotation."""
    x, y, video = train

    def fit(keep, strength):
        model = LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
        scaler = StandardScaler().fit(x)
        return scaler, model.fit(scaler.transform(x[keep]), y[keep])

    fold = np.unique(video, return_inverse=True)[1] % 3
    scores = []
    for strength in strengths:
        right = np.zeros(len(y))
        for held_out in range(3):
            scaler, model = fit(fold != held_out, strength)
            at = fold == held_out
            right[at] = model.predict(scaler.transform(x[at])) == y[at]
        scores.append(np.mean([right[video == v].mean() for v in np.unique(video)]))
    strength = strengths[int(np.argmax(scores))]
    return strength, *fit(np.ones(len(y), bool), strength)


def _training_frames(batch, action):
    """Return labelled frames of one action, their labels and the video of each."""
    own = [(x[y >= 0], y[y >= 0]) for x, y, a in parts(batch) if a == action]
    x, y = (np.concatenate(p) for p in zip(*own, strict=True))
    return x, y, np.repeat(np.arange(len(own)), [len(p[1]) for p in own])


@pytest.mark.parametrize("action", range(ACTIONS))
def test_it_is_scikit_learns_with_the_penalty_chosen_on_held_out_videos(action):
    train = _training_frames(make_batch(range(12), seed=1), action)
    strength, scaler, model = _slow_classifier(train, STRENGTHS)
    found = fit_phase_classifier(*train)
    assert found.strength == strength
    new = np.random.default_rng(2).normal(size=(300, 4)) * 2
    assert (found.predict(new) == model.predict(scaler.transform(new))).mean() > 0.98


def test_more_channels_than_frames_and_constant_channels_change_no_prediction():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(20, 6)), np.arange(20) // 7
    wide = np.concatenate([x, np.full((20, 30), 4.0)], 1)
    video = np.arange(20) // 5
    narrow, other = fit_phase_classifier(x, y, video), fit_phase_classifier(wide, y, video)
    assert other.strength == narrow.strength
    assert other.rotation.shape[1] == 20  # no more directions than frames
    new = rng.normal(size=(50, 6))
    assert (other.predict(np.concatenate([new, np.zeros((50, 30))], 1)) == narrow.predict(new)).mean() > 0.97
    constant = fit_phase_classifier(x, np.full(20, 2), video)
    assert constant.predict(new).tolist() == [2] * 50
    assert np.isnan(constant.strength)


def test_a_single_video_gets_the_middle_penalty():
    x, y, _ = _training_frames(make_batch(range(12), seed=1), 0)
    assert fit_phase_classifier(x, y, np.zeros(len(y), dtype=int)).strength == STRENGTHS[2]
    assert fit_phase_classifier(x, y, np.zeros(len(y), dtype=int), strengths=(0.5,)).strength == 0.5


def _rows(numbers):
    batch = make_batch(numbers, seed=1)
    mask = torch.arange(batch["labels"].shape[1]) < batch["lengths"][:, None]
    return VideoRows(batch["embeddings"][mask], batch["labels"][mask], batch["lengths"], batch["action"])


def test_sums_are_those_of_a_loop_over_videos():
    """The shares of right frames, of videos with labels whose action has a classifier."""
    train, test = _rows([0, 2, 4, 6, 8]), _rows(range(12, 20))  # training: action 0 alone
    test.labels[test.video == 2] = -1
    classifier = fit_phase_classifier(*_training_frames(make_batch([0, 2, 4, 6, 8], seed=1), 0))
    shares = []
    for video in (0, 4, 6):  # of action 0, and labelled
        own = (test.video == video) & (test.labels >= 0)
        shares.append((classifier.predict(test.frames[own].numpy()) == test.labels[own].numpy()).mean())
    total, count = phase_accuracy_sums(train, test, num_actions=3)
    assert (total.dtype, count.dtype) == (torch.float64, torch.int64)
    assert count.tolist() == [3, 0, 0]
    assert total.tolist() == pytest.approx([sum(shares), 0, 0])

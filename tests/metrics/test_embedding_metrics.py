"""Phase accuracy and Kendall's tau against plain loops over videos, scikit-learn and scipy."""

import warnings

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tpl_lightning.functional.scores.phase_classifier import fit_phase_classifier
from tpl_lightning.metrics import KendallsTau, PhaseAccuracy

CHANNELS, ACTIONS = 4, 2
SIZES = {"num_actions": ACTIONS, "num_channels": CHANNELS}


def make_batch(numbers, seed=0, frames=15):
    """Videos by number: the same number is the same video, whatever the batch."""
    rows = []
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        length = int(rng.integers(3, frames - 2))
        labels = np.sort(rng.integers(0, 3, length))
        x = rng.normal(size=(length, CHANNELS)) + 1.5 * labels[:, None] * np.array([1, -1, 0, 0.5])
        labels[rng.random(length) < 0.15] = -1
        rows.append((x.astype(np.float32), labels, length, number % ACTIONS))
    embeddings = torch.full((len(rows), frames, CHANNELS), 9e9)
    padded = torch.full((len(rows), frames), 2)
    for i, (x, labels, length, _) in enumerate(rows):
        embeddings[i, :length], padded[i, :length] = torch.from_numpy(x), torch.from_numpy(labels)
    return {
        "embeddings": embeddings,
        "labels": padded,
        "lengths": torch.tensor([r[2] for r in rows], dtype=torch.int64),
        "action": torch.tensor([r[3] for r in rows], dtype=torch.int64),
        "video_index": torch.tensor(list(numbers)),
    }


def without_labels(batch):
    return {k: v for k, v in batch.items() if k != "labels"}


def parts(batch):
    return [
        (x[:n].double().numpy(), y[:n].numpy(), int(a))
        for x, y, n, a in zip(*(batch[k] for k in ("embeddings", "labels", "lengths", "action")), strict=True)
    ]


def slow_tau(batch, distance, variant):
    values = {a: [] for a in range(ACTIONS)}
    for i, (x, _, a) in enumerate(parts(batch)):
        for j, (y, _, b) in enumerate(parts(batch)):
            if i == j or a != b:
                continue
            match = cdist(x, y, "euclidean" if distance == "l2" else distance).argmin(1)
            signs = [np.sign(match[v] - match[u]) for v in range(len(x)) for u in range(v)]
            scale = len(signs) if variant == "a" else np.sqrt(len(signs) * np.count_nonzero(signs))
            values[a].append(sum(signs) / scale)
    return values


@pytest.mark.parametrize(("distance", "variant"), [("l2", "a"), ("cosine", "a"), ("sqeuclidean", "b")])
def test_tau_is_the_mean_over_ordered_pairs_of_an_action(distance, variant):
    whole = make_batch(range(9))
    metric = KendallsTau(**SIZES, distance=distance, variant=variant)
    for numbers in ([4, 0, 8, 1], [2], [3, 5, 6, 7], [5, 0]):  # some come twice
        metric.update(**without_labels(make_batch(numbers)))
    expected = slow_tau(whole, distance, variant)
    everything = [v for values in expected.values() for v in values]
    np.testing.assert_allclose(float(metric.compute()), np.mean(everything), atol=1e-12)
    np.testing.assert_allclose(metric.per_action().tolist(), [np.mean(v) for v in expected.values()], atol=1e-12)
    metric.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics: compute before update
        assert metric.compute().isnan()


def slow_classifier(train, strengths):
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


def test_phase_accuracy_is_scikit_learns_with_the_penalty_chosen_on_training_videos():
    train, test = make_batch(range(12), seed=1), make_batch(range(12, 20), seed=1)
    expected = {a: [] for a in range(ACTIONS)}
    for action in range(ACTIONS):
        own = [(x[y >= 0], y[y >= 0]) for x, y, a in parts(train) if a == action]
        x, y = (np.concatenate(p) for p in zip(*own, strict=True))
        video = np.repeat(np.arange(len(own)), [len(p[1]) for p in own])
        strength, scaler, model = slow_classifier((x, y, video), (1e-4, 1e-3, 1e-2, 1e-1, 1.0))
        assert fit_phase_classifier(x, y, video).strength == strength
        for frames, labels, a in parts(test):
            if a == action and (labels >= 0).any():
                known = labels >= 0
                expected[a].append(np.mean(model.predict(scaler.transform(frames[known])) == labels[known]))
    metric = PhaseAccuracy(**SIZES)
    for numbers in ([3, 1, 2, 0, 4], range(5, 12)):
        metric.update_train(**make_batch(numbers, seed=1))
    for numbers in ([15, 13], range(12, 20)):
        metric.update(**make_batch(numbers, seed=1))
    np.testing.assert_allclose(float(metric.compute()), np.mean([v for e in expected.values() for v in e]), atol=0.02)
    np.testing.assert_allclose(metric.per_action().tolist(), [np.mean(v) for v in expected.values()], atol=0.02)


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


def test_videos_of_actions_without_a_labelled_training_frame_are_left_out():
    train, test = make_batch([0, 2, 4], seed=2), make_batch([6, 7, 8, 9], seed=2)  # training: action 0 alone
    metric = PhaseAccuracy(**SIZES)
    metric.update_train(**train)
    metric.update(**test)
    per_action = metric.per_action()
    assert per_action[1].isnan()
    torch.testing.assert_close(metric.compute(), per_action[0])


def test_wrong_channels_are_refused():
    batch = make_batch([0, 1])
    batch["embeddings"] = batch["embeddings"][..., :2]
    with pytest.raises(ValueError, match="4 channels"):
        KendallsTau(**SIZES).update(**without_labels(batch))

"""The choice of the prior by labels: the rule, a video's own vote left out, and no say of test labels."""

import dataclasses
import math
import shutil

import h5py
import numpy as np
import pytest

from tests.aligners.fitting import fit
from tpl_lightning.aligners.prior_choice import STRENGTHS, held_out_scores, labels_choose, select_prior
from tpl_lightning.aligners.registry import build_aligner, load_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.loading.splits import split_videos
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.scores import evaluate

OFFSET = np.array([-0.1, -0.05, 0.0, 0.05, 0.1, 0.0])  # how videos differ, whatever the prior
WOBBLE = np.array([0.02, -0.02, 0.02, -0.02, 0.01, -0.01])  # and how much more under another prior


def _choose(means, wobble=1.0):
    """Choose by scores with these means, all but the first with a wobble of their own."""
    asked = []

    def score(strength):
        asked.append(strength)
        own = 0 if strength == 1 else wobble * WOBBLE * (1 if strength > 16 else -1)
        return np.append(means[strength] + OFFSET + own, np.nan)

    return select_prior(STRENGTHS, score), asked


def test_the_default_stays_unless_another_is_clearly_better():
    choice, asked = _choose({1.0: 0.9, 4.0: 0.89, 16.0: 0.95, 64.0: 0.8, math.inf: 0.7})
    assert choice.strength == 1
    assert asked == [1, math.inf, 4]  # scores rise and fall: no more fits
    assert choice.scores == pytest.approx({1.0: 0.9, 4.0: 0.89, math.inf: 0.7})
    within = _choose({1.0: 0.9, 4.0: 0.91, 16.0: 0.905, 64.0: 0.8, math.inf: 0.7})[0]
    assert within.strength == 1  # two standard errors are .015
    clear = _choose({1.0: 0.9, 4.0: 0.91, 16.0: 0.925, 64.0: 0.8, math.inf: 0.7})[0]
    assert clear.strength == 16


def test_where_the_default_is_no_better_than_linear_the_strongest_of_the_best_wins():
    means = {1.0: 0.8, 4.0: 0.85, 16.0: 0.88, 64.0: 0.9, math.inf: 0.9}
    assert _choose(means)[0].strength == math.inf
    assert _choose(means | {math.inf: 0.8, 16.0: 0.903})[0].strength == 64  # half a standard error is .004
    assert _choose(means | {1.0: 0.899, 64.0: 0.9})[0].strength == math.inf  # as linear: no reason to warp


def test_without_scores_the_default_stays():
    choice = select_prior(STRENGTHS, lambda strength: np.full(3, np.nan))
    assert (choice.strength, choice.scores) == (1.0, {})


def test_scores_are_those_of_labels_without_the_own_vote(tmp_path, make_cache):
    videos = VideoSet(EmbeddingCache(make_cache(tmp_path / "c.h5", videos=7, actions=("a", "b"), split=["train"] * 7)))
    rng = np.random.default_rng(0)
    positions = [np.sort(rng.random(n)) for n in videos.lengths]
    sources = [np.sort(rng.random(30 if a == "a" else 25)) for a in videos.action]
    found = held_out_scores(positions, sources, videos)
    for i in range(7):
        votes = np.zeros((len(sources[i]), 3))
        for j in range(7):
            if j != i and videos.action[j] == videos.action[i]:
                frames = np.round(sources[j] * (videos.lengths[j] - 1)).astype(int)
                votes[np.arange(len(frames)), videos.labels(j)[frames]] += 1
        points = np.round(positions[i] * (len(votes) - 1)).astype(int)
        assert found[i] == pytest.approx((votes.argmax(1)[points] == videos.labels(i)).mean())


def test_videos_without_labels_and_without_company_have_no_score(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=6, split=["train"] * 6)
    with h5py.File(path, "r+") as file:
        offsets = file["offsets"][:]
        for i in (0, 1, 3):  # of the second action only the last keeps its labels
            file["labels"][offsets[i] : offsets[i + 1]] = -1
    videos = VideoSet(EmbeddingCache(path))
    grids = [np.linspace(0, 1, n) for n in videos.lengths]
    found = held_out_scores(grids, [np.linspace(0, 1, 30)] * 6, videos)
    assert np.isnan(found).tolist() == [True, True, False, True, False, True]
    assert not labels_choose("auto", videos)
    assert labels_choose("labels", videos)
    assert not labels_choose("none", videos)
    with pytest.raises(UserError, match="select"):
        load_config(["select=some"])


def _other_tempo(path, *, videos=24):
    """Clips whose features go at an uneven pace that has nothing to do with the labels, which go at an even one."""
    rng, grid = np.random.default_rng(3), np.linspace(0, 1, 200)
    waves, phases = rng.normal(size=(5, 8)), {"a": ["one", "two", "three", "four"]}
    with EmbeddingCacheWriter(path, dataset="c", extractor="x", source="synthetic", phase_names=phases) as writer:
        for v in range(videos):
            time = np.linspace(0, 1, int(rng.integers(50, 90)))
            seen = time + 0.6 * rng.uniform(-1, 1) * time * (1 - time)
            frames = np.cos(np.pi * seen[:, None] * np.arange(1, 6)) @ waves
            labels = np.minimum((4 * np.interp(time, grid, grid)).astype(int), 3)
            writer.append(
                video_id=f"v{v}",
                action="a",
                split="test" if v >= videos * 3 // 4 else "train",
                embeddings=(frames + 0.1 * rng.normal(size=frames.shape)).astype(np.float32),
                labels=labels.astype(np.int16),
                fps=25.0,
            )
    return path


def _fit(path, run_dir, *options):
    return fit(path, run_dir, "data.pca=5", "run.progress=false", *options)


def test_features_of_another_tempo_are_not_followed(tmp_path):
    path = _other_tempo(tmp_path / "c.h5")
    plp = {}
    for options in (
        ("method=linear",),
        ("method=direct",),
        ("method=direct", "select=none"),
        ("method=linear", "refine=true"),
    ):
        aligner, splits, config = _fit(path, tmp_path / "-".join(options), *options)
        found = aligner.align(splits.all())
        plp[options] = evaluate(found, splits.all()).overall["test/plp"]
        if options == ("method=direct",):
            note = " ".join(aligner.notes())
            assert "linear rescaling (PLP over training videos" in note
            assert "as set 0." in note
            again = load_aligner(aligner.checkpoint, config)
            np.testing.assert_array_equal(again.align(splits.all()).prototype_position, found.prototype_position)
            assert again.notes() == aligner.notes()
        if options == ("method=direct", "select=none"):
            assert "PLP" not in " ".join(aligner.notes())
    linear, chosen, blind, refined = plp.values()
    assert chosen == refined == linear > blind + 0.05


def test_labels_of_test_videos_are_not_read_and_those_of_training_videos_only_choose(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=24)
    aligner, splits, _ = _fit(path, tmp_path / "a", "method=direct")
    assert aligner.state["select"][1.0] > aligner.state["select"][math.inf] + 0.05
    plain, _, _ = _fit(path, tmp_path / "b", "method=direct", "select=none")
    assert aligner.state["strength"] == 1
    expected = aligner.align(splits.all()).prototype_position
    np.testing.assert_array_equal(plain.align(splits.all()).prototype_position, expected)
    other = shutil.copy(path, tmp_path / "other.h5")
    with h5py.File(other, "r+") as file:
        start = file["offsets"][18]
        held_out = file["labels"][start:]
        file["labels"][start:] = np.random.default_rng(0).permutation(held_out)
    again, splits, _ = _fit(other, tmp_path / "c", "method=direct")
    np.testing.assert_array_equal(again.align(splits.all()).prototype_position, expected)
    assert again.notes() == aligner.notes()


def test_a_network_keeps_what_labels_chose(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=12, split=["train"] * 12)
    small = ("train.max_epochs=2", "model.hidden=8", "refine=false", "select=labels", "run.wandb=disabled")
    aligner, _, config = _fit(path, tmp_path / "a", "method=tpl_plus", *small)
    note = next(note for note in aligner.notes() if note.startswith("One pass: Labels of training videos chose"))
    again = load_aligner(tmp_path / "a" / "checkpoints" / "last.ckpt", config)
    assert again.choice == aligner.choice
    assert note in again.notes()
    config = dataclasses.replace(config, resume=str(tmp_path / "a"))
    resumed = build_aligner(config, tmp_path / "a")
    resumed.fit(split_videos(VideoSet(EmbeddingCache(path)), config.data).train)
    assert resumed.notes() == aligner.notes()

"""method=direct on small caches: accuracy, checkpoint, independence of the batch, bad input."""

import json
import shutil

import h5py
import numpy as np
import pytest
import torch

from tests.aligners.fitting import fit
from tpl_lightning.__main__ import main
from tpl_lightning.aligners.registry import build_aligner, load_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.loading.splits import split_videos
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.scores import evaluate
from tpl_lightning.groupwise import model as joint_model


def _fit(path, run_dir, *options):
    return fit(path, run_dir, "data.pca=5", *options)


def test_direct_beats_linear_by_far(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=16)
    errors = {}
    for method in ("linear", "direct"):
        aligner, splits, _ = _fit(path, tmp_path / method, f"method={method}")
        errors[method] = evaluate(aligner.align(splits.all()), splits.all()).overall["warp_error"]
    assert errors["direct"] < 0.35 * errors["linear"]


def test_a_checkpoint_aligns_as_the_fitted_aligner(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=16)
    aligner, splits, config = _fit(path, tmp_path, "method=direct")
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", config)
    for videos in (splits.train, splits.test, splits.all()):
        np.testing.assert_allclose(
            aligner.align(videos).prototype_position, again.align(videos).prototype_position, atol=1e-6
        )
    labels = evaluate(aligner.align(splits.train), splits.train).prototype_labels
    for action, stored in again.prototype_labels().items():
        np.testing.assert_array_equal(stored, labels[action])
        assert again.prototypes()[action].shape == (len(stored), 5)


def test_no_video_changes_the_result_of_another(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=16)
    aligner, splits, _ = _fit(path, tmp_path, "method=direct")
    together = aligner.align(splits.test)
    for i in range(len(splits.test)):
        alone = aligner.align(splits.test.select(np.array([i])))
        np.testing.assert_allclose(alone.position(0), together.position(i), atol=1e-3)


@pytest.mark.parametrize(
    "option", ["direct.smoothness=.3", "direct.derivative=.2", "direct.offset_shrinkage=0", "warp.num_cells=8"]
)
def test_options_change_the_fit_and_keep_it_good(tmp_path, make_cache, option):
    path = make_cache(tmp_path / "c.h5", videos=16)
    plain, splits, _ = _fit(path, tmp_path / "a", "method=direct")
    other, _, _ = _fit(path, tmp_path / "b", "method=direct", option)
    videos = splits.all()
    first, second = plain.align(videos), other.align(videos)
    assert not np.array_equal(first.prototype_position, second.prototype_position)
    linear, _, _ = _fit(path, tmp_path / "c", "method=linear")
    bound = evaluate(linear.align(videos), videos).overall["warp_error"]
    assert evaluate(second, videos).overall["warp_error"] < 0.5 * bound


def test_bad_input_is_named(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=16)
    aligner, _, config = _fit(path, tmp_path, "method=direct")
    other = VideoSet(EmbeddingCache(make_cache(tmp_path / "o.h5", actions=("jump", "swim"))))
    with pytest.raises(UserError, match="'swim' has no prototype"):
        aligner.align(other)
    wide = VideoSet(EmbeddingCache(make_cache(tmp_path / "w.h5", channels=9)))
    with pytest.raises(UserError, match="9 channels per frame"):
        aligner.align(wide)
    broken = tmp_path / "broken.ckpt"
    torch.save({"something": 1}, broken)
    with pytest.raises(UserError, match=r"broken.ckpt: a checkpoint of another kind"):
        load_aligner(broken, config)
    with pytest.raises(UserError, match=r"direct\.smoothness"):
        load_config(["direct.smoothness=-1"])


def _chains(path, *, frames):
    """Recordings of twenty steps, some of them left out."""
    rng = np.random.default_rng(0)
    grid = np.arange(100) / 5
    curve = rng.normal(size=(100, 6))
    phases = {"chain": [f"step {k}" for k in range(20)]}
    with EmbeddingCacheWriter(path, dataset="c", extractor="x", source="synthetic", phase_names=phases) as writer:
        for v in range(10):
            order = [k for k in range(20) if rng.random() > 0.1]
            weight = np.exp(0.5 * rng.normal(size=len(order)))
            count = np.maximum((weight / weight.sum() * frames).astype(int), 3)
            labels = np.repeat(order, count)
            inside = np.concatenate([np.arange(n) / n for n in count])
            motion = np.stack([np.interp(labels + inside, grid, c) for c in curve.T], 1)
            writer.append(
                video_id=f"v{v}",
                action="chain",
                split="test" if v > 7 else "train",
                embeddings=(motion + 0.1 * rng.normal(size=motion.shape)).astype(np.float32),
                labels=labels.astype(np.int16),
                fps=25.0,
            )
    return path


def test_detail_is_found_to_be_worth_it_for_long_recordings_with_steps_left_out(tmp_path):
    path = _chains(tmp_path / "c.h5", frames=500)
    scores = {}
    for detail in ("auto", "coarse", "fine"):
        aligner, splits, _ = _fit(path, tmp_path / detail, "method=direct", f"direct.detail={detail}")
        scores[detail] = evaluate(aligner.align(splits.all()), splits.all()).overall["test/plp"]
        assert ("in full detail" in " ".join(aligner.notes())) == (detail == "auto")
    assert scores["auto"] == scores["fine"] > scores["coarse"] + 0.05


def test_detail_is_not_worth_it_for_long_recordings_at_an_even_pace_and_full_of_noise(tmp_path):
    """Warps in detail agree better there too, in the channels that they fit noise in: in others they agree worse."""
    rng, grid, times = np.random.default_rng(8), np.linspace(0, 1, 41), np.linspace(0, 1, 300)
    curve, path = rng.normal(size=(8, 41)), tmp_path / "even.h5"
    with EmbeddingCacheWriter(path, dataset="c", extractor="x", source="synthetic", phase_names={"a": ["x"]}) as writer:
        for v in range(8):
            progress = times + 0.03 * rng.normal() * np.sin(np.pi * times)
            own = curve + 0.8 * rng.normal(size=curve.shape)  # as what the videos share
            frames = np.stack([np.interp(progress, grid, c) for c in own], 1).astype(np.float32)
            writer.append(video_id=f"v{v}", action="a", split="train", embeddings=frames, fps=25.0)
    aligner, _, _ = _fit(path, tmp_path, "method=direct")
    assert aligner.state["joint"]["options"]["num_cells"] == 16


def test_a_prior_that_grew_is_told_of(tmp_path, monkeypatch):
    path = _chains(tmp_path / "c.h5", frames=90)
    for stiffness, told in ((1.0, False), (7.0, True)):
        monkeypatch.setattr(joint_model, "precision_factor", lambda *a, found=stiffness, **k: found)
        aligner, _, _ = _fit(path, tmp_path / str(stiffness), "method=direct")
        assert ("7 times as set" in " ".join(aligner.notes())) == told


def test_labels_of_training_videos_steer_their_warps_and_those_of_test_videos_nothing(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=24)
    spread, positions = {}, {}
    for weight in (0, 2):
        aligner, splits, _ = _fit(path, tmp_path / str(weight), "method=direct", f"direct.labels={weight}")
        spread[weight] = evaluate(aligner.align(splits.train), splits.train).overall["event_spread"]
        positions[weight] = aligner.align(splits.test).prototype_position
        assert ("had a say" in " ".join(aligner.notes())) == (weight > 0)
    assert spread[2] < 0.8 * spread[0]
    other = shutil.copy(path, tmp_path / "other.h5")
    with h5py.File(other, "r+") as file:
        file["labels"][file["offsets"][18] :] = 0  # those of the test videos
    aligner, splits, _ = _fit(other, tmp_path / "again", "method=direct", "direct.labels=2")
    np.testing.assert_array_equal(aligner.align(splits.test).prototype_position, positions[2])


@pytest.mark.parametrize(("channels", "changing"), [(1, 1), (3, 1), (3, 2), (3, 3)])
def test_long_recordings_of_few_channels(tmp_path, channels, changing):
    """A channel cannot be held out of itself, and one that stands still says nothing."""
    rng, path = np.random.default_rng(9), tmp_path / "few.h5"
    with EmbeddingCacheWriter(path, dataset="c", extractor="x", source="synthetic", phase_names={"a": ["x"]}) as writer:
        for v in range(6):
            times = np.linspace(0, 1, 250)
            times += 0.1 * rng.normal() * np.sin(np.pi * times)
            frames = np.outer(np.ones(250), np.arange(channels) + v)
            frames[:, :changing] += np.sin(np.outer(7 * times, 1 + np.arange(changing)))
            writer.append(video_id=f"v{v}", action="a", split="train", embeddings=frames.astype(np.float32), fps=25.0)
    for pca in ("null", channels):
        aligner, splits, _ = _fit(path, tmp_path / str(pca), "method=direct", f"data.pca={pca}")
        found = aligner.align(splits.all())
        assert all(np.isfinite(found.source(i)).all() for i in range(len(found)))
        if changing == 1:
            assert aligner.state["joint"]["options"]["num_cells"] == 16


def test_short_recordings_are_not_tried_in_detail(tmp_path):
    path = _chains(tmp_path / "c.h5", frames=90)
    aligner, _, _ = _fit(path, tmp_path, "method=direct")
    assert aligner.state["joint"]["options"]["num_cells"] == 16


def test_runs_of_earlier_versions_are_tested(tmp_path, make_cache):
    """Their configuration names options that are gone, and their checkpoint holds prototypes of each stage."""
    path = make_cache(tmp_path / "c.h5", videos=12)
    place = [f"data.cache={path}", f"run.dir={tmp_path}", "data.pca=5", "run.figures=false", "run.progress=false"]
    assert main(["fit", *place, "method=direct", "run.name=old"]) == 0
    checkpoint = tmp_path / "old" / "checkpoints" / "last.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    state["hyper_parameters"]["config"]["direct"] |= {"paths": 1, "metric": True, "stages": [0.1, 0.05, 0.025, 0.0125]}
    del state["hyper_parameters"]["config"]["select"], state["select"], state["strength"]
    state["hyper_parameters"]["catalogue"] = state["hyper_parameters"].pop("metadata")
    state["joint"]["sharp"] = state["joint"].pop("prototype")
    state["joint"]["stiffness"] = state["joint"].pop("precision")
    state["joint"]["options"]["stages"] = state["joint"]["options"].pop("scales")
    state["joint"]["options"]["leave_one_out"], state["joint"]["options"]["tolerance"] = True, 0.003
    torch.save(state, checkpoint)
    assert main(["test", str(tmp_path / "old"), f"data.cache={path}"]) == 0
    plp = [json.loads((tmp_path / run / "metrics.json").read_text())["test/plp"] for run in ("old", "old-test-c")]
    assert plp[0] == plp[1]


@pytest.fixture(scope="module")
def cut_cache(tmp_path_factory):
    """Twelve videos of one action, of which each misses up to a quarter at both ends; their true progress is known."""
    path = tmp_path_factory.mktemp("cut") / "cut.h5"
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(6, 8))
    with EmbeddingCacheWriter(path, dataset="tiny", extractor="waves", source="a test", phase_names={}) as writer:
        for i in range(12):
            time = np.linspace(rng.uniform(0, 0.25), rng.uniform(0.75, 1), 60)
            progress = time + 0.3 * rng.uniform(-1, 1) * time * (1 - time)
            signal = np.cos(np.pi * progress[:, None] * np.arange(1, 7)) @ waves + 0.05 * rng.normal(size=(60, 8))
            split = "test" if i >= 9 else "train"
            writer.append(video_id=f"v{i}", action="a", split=split, embeddings=signal, progress=progress)
    return path


@pytest.mark.parametrize(("method", "ends"), [("direct", "auto"), ("direct", "open"), ("tpl_plus", "auto")])
def test_open_ends_find_where_cut_videos_begin(cut_cache, tmp_path, method, ends):
    place = [f"data.cache={cut_cache}", f"method={method}", "refine=false", "run.progress=false"]
    place += ["train.max_epochs=2", "data.pca=5"] if method == "tpl_plus" else []
    errors = {}
    for option in ("fixed", ends):
        config = load_config([*place, f"warp.ends={option}"])
        splits = split_videos(VideoSet(EmbeddingCache(cut_cache)), config.data)
        aligner = build_aligner(config, tmp_path / option)
        aligner.fit(splits.train)
        videos = splits.all()
        alignment = load_aligner(tmp_path / option / "checkpoints" / "last.ckpt", config).align(videos)
        errors[option] = evaluate(alignment, videos).overall["warp_error"]
        if option != "fixed":
            assert any("Ends are open" in note for note in aligner.notes()) == (ends == "auto")
            truth = np.array([videos.progress(i)[0] for i in range(12)])
            found = np.array([alignment.position(i)[0] for i in range(12)])
            assert np.corrcoef(truth, found)[0, 1] > 0.95
    assert errors[ends] < 0.4 * errors["fixed"]
    assert errors[ends] < 0.02

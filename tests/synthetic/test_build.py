"""The procedural set: the same bits each time, a true and uneven tempo, labels that follow it."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from tests.run_factory import read_video
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.synthetic import ACTIONS, PHASE_NAMES, clip_specs, render_clip
from tpl_lightning.synthetic.actions import ACTION_TABLE, Style
from tpl_lightning.synthetic.body import BodyShape, two_bone
from tpl_lightning.synthetic.build import build_procedural_set, video_path
from tpl_lightning.synthetic.tempo import random_progress

SMALL = {"num_clips": 6, "actions": ("pullups", "dips"), "size": 48, "channels": 8, "progress": False}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small set, its videos and its cache, made by two processes."""
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("procedural")
    out = build_procedural_set(folder / "set.h5", video_dir=folder / "videos", num_workers=2, **SMALL)
    return EmbeddingCache(out), folder / "videos"


def _digest(clip):
    return hashlib.sha256(clip.frames.tobytes() + clip.progress.tobytes() + clip.phases.tobytes()).hexdigest()


# --- specifications -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_clips", [10, 11, 82, 600])
def test_every_action_is_in_train_and_test(num_clips):
    specs = clip_specs(num_clips)
    assert len(specs) == num_clips == len({spec.video_id for spec in specs})
    for action in ACTIONS:
        splits = [spec.split for spec in specs if spec.action == action]
        assert splits.count("train") >= 2
        if len(splits) >= 3:
            assert splits.count("test") >= 1
        if num_clips >= 82:
            assert splits.count("test") == pytest.approx(0.25 * len(splits), abs=1)
            assert splits.count("val") == pytest.approx(0.15 * len(splits), abs=1)


def test_the_default_set_has_82_clips_of_75_to_125_frames():
    lengths = [spec.num_frames for spec in clip_specs()]
    assert len(lengths) == 82
    assert min(lengths) >= 75
    assert max(lengths) <= 125
    assert len(set(lengths)) > 20


def test_a_larger_set_holds_the_clips_of_a_smaller_one():
    def looks(specs):
        return {spec.video_id: (spec.action, spec.num_frames, spec.seed, spec.tempo_strength) for spec in specs}

    small, large = looks(clip_specs(82)), looks(clip_specs(600))
    assert small.items() <= large.items()
    assert len(set(large.values())) == 600  # no clip twice


def test_another_seed_is_another_set_and_fewer_actions_are_a_part_of_it():
    first, second = clip_specs(20, seed=0), clip_specs(20, seed=1)
    assert not {spec.seed for spec in first} & {spec.seed for spec in second}
    assert clip_specs(4, actions=["dips"]) == [spec for spec in clip_specs(20) if spec.action == "dips"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_clips": 9}, "num_clips=9"),
        ({"actions": ["squat"]}, "squat"),
        ({"actions": []}, "none"),
    ],
)
def test_wrong_specifications_are_named(options, named):
    with pytest.raises(UserError, match=named):
        clip_specs(**options)


# --- tempo ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 2.0])
def test_progress_rises_strictly_between_exact_ends(strength):
    for seed in range(50):
        progress = random_progress(75 + seed, strength=strength, rng=np.random.default_rng(seed))
        assert progress.shape == (75 + seed,)
        assert progress.dtype == np.float32
        assert (progress[0], progress[-1]) == (0.0, 1.0)
        assert (np.diff(progress) > 0).all()


def test_strength_decides_how_uneven_the_pace_is():
    line = np.linspace(0, 1, 100)

    def deviation(strength):
        tempos = [random_progress(100, strength=strength, rng=np.random.default_rng(seed)) for seed in range(100)]
        return np.mean([np.abs(tempo - line).max() for tempo in tempos])

    assert deviation(0.0) < 1e-6
    # A tenth of the clip off at the worst frame, on average: linear rescaling cannot align this set.
    assert deviation(1.0) > 0.10
    assert deviation(0.3) < 0.5 * deviation(1.0)


def test_tempo_is_not_linear_beyond_a_start_and_an_end():
    """Not even the best straight line explains the tempo: holds show as steps much smaller than the mean."""
    slow = [np.diff(random_progress(100, strength=1.0, rng=np.random.default_rng(s))).min() * 99 for s in range(60)]
    assert np.median(slow) < 0.3


def test_tempo_rejects_what_it_cannot_do():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="num_frames"):
        random_progress(1, strength=1.0, rng=rng)
    with pytest.raises(ValueError, match="strength"):
        random_progress(9, strength=-1.0, rng=rng)
    with pytest.raises(ValueError, match="lower it"):
        random_progress(100, strength=40.0, rng=rng)


# --- poses and labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIONS)
def test_action_tables_are_complete(name):
    action = ACTION_TABLE[name]
    assert (action.borders[0], action.borders[-1]) == (0.0, 1.0)
    assert (np.diff(action.borders) > 0).all()
    assert len(action.phases) == len(action.borders) - 1 == len(set(action.phases))
    assert {len(poses) for poses in action.controls.values()} == {len(action.borders)}
    assert PHASE_NAMES[name] == list(action.phases)


@pytest.mark.parametrize("name", ACTIONS)
def test_a_border_opens_its_phase(name):
    action = ACTION_TABLE[name]
    inner = np.array(action.borders[1:-1])
    assert action.phase_of(inner).tolist() == list(range(1, len(inner) + 1))
    assert action.phase_of(inner - 1e-6).tolist() == list(range(len(inner)))
    assert action.phase_of(np.array([0.0, 1.0])).tolist() == [0, len(inner)]


@pytest.mark.parametrize("name", ACTIONS)
def test_bones_keep_their_length_and_joints_move_smoothly(name):
    body = BodyShape.random(np.random.default_rng(3))
    pose = ACTION_TABLE[name].skeleton(np.linspace(0, 1, 200), body, Style.random(200, np.random.default_rng(4)))
    for side in ("_r", "_l"):
        bones = {("shoulder", "elbow"): body.upper_arm, ("elbow", "hand"): body.forearm, ("knee", "ankle"): body.shank}
        for (start, end), length in bones.items():
            found = np.linalg.norm(pose[end + side] - pose[start + side], axis=-1)
            np.testing.assert_allclose(found, length, rtol=1e-6)
    for joint, places in pose.joints.items():
        step = np.linalg.norm(np.diff(places, axis=0), axis=-1)
        assert step.max() < 0.08, f"{joint} jumps"  # metres in 1/200 of the action


@pytest.mark.parametrize(
    ("name", "joint", "low_at", "high_at"),
    [
        ("bench_press", "hand_r", 0.5, (0.0, 1.0)),
        ("dips", "neck", 0.5, (0.0, 1.0)),
        ("pushups", "neck", 0.5, (0.0, 1.0)),
        ("deadlift", "neck", 0.15, (0.5, 1.0)),
    ],
)
def test_the_figure_does_the_exercise(name, joint, low_at, high_at):
    progress = np.array([low_at, *high_at])
    body = BodyShape.random(np.random.default_rng(0))
    height = ACTION_TABLE[name].skeleton(progress, body, Style.random(3, np.random.default_rng(1)))[joint][:, 1]
    assert height[0] < height[1:].min() - 0.2


def test_pullups_bring_the_chin_above_the_bar_and_the_deadlift_lifts_the_bar():
    body, style = BodyShape.random(np.random.default_rng(0)), Style.random(3, np.random.default_rng(1))
    pull = ACTION_TABLE["pullups"].skeleton(np.array([0.0, 0.53, 1.0]), body, style)
    above = pull["head"][:, 1] - pull["hand_r"][:, 1]
    assert above[1] > 0 > max(above[0], above[2])
    bar = ACTION_TABLE["deadlift"].skeleton(np.array([0.0, 0.5, 1.0]), body, style).bar[:, 1]
    assert bar[1] > 0.6
    assert bar[0] == pytest.approx(bar[2])


def test_two_bones_reach_what_they_can():
    root, target = np.zeros((2, 3)), np.array([[0.4, 0.1, 0.2], [3.0, 0.0, 0.0]])
    joint, end = two_bone(root, target, first=0.3, second=0.35, pole=np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(np.linalg.norm(joint, axis=1), 0.3)
    np.testing.assert_allclose(np.linalg.norm(end - joint, axis=1), 0.35)
    np.testing.assert_allclose(end[0], target[0])
    np.testing.assert_allclose(end[1], [0.998 * 0.65, 0, 0], atol=1e-12)
    assert joint[0, 1] > 0


# --- rendering ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIONS)
def test_a_clip_is_the_same_twice_and_labels_follow_progress(name):
    spec = clip_specs(10)[2 * ACTIONS.index(name)]
    clip = render_clip(spec, size=32)
    assert _digest(clip) == _digest(render_clip(spec, size=32))
    assert clip.frames.shape == (spec.num_frames, 32, 32, 3)
    assert clip.frames.dtype == np.uint8
    assert (clip.progress[0], clip.progress[-1]) == (0.0, 1.0)
    assert clip.phases.dtype == np.int16
    borders = np.array(ACTION_TABLE[name].borders)
    assert (borders[clip.phases] <= clip.progress + 1e-6).all()
    assert (clip.progress <= borders[clip.phases + 1] + 1e-6).all()
    assert sorted(set(clip.phases.tolist())) == list(range(len(PHASE_NAMES[name])))  # none is missed
    assert (np.diff(clip.phases) >= 0).all()


def test_clips_of_one_action_look_different():
    first, second = (render_clip(spec, size=32).frames[0].astype(float) for spec in clip_specs(10)[:2])
    assert np.abs(first - second).mean() > 10


def test_another_tempo_leaves_the_looks_as_they_are():
    even, uneven = (render_clip(clip_specs(10, tempo_strength=s)[4], size=32) for s in (0.0, 1.0))
    np.testing.assert_allclose(even.progress, np.linspace(0, 1, len(even.progress)), atol=1e-6)
    assert np.abs(uneven.progress - even.progress).max() > 0.05
    # The first frame has progress 0 in both. The camera frames all poses of the clip, which are not quite the same.
    assert np.abs(even.frames[0].astype(int) - uneven.frames[0].astype(int)).mean() < 1
    assert np.abs(even.frames[40].astype(int) - uneven.frames[40].astype(int)).mean() > 1


# --- the set --------------------------------------------------------------------------------------------------------


def test_cache_holds_specifications_and_truth(built):
    cache, _ = built
    cache.validate()
    specs = clip_specs(SMALL["num_clips"], actions=SMALL["actions"])
    assert cache.is_procedural
    assert cache.extractor == "hog-pca8"
    assert cache.phase_names == {action: PHASE_NAMES[action] for action in SMALL["actions"]}
    assert cache.video_id.tolist() == [spec.video_id for spec in specs]
    assert cache.split.tolist() == [spec.split for spec in specs]
    assert cache.lengths.tolist() == [spec.num_frames for spec in specs]
    assert set(cache.fps.tolist()) == {24.0}
    clip = render_clip(specs[2], size=SMALL["size"])
    np.testing.assert_array_equal(cache.progress(2), clip.progress)
    np.testing.assert_array_equal(cache.labels(2), clip.phases)
    np.testing.assert_array_equal(cache.frame_times(2), np.arange(specs[2].num_frames) / 24)


def test_result_does_not_depend_on_workers(built, tmp_path):
    cache, _ = built
    other = EmbeddingCache(build_procedural_set(tmp_path / "other.h5", num_workers=1, **SMALL))
    assert other.source == cache.source
    assert other.fingerprint() == cache.fingerprint()
    for index in range(len(cache)):
        np.testing.assert_array_equal(other.read(index), cache.read(index))


def test_a_rendered_video_embeds_as_in_the_cache(built):
    """Only compression lies between the two: far less than between the poses of the action."""
    cache, videos = built
    extractor = HogExtractor.from_state(*cache.extractor_state())
    specs = clip_specs(SMALL["num_clips"], actions=SMALL["actions"])
    for index in (0, len(specs) - 1):
        frames, fps = read_video(video_path(videos, specs[index]))
        again, stored = extractor(frames), cache.read(index)
        assert fps == 24.0
        assert again.shape == stored.shape
        difference = np.linalg.norm(again - stored, axis=1).mean()
        assert difference < 0.25 * np.linalg.norm(stored - stored.mean(axis=0), axis=1).mean()
        nearest = np.linalg.norm(again[:, None] - stored, axis=-1).argmin(axis=1)
        assert np.abs(nearest - np.arange(len(stored))).mean() < 1.5  # frames


def test_missing_pyav_leaves_out_the_videos(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tpl_lightning.synthetic.build.has_pyav", lambda: False)
    options = {**SMALL, "num_clips": 2, "actions": ("dips",), "size": 16, "channels": 4}
    out = build_procedural_set(tmp_path / "set.h5", video_dir=tmp_path / "videos", num_workers=0, **options)
    assert len(EmbeddingCache(out)) == 2
    assert not (tmp_path / "videos").exists()
    assert "PyAV is missing" in caplog.text


def test_too_many_channels_are_lowered(tmp_path):
    options = {**SMALL, "num_clips": 2, "actions": ("dips",), "size": 16, "channels": 100_000}
    with pytest.warns(UserWarning, match="in place of 100000"):
        build_procedural_set(tmp_path / "set.h5", num_workers=0, **options)
    assert EmbeddingCache(tmp_path / "set.h5").num_channels < 100_000


def test_trimmed_clips_miss_their_ends_and_led_clips_idle_with_known_answers():
    """The same clip, cut: its frames have the progress that they had; idle ones have neither progress nor phase."""
    plain = clip_specs(6, actions=("dips",))
    assert all(spec.cut == spec.idle == (0, 0) for spec in plain)
    for options, kinds in (({"trim": 0.2}, "c"), ({"lead": 0.3}, "i"), ({"trim": 0.2, "lead": 0.3}, "ci")):
        specs = clip_specs(6, actions=("dips",), **options)
        cut, idle = (np.array([getattr(spec, name) for spec in specs]) for name in ("cut", "idle"))
        length = np.array([[spec.num_frames] for spec in specs])
        assert ((cut > 0).any(), (idle > 0).any()) == ("c" in kinds, "i" in kinds)
        assert (cut <= 0.2 * length + 1).all()
        assert (idle <= 0.3 * length + 1).all()
        assert not ((cut > 0) & (idle > 0)).any()
    spec = replace(plain[0], cut=(10, 0), idle=(0, 7))
    whole = random_progress(spec.num_frames, strength=1.0, rng=np.random.default_rng([*spec.seed, 1]))
    clip = render_clip(spec, size=32)
    np.testing.assert_array_equal(clip.progress[:-7], whole[10:])
    assert np.isnan(clip.progress[-7:]).all()
    assert (clip.phases[-7:] == -1).all()
    assert (clip.phases[:-7] >= 0).all()
    assert len(clip.frames) == len(clip.progress) == len(clip.phases) == spec.num_frames - 10 + 7

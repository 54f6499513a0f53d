"""Specifications of clips, and clips as they are drawn."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.synthetic import ACTIONS, PHASE_NAMES, clip_specs, render_clip
from tpl_lightning.synthetic.actions import ACTION_TABLE
from tpl_lightning.synthetic.tempo import random_progress


def _digest(clip):
    return hashlib.sha256(clip.frames.tobytes() + clip.progress.tobytes() + clip.phases.tobytes()).hexdigest()


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

import numpy as np
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.synthetic import PHASE_NAMES, plan_recording, render_recording
from tpl_lightning.synthetic.actions import ACTION_TABLE
from tpl_lightning.synthetic.clips import FPS
from tpl_lightning.synthetic.recordings import RecordingSpec


def test_the_truth_is_what_the_takes_show():
    counts = set()
    for number in range(30):
        spec = plan_recording(number)
        counts.add(len(spec.occurrences))
        progress = np.concatenate([own for _, _, own in spec.takes])
        shown = np.concatenate([[action] * len(own) for action, _, own in spec.takes])
        foreign = np.concatenate([[f] * len(own) for _, f, own in spec.takes])
        end = 0.0
        for one in spec.occurrences:
            first, last = round(one.start_s * FPS), round(one.end_s * FPS)
            assert one.start_s >= end
            end = one.end_s
            assert (progress[first], progress[last - 1]) == (0, 1)
            assert (np.diff(progress[first:last]) > 0).all()
            assert set(shown[first:last]) == {one.action}
            assert not foreign[first:last].any()
            assert len(one.phase_starts_s) == len(PHASE_NAMES[one.action])
            for phase, start in enumerate(one.phase_starts_s):
                assert ACTION_TABLE[one.action].phase_of(progress[[round(start * FPS)]])[0] == phase
    assert min(counts) == 0
    assert 10 <= max(counts) <= 12


def test_a_recording_depends_on_seed_and_number_alone():
    one, same, other = plan_recording(3, seed=1), plan_recording(3, seed=1), plan_recording(3, seed=2)
    assert one.occurrences == same.occurrences != other.occurrences
    assert {found.action for found in plan_recording(2, actions=["dips"]).occurrences} <= {"dips"}
    with pytest.raises(UserError, match=r"actions out of .*, but got yoga"):
        plan_recording(0, actions=["yoga"])


def test_takes_are_drawn_one_after_the_other():
    takes = (("dips", False, np.array([0.0, 0.5])), ("deadlift", True, np.array([0.0, 0.5, 1.0, 1.5])))
    frames = render_recording(RecordingSpec("r", (1, 2), takes, ()), size=32)
    assert frames.shape == (6, 32, 32, 3)
    assert np.abs(frames[1].astype(float) - frames[2]).mean() > 5

"""The common clock: the prototype's own, or the tempo of a video."""

import numpy as np
import pytest

from tests.run_factory import inverse_warp, make_run
from tpl_lightning.errors import UserError
from tpl_lightning.runs import Run
from tpl_lightning.sync.clips import open_clips
from tpl_lightning.sync.clock import make_clock

STRENGTHS = (0.0, 0.6)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("clock")
    return Run(make_run(folder, lengths=(40, 50), strengths=STRENGTHS))


@pytest.fixture(scope="module")
def clips(run):
    return open_clips(run.videos([]))


def test_prototype_time_runs_evenly_and_stays_at_its_end(run, clips):
    clock = make_clock(run, "jump", clips, "prototype")
    assert (clock.length, clock.reference) == (49, None)
    assert clock.duration_s == pytest.approx(48 / 24)
    np.testing.assert_allclose(clock.prototype_time(np.array([0.0, 0.5, 2.0, 9.0])), [0, 0.25, 1, 1])


def test_a_video_plays_at_its_own_tempo(run, clips):
    clock = make_clock(run, "jump", clips, "jump_1")
    assert clock.reference is clips[1]
    assert clock.duration_s == pytest.approx(49 / 24, abs=1e-3)
    seconds = np.array([0.0, 0.7, 1.5])
    expected = inverse_warp(STRENGTHS[1], seconds * 24 / 49)
    np.testing.assert_allclose(clock.prototype_time(seconds), expected, atol=2e-3)


def test_a_reference_that_is_not_shown(run, clips):
    with pytest.raises(UserError, match=r"reference=nobody: not among the videos \(jump_0, jump_1\)"):
        make_clock(run, "jump", clips, "nobody")

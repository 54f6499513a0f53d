"""The short clip of a run that a log shows."""

import pytest

from tests.run_factory import make_run
from tpl_lightning.sync.preview import write_preview
from tpl_lightning.video import probe_video


def test_a_few_videos_of_the_action_that_has_most(tmp_path):
    pytest.importorskip("av")
    lengths, strengths = (30, 24, 36, 28, 26), (0.0, 0.1, 0.2, 0.3, 0.4)
    run = make_run(tmp_path, lengths=lengths, strengths=strengths, prototype=24)
    out = tmp_path / "preview.mp4"
    assert write_preview(run, out) == out
    probe = probe_video(out)
    assert probe.clock.fps == 12
    assert probe.clock.num_frames == 18  # 35 / 24 s of the longest one, and the first frame
    assert probe.width > 4 * 96  # four side by side


def test_without_videos_there_is_none(tmp_path):
    run = make_run(tmp_path, lengths=(20, 24), strengths=(0.0, 0.1), files=False)
    assert write_preview(run, tmp_path / "preview.mp4") is None
    assert not (tmp_path / "preview.mp4").exists()

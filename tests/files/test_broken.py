"""What is said of videos that cannot be read."""

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.files.broken import report_broken
from tpl_lightning.files.outputs import Outputs

PROBLEMS = [f"v{k}.mp4 is no video." for k in range(5)]


def test_three_are_shown_and_all_are_listed(tmp_path):
    out = tmp_path / "x.h5"
    with pytest.raises(UserError) as error:
        report_broken(PROBLEMS, 9, out, Outputs("cache embed"), skip=False)
    text = str(error.value)
    assert text.startswith("5 of 9 videos cannot be read: v0.mp4")
    assert "v2.mp4" in text
    assert "v3.mp4" not in text
    assert text.endswith("skip_broken=true.")
    assert (tmp_path / "x.h5.broken.txt").read_text().splitlines() == PROBLEMS


def test_advice_that_does_not_apply_is_not_given(tmp_path):
    with pytest.raises(UserError) as error:
        report_broken(PROBLEMS[:2], 9, tmp_path / "x.h5", Outputs("cache embed"), skip=None)
    assert "skip_broken" not in str(error.value)
    assert list(tmp_path.iterdir()) == []  # all are in the message


def test_left_out_with_one_warning(tmp_path):
    with pytest.warns(UserWarning, match="left out: 2 of 9 videos") as caught:
        report_broken(PROBLEMS[:2], 9, tmp_path / "x.h5", Outputs("sync"), skip=True)
    assert len(caught) == 1
    report_broken([], 9, tmp_path / "x.h5", Outputs("sync"), skip=False)

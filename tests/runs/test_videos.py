"""pytest.importorskip("av")"""

import shutil

import pytest

from tests.run_factory import make_run
from tpl_lightning.errors import UserError
from tpl_lightning.runs import Run


def test_user_errors(run, clips, tmp_path):
    stray = tmp_path / "stray.mp4"
    shutil.copy(clips / "jump" / "jump_0.mp4", stray)
    with pytest.raises(UserError, match="it does not hold the extractor 'none' that made it"):
        run.videos([stray])  # what it shows would have to be seen
    shutil.copy(stray, tmp_path / "jump_0.mp4")
    with pytest.raises(UserError, match="a second file of the name 'jump_0'"):
        run.videos([clips, tmp_path / "jump_0.mp4"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no video there"):
        run.videos([tmp_path / "empty"])


def test_a_cache_that_has_moved_or_changed(folder, tmp_path):
    copy = tmp_path / "moved" / "c.h5"
    copy.parent.mkdir()
    shutil.copy(folder / "cache.h5", copy)
    assert len(Run(folder / "runs" / "r", cache=copy).cache) == 4
    with pytest.raises(UserError, match="say where it is with cache=PATH"):
        _ = Run(folder / "runs" / "r", cache=tmp_path / "none.h5").cache
    make_run(tmp_path, lengths=(21, 24), strengths=(0.1, 0.3), files=False)
    with pytest.raises(UserError, match="has 20 frames of video 'jump_0' \\(here: 21 frames\\)"):
        _ = Run(folder / "runs" / "r", cache=tmp_path / "cache.h5").cache
    (tmp_path / "half").mkdir()
    with pytest.raises(UserError, match="no alignment there"):
        Run(tmp_path / "half")


def test_a_video_is_meant_by_its_name_or_its_file(run, clips):
    known = run.known_videos("jump")
    first = str(known[0].video_id)
    assert run.video("video", first, known) is known[0]
    path = next(clips.rglob(f"{first.rpartition('/')[2]}*"))
    assert run.video("video", str(path), known) is known[0]  # a file of the run is its video
    with pytest.raises(UserError, match=rf"from=nobody: not among the videos \({first}"):
        run.video("from", "nobody", known)

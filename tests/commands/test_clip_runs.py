"""``tpl sync CLIPS`` and ``tpl view CLIPS``: from a folder of clips to videos in step, without a run."""

import shutil

import numpy as np
import pytest

from tests.run_factory import write_clip
from tpl_lightning import Synchronizer
from tpl_lightning.__main__ import main
from tpl_lightning.commands.clip_runs import find_clips
from tpl_lightning.errors import UserError
from tpl_lightning.runs.videos import Run
from tpl_lightning.video import probe_video, write_video

pytest.importorskip("av")


def moving(path, length, strength, size=48):
    """A bar that crosses the picture at a pace of its own."""
    time = np.linspace(0, 1, length)
    place = (8 + 32 * (time + strength * time * (1 - time))).astype(int)
    frames = np.full((length, size, size, 3), 60, np.uint8)
    for frame, x in zip(frames, place, strict=True):
        frame[8 : 8 + x, x - 4 : x + 4] = 230
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, 24)


@pytest.fixture
def clips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for k, (length, strength) in enumerate([(30, 0.5), (40, -0.5), (36, 0.0)]):
        moving(tmp_path / "clips" / f"take {k}.mp4", length, strength)
    return tmp_path / "clips"


def call(capsys, *arguments):
    code = main(list(arguments))
    return code, *capsys.readouterr()


def test_a_folder_of_clips_is_embedded_once_and_shown(clips, tmp_path, capsys):
    code, out, err = call(capsys, "sync", "clips/", "out=synced.mp4", "height=48")
    assert (code, out) == (0, "synced.mp4: 3 videos of clips in step\n")
    assert [line[:3] for line in err.splitlines() if line[1:2] == "/"] == ["1/3", "2/3", "3/3"]
    assert probe_video(tmp_path / "synced.mp4").clock.num_frames >= 36
    (run,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert sorted(Run(run).alignment.video_id) == ["take 0", "take 1", "take 2"]
    assert set(Run(run).alignment.split) == {"train"}
    assert Synchronizer.load(run).alignment_.video_id.tolist() == Run(run).alignment.video_id.tolist()
    before = (run / "alignment.h5").stat().st_mtime_ns
    # The page of the same clips, in another place: nothing is embedded or fitted again.
    shutil.move(clips, tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(clips)
    code, out, err = call(capsys, "view", "clips", "out=page", "progress=true")
    assert (code, (tmp_path / "page" / "index.html").is_file()) == (0, True)
    assert err.startswith(f"3 clips of clips: embedded and aligned before, runs/{run.name}\n")
    assert (run / "alignment.h5").stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()] == [run.name]


def test_a_clip_that_cannot_be_read(clips, tmp_path, capsys):
    (clips / "torn.mp4").write_bytes(b"no video")
    code, _, err = call(capsys, "sync", "clips", "out=synced.mp4", "height=48", "progress=false")
    assert (code, "1 of 4 videos cannot be embedded" in err, "skip_broken=true" in err) == (2, True, True)
    options = ["out=synced.mp4", "height=48", "progress=false", "skip_broken=true"]
    with pytest.warns(UserWarning, match="left out: 1 of 4"):
        code, out, _ = call(capsys, "sync", "clips", *options)
    assert (code, out) == (0, "synced.mp4: 3 videos of clips in step\n")
    assert call(capsys, "sync", "clips", "out=synced.mp4", "height=48", "progress=false")[0] == 2


def test_folders_of_actions_make_a_file_each(clips, tmp_path, capsys):
    for k, length in enumerate((20, 28)):
        moving(tmp_path / "all" / "push" / "day 1" / f"take {k}.mp4", length, 0.3)
    shutil.move(clips, tmp_path / "all" / "pull")
    code, out, _ = call(capsys, "sync", "all", "out=s.mp4", "height=48", "progress=false")
    assert (code, out) == (0, "s_pull.mp4: 3 videos of pull in step\ns_push.mp4: 2 videos of push in step\n")
    code, out, _ = call(capsys, "sync", "all", "out=one.mp4", "height=48", "progress=false", "action=push")
    assert (code, out) == (0, "one.mp4: 2 videos of push in step\n")


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


@pytest.mark.parametrize(
    ("files", "given", "action", "expected"),
    [
        (["s/jump/a.mp4", "s/jump/b.mp4", "s/turn/c.mp4", "s/turn/d/e.mp4"], ["s"], None, "jump jump turn turn"),
        (["s/a.mp4", "s/b.mp4"], ["s"], None, "s s"),
        (["s/a.mp4", "s/b.mp4"], ["s"], "jump", "jump jump"),
        (["s/a.mp4", "s/b.mp4", "s/old/c.mp4"], ["s"], None, "s s"),
        (["s/jump/a.mp4", "s/jump/b.mp4", "s/c.mp4"], ["s"], None, "jump jump"),
        (["s/jump/a.mp4", "s/jump/b.mp4", "s/turn/c.mp4"], ["s"], None, "jump jump"),
        (["cam1/a.mp4", "cam2/a.mp4"], ["cam1/a.mp4", "cam2/a.mp4"], "jump", "jump jump"),
        (["cam/a.mp4", "cam/b.mp4"], ["cam/a.mp4", "cam/b.mp4"], None, "cam cam"),
    ],
)
def test_what_clips_show(tmp_path, monkeypatch, files, given, action, expected):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, *files)
    found = find_clips(given, action)
    assert " ".join(clip.action for clip in found) == expected
    assert len({clip.video_id for clip in found}) == len(found)


@pytest.mark.parametrize(
    ("files", "action", "said"),
    [
        (["s/a.mp4"], None, "only one clip of 's' (a.mp4)"),
        (["s/jump/a.mp4", "s/turn/b.mp4"], None, "only one clip of 'jump' (a.mp4)"),
        (["s/a.txt"], None, "neither a run directory nor videos"),
        (["s/jump/a.mp4", "s/jump/b.mp4"], "run", "s has no folder of that name; there are: jump"),
    ],
)
def test_clear_refusals(tmp_path, monkeypatch, files, action, said):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, *files)
    with pytest.raises(UserError) as error:
        find_clips(["s"], action)
    assert said in str(error.value)


def test_what_is_no_run_and_no_clips(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "no such run directory" in call(capsys, "view", "nowhere")[2]
    touch(tmp_path, "s/a.mp4", "s/b.mp4")
    assert "cache=x.h5 goes with a run" in call(capsys, "sync", "s", "cache=x.h5")[2]
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    write_clip(tmp_path / "run" / "view" / "a.mp4", 4)
    assert "alignment.h5: no alignment there" in call(capsys, "sync", "run")[2]

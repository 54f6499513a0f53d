"""``tpl render``: a cache with the truth, videos beside it, and one line for what is wrong."""

from itertools import pairwise

import numpy as np
import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.labels import read_occurrences
from tpl_lightning.synthetic import ACTIONS
from tpl_lightning.synthetic.build import video_paths
from tpl_lightning.video import probe_video


def test_cache_and_videos_are_written_and_repeat(tmp_path, capsys):
    """Two calls with the same options give the same cache, with the true progress; videos lie beside it."""
    for name in ("first", "second"):
        options = ["num_clips=4", "size=48", "channels=8", "actions=[dips,pullups]", "seed=3", "num_workers=1"]
        assert main(["render", f"out={tmp_path / name}.h5", "progress=false", *options]) == 0
    first, second = (EmbeddingCache(tmp_path / f"{name}.h5") for name in ("first", "second"))
    first.validate()
    assert list(first.video_id) == list(second.video_id)
    assert sorted(set(first.action)) == ["dips", "pullups"]
    for i in range(len(first)):
        np.testing.assert_array_equal(first.read(i), second.read(i))
        progress = first.progress(i)
        assert (progress[0], progress[-1]) == (0, 1)
        assert (np.diff(progress) >= 0).all()
    assert sorted(p.stem for p in (tmp_path / "first").rglob("*.mp4")) == sorted(first.video_id)
    assert "4 clips" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["seed=-1"], "at least 0"),
        (["size=8"], "at least 32"),
        (["tempo_strength=-1"], "tempo_strength"),
        (["out=x.npz"], ".h5"),
        (["folder"], "out=folder"),
        (["clips=3"], "num_clips"),
        (["num_clips=3"], "at least 2 clips"),
        (["actions=[run]"], "bench_press"),
    ],
)
def test_bad_options_are_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    """Exit code 2, a line that says what was expected, nothing on disk."""
    monkeypatch.chdir(tmp_path)
    assert main(["render", *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert list(tmp_path.rglob("*.h5")) == []


def test_a_cache_that_is_there_stays(tmp_path, capsys):
    """Without overwrite=true what is on disk is kept."""
    out = tmp_path / "a.h5"
    out.write_bytes(b"mine")
    assert main(["render", f"out={out}", "num_clips=10"]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"


def test_clips_of_others_stay(tmp_path, capsys):
    (clip, *_) = video_paths(tmp_path / "v", 10, seed=0, actions=ACTIONS)
    clip.parent.mkdir(parents=True)
    clip.write_bytes(b"mine")
    assert main(["render", f"out={tmp_path / 'a.h5'}", f"videos={tmp_path / 'v'}", "num_clips=10"]) == 2
    assert f"{clip}: there is such a file, and this command has not made it" in capsys.readouterr().err
    assert clip.read_bytes() == b"mine"
    (tmp_path / "a.h5").write_bytes(b"mine too")
    assert main(["render", f"out={tmp_path / 'a.h5'}", "num_clips=10", "overwrite=true"]) == 2
    assert "something else than an embedding cache" in capsys.readouterr().err
    assert (tmp_path / "a.h5").read_bytes() == b"mine too"


def test_recordings_come_with_their_occurrences(tmp_path, capsys):
    options = ["recordings=2", "size=32", "actions=[dips,pullups]", "num_workers=1", "progress=false"]
    for name in ("first", "second"):
        assert main(["render", f"out={tmp_path / name}", *options]) == 0
    assert "first: 2 recordings, " in capsys.readouterr().out
    for number in range(2):
        first, second = (tmp_path / name / f"recording_{number:03d}.csv" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        end = float(probe_video(first.with_suffix(".mp4")).clock.times_s[-1]) + 1 / 24
        found = read_occurrences(first)
        assert {one.action for one in found} <= {"dips", "pullups"}
        assert all(0 <= one.start_s < one.end_s <= end for one in found)
        assert all(one.end_s <= after.start_s for one, after in pairwise(found))
    assert main(["render", f"out={tmp_path / 'x.h5'}", *options]) == 2
    assert "expected `out` to be a folder for recordings=2" in capsys.readouterr().err

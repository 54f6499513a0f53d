"""``tpl sync`` on clips whose frames carry their number: what the written files show."""

import csv
import subprocess
import sys

import numpy as np
import pytest

from tests.run_factory import inverse_warp, make_run, read_code, read_video, warp, write_clip
from tpl_lightning.__main__ import main
from tpl_lightning.files.outputs import MANIFEST
from tpl_lightning.runs.videos import Run
from tpl_lightning.sync.clips import open_clips
from tpl_lightning.sync.layout import plan_layout
from tpl_lightning.video.probe import probe_video

av = pytest.importorskip("av")

LENGTHS, STRENGTHS = (40, 50, 60, 45), (0.0, 0.6, -0.6, 0.4)
POINTS = 49  # of the prototype


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sync")
    make_run(folder, lengths=LENGTHS, strengths=STRENGTHS)
    return folder


@pytest.fixture
def run(folder):
    return folder / "runs" / "r"


def truth(k, prototype_time):
    """The frame of clip k at prototype times."""
    return np.rint(warp(STRENGTHS[k], prototype_time) * (LENGTHS[k] - 1))


def codes(frames, layout, panel, index):
    """The numbers that one cell shows over time."""
    x, y, *_ = layout.cell(panel, index)
    return np.array([read_code(f[y : y + layout.cell_height, x : x + layout.cell_width]) for f in frames])


def layout_of(run, **options):
    clips = open_clips(Run(run).videos([]))
    return plan_layout(clips, **{"panels": 2, "columns": None, "height": None, "width": None, **options})


def test_grid_shows_originals_above_and_all_in_step_below(run, tmp_path, capsys):
    out = tmp_path / "synced.mp4"
    assert main(["sync", str(run), f"out={out}", "height=80"]) == 0
    assert capsys.readouterr().out == f"{out}: 4 videos of jump in step\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, "synced.mp4"]
    frames, fps = read_video(out)
    layout = layout_of(run, height=80)
    assert fps == 24
    assert frames.shape[:3] == (60, layout.height + layout.height % 2, layout.width + layout.width % 2)
    time = np.minimum(np.arange(60) / 48, 1)
    for k, length in enumerate(LENGTHS):
        assert np.abs(codes(frames, layout, 1, k) - truth(k, time)).max() <= 1
        running = codes(frames[:length], layout, 0, k)
        np.testing.assert_array_equal(running, np.arange(length))


def test_the_file_plays_in_browsers(run, tmp_path):
    out = tmp_path / "synced.mp4"
    assert main(["sync", str(run), f"out={out}", "height=40"]) == 0
    content = out.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")  # the index comes first
    with av.open(str(out)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


def test_reference_speed_and_layout(run, tmp_path):
    out = tmp_path / "synced.mp4"
    options = ["reference=jump_1", "speed=0.5", "originals=false", "columns=2", "height=60", "width=120", "fps=12"]
    assert main(["sync", str(run), f"out={out}", *options]) == 0
    frames, fps = read_video(out)
    layout = layout_of(run, panels=1, columns=2, height=60, width=120)
    assert (layout.columns, layout.rows, layout.cell_width, layout.cell_height) == (2, 2, 120, 60)
    assert fps == 12
    assert len(frames) == 50  # 49 / 24 s at half the speed and 12 frames per second, and the first
    np.testing.assert_array_equal(codes(frames, layout, 0, 1), np.arange(50))
    time = inverse_warp(STRENGTHS[1], np.linspace(0, 1, 50))
    assert np.abs(codes(frames, layout, 0, 2) - truth(2, time)).max() <= 1


def test_warnings_are_one_line(run, folder, tmp_path, capsys):
    clip = tmp_path / "jump" / "jump_2.mp4"
    clip.parent.mkdir()
    data = bytearray((folder / "videos" / "tiny" / "jump" / "jump_2.mp4").read_bytes())
    data[-len(data) // 4 :] = bytes(len(data[-len(data) // 4 :]))
    clip.write_bytes(data)
    command = [sys.executable, "-m", "tpl_lightning", "sync", str(run), str(clip), f"out={tmp_path / 'a.mp4'}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr  # pytest keeps warnings itself
    lines = [line for line in shown.splitlines() if "damaged packet" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"tpl: warning: {clip} has ")


def test_separate_files_and_their_table_agree_exactly(run, tmp_path, capsys):
    out = tmp_path / "synced.mp4"
    assert main(["sync", str(run), f"out={out}", "separate=true", "height=40"]) == 0
    assert "4 videos with frames.csv" in capsys.readouterr().out
    with (tmp_path / "synced" / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * POINTS
    for k in range(4):
        own = [row for row in rows if row["video_id"] == f"jump_{k}"]
        frames, _ = read_video(tmp_path / "synced" / f"jump_{k}.mp4")
        assert frames.shape == (POINTS, 80, 160, 3)
        told = [int(row["source_frame"]) for row in own]
        assert [read_code(frame) for frame in frames] == told
        assert np.abs(np.array(told) - truth(k, np.linspace(0, 1, POINTS))).max() <= 1e-9 + (STRENGTHS[k] != 0)
        assert [float(row["source_time_s"]) for row in own] == pytest.approx(np.array(told) / 24, abs=1e-3)
        assert [float(row["prototype_frame"]) for row in own] == pytest.approx(range(POINTS), abs=1e-3)


def test_several_actions_get_a_file_each(tmp_path, capsys):
    run = make_run(tmp_path, actions=("jump", "turn"), lengths=(20, 24), strengths=(0.1, 0.2), prototype=20)
    assert main(["sync", str(run), f"out={tmp_path / 'o.mp4'}", "height=40"]) == 0
    assert sorted(p.name for p in tmp_path.glob("*.mp4")) == ["o_jump.mp4", "o_turn.mp4"]
    assert main(["sync", str(run), f"out={tmp_path / 'p.mp4'}", "height=40", "action=turn"]) == 0
    assert probe_video(tmp_path / "p.mp4").clock.num_frames == 24


def test_audio_is_dropped_with_a_note(run, folder, tmp_path, capsys):
    clip = tmp_path / "jump_0.mkv"
    with av.open(str(clip), "w") as container:
        picture = container.add_stream("h264", rate=24)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("aac", rate=8000, layout="mono")
        for _ in range(40):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(picture.encode(frame))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
        container.mux(picture.encode(None))
    assert main(["sync", str(run), str(clip), f"out={tmp_path / 'o.mp4'}", "height=64"]) == 0
    assert "audio is dropped (1 of 1 files have it)" in capsys.readouterr().err
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["out=o.gif"], "expected `out` to end in"),
        (["out=README.txt/o.mp4", "height=40"], "README.txt/o.mp4: cannot be written (README.txt is a file)"),
        (["speed=0"], "`speed` to be in 0.01..100"),
        (["columns=0"], "`columns` to be at least 1"),
        (["fps=fast"], "wrong value for `fps`"),
        (["reference=nobody"], "not among the videos (jump_0, jump_1, jump_2, jump_3)"),
        (["height=2000"], "players take at most 4096"),
        (["nowhere/"], "nowhere: no such video file or folder"),
        (["README.txt"], "not a video by its ending"),
        (["jump_3.mp4"], "jump_3.mp4"),
        (["cache=nowhere.h5"], "nowhere.h5: the cache"),
        (["--fast"], "options are written key=value"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(run, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.txt").write_text("no video")
    (tmp_path / "jump_3.mp4").write_text("no video either")
    assert main(["sync", str(run), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.txt", "jump_3.mp4"]


@pytest.mark.parametrize("command", ["sync", "transfer", "retrieve", "view"])
def test_help_and_a_missing_run(command, capsys, tmp_path):
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: tpl {command} RUN")
    more = ["video=a", "time=1"] if command == "retrieve" else []
    assert main([command, *more]) == 2
    assert "expected a run directory first" in capsys.readouterr().err
    assert main([command, str(tmp_path / "no"), *more]) == 2
    assert "no such run directory" in capsys.readouterr().err


@pytest.mark.slow
def test_memory_stays_bounded(tmp_path):
    """Twenty clips in 1080p within 2 GiB: what is decoded is one frame per clip and panel."""
    import resource
    import subprocess
    import sys

    from tests.run_factory import write_clip

    run = make_run(tmp_path, lengths=(24,) * 20, strengths=tuple(np.linspace(-0.8, 0.8, 20)), files=False)
    for k in range(20):
        target = tmp_path / "videos" / "tiny" / "jump" / f"jump_{k}.mp4"
        if k == 0:
            write_clip(target, 24, width=1920, height=1080)
        else:
            target.write_bytes((target.parent / "jump_0.mp4").read_bytes())
    command = [sys.executable, "-m", "tpl_lightning", "sync", str(run), f"out={tmp_path / 'o.mp4'}"]
    subprocess.run(command, check=True, capture_output=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 * 2**20  # in KiB


def test_the_rate_is_that_of_the_videos(tmp_path):
    """Embedded at 12 frames per second, the files have 24: what is written moves as they do."""
    run = make_run(tmp_path, lengths=(20, 24), strengths=(0.0, 0.2), fps=12.0, prototype=20, files=False)
    for k, length in enumerate((20, 24)):
        write_clip(tmp_path / "videos" / "tiny" / "jump" / f"jump_{k}.mp4", 2 * length, fps=24.0)
    out = tmp_path / "o.mp4"
    assert main(["sync", str(run), f"out={out}", "height=40", "originals=false", "separate=true"]) == 0
    clock = probe_video(out).clock
    assert (clock.fps, clock.num_frames) == (24, 39)  # 20 points at 12 per second: 19 / 12 s
    with (tmp_path / "o" / "frames.csv").open(newline="") as file:
        own = [row for row in csv.DictReader(file) if row["video_id"] == "jump_0"]
    assert [int(row["source_frame"]) for row in own] == list(range(39))
    assert main(["sync", str(run), f"out={out}", "height=40", "originals=false", "fps=12"]) == 0
    assert probe_video(out).clock.num_frames == 20


def test_nothing_that_is_read_or_foreign_is_replaced(run, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    swing = tmp_path / "jump"
    swing.mkdir()
    for k in range(2):
        (swing / f"jump_{k}.mp4").write_bytes((folder / "videos" / "tiny" / "jump" / f"jump_{k}.mp4").read_bytes())
    before = {path: path.read_bytes() for path in swing.iterdir()}
    (tmp_path / "link.mp4").symlink_to(swing / "jump_1.mp4")
    (tmp_path / "mine.mp4").write_text("mine")
    for options in (["out=jump.mp4", "separate=true"], ["out=jump/jump_0.mp4"], ["out=link.mp4"], ["out=mine.mp4"]):
        assert main(["sync", str(run), "jump", *options]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert {path: path.read_bytes() for path in swing.iterdir()} == before
    assert (tmp_path / "mine.mp4").read_text() == "mine"
    for _ in range(2):  # its own output is replaced, and is no video of the folder
        assert main(["sync", str(run), "jump", "out=jump/all.mp4", "height=40"]) == 0
        assert "all.mp4: 2 videos" in capsys.readouterr().out


def test_broken_videos_are_named_or_left_out(run, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for k in range(4):
        content = (folder / "videos" / "tiny" / "jump" / f"jump_{k}.mp4").read_bytes() if k == 0 else b"no video"
        (tmp_path / f"jump_{k}.mp4").write_bytes(content)
    assert main(["sync", str(run), ".", "out=o.mp4"]) == 2
    assert "3 of 4 videos cannot be read" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="left out: 3 of 4"):
        assert main(["sync", str(run), ".", "out=o.mp4", "skip_broken=true", "height=40"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "o.mp4: 1 videos of jump in step\n"
    assert "Writing frames of jump" in shown.err
    assert main(["sync", str(run), ".", "out=p.mp4", "skip_broken=true", "height=40", "progress=false"]) == 0
    assert "Writing" not in capsys.readouterr().err


def test_data_cache_is_the_cache(run, folder, tmp_path):
    out, cache = f"out={tmp_path / 'o.mp4'}", folder / "cache.h5"
    assert main(["sync", str(run), f"data.cache={cache}", out, "height=40", "action=jump"]) == 0

"""Frames and seconds of files behind warps."""

import shutil
import warnings
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.run_factory import code_picture, make_run, read_code, write_clip
from tpl_lightning.errors import UserError
from tpl_lightning.runs import Run, RunVideo
from tpl_lightning.sync.clips import open_clips
from tpl_lightning.video import VideoClock
from tpl_lightning.video.files import VideoReader

av = pytest.importorskip("av")


def video_of(path, length, fps, name="v"):
    line = np.linspace(0, 1, length)
    warp = line.astype(np.float32), np.linspace(0, 1, 30, dtype=np.float32)
    return RunVideo(*warp, name, "jump", "train", VideoClock.even(length, fps), path)


def write_uneven(path, ticks):
    """Coded frames that appear at the given hundredths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=100, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 160, 80, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 100)
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(code_picture(number), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_uneven_frames_are_found_by_time_or_number(tmp_path):
    ticks = [0, 2, 4, 6, 30, 60, 90, 92, 94, 100]
    path = write_uneven(tmp_path / "v.mp4", ticks)
    (by_number,) = open_clips([video_of(path, 10, 9.0)])
    np.testing.assert_allclose(by_number.seconds(np.arange(10)), np.array(ticks) / 100, atol=1e-6)
    assert [read_code(p) for p in by_number.pictures(np.arange(10))] == list(range(10))
    (by_time,) = open_clips([video_of(path, 21, 20.0)])  # resampled to 20 frames per second
    at = np.array([0, 1, 5, 6, 13, 20])  # 0, .05, .25, .30, .65, 1 s
    assert by_time.file_frame(at).tolist() == [0, 2, 4, 4, 5, 9]


def test_frame_by_frame_where_the_counts_agree(tmp_path):
    # The cache claims 12 frames per second: counts that agree win over rates that do not.
    (clip,) = open_clips([video_of(write_clip(tmp_path / "v.mp4", 30), 30, 12.0)])
    assert clip.is_frame_by_frame
    np.testing.assert_array_equal(clip.file_frame(np.arange(30)), np.arange(30))
    np.testing.assert_allclose(clip.seconds(np.arange(30)), np.arange(30) / 24, atol=1e-4)
    assert clip.seconds(np.array(30.0)) == pytest.approx(30 / 24, abs=1e-4)
    np.testing.assert_allclose(clip.embedded_frame(clip.seconds(np.arange(30))), np.arange(30), atol=1e-3)


def test_by_time_where_frames_were_thinned_out(tmp_path):
    (clip,) = open_clips([video_of(write_clip(tmp_path / "v.mp4", 48), 24, 12.0)])
    assert not clip.is_frame_by_frame
    np.testing.assert_array_equal(clip.file_frame(np.arange(24)), 2 * np.arange(24))
    assert clip.duration_s == pytest.approx(23 / 12)
    assert clip.embedded_frame(np.array(1.0)) == pytest.approx(12.0)


def test_a_file_of_another_length_is_said_and_never_left(tmp_path):
    path = write_clip(tmp_path / "v.mp4", 20)
    with pytest.warns(UserWarning, match=r"but lasts 0.83 s \(20 frames\), and 1.67 s \(40 frames\) were embedded"):
        (clip,) = open_clips([video_of(path, 40, 24.0)])
    assert clip.file_frame(np.arange(40)).max() == 19


def test_pictures_are_the_frames_asked_for(tmp_path):
    (clip,) = open_clips([video_of(write_clip(tmp_path / "v.mp4", 60), 60, 24.0)])
    wanted = np.array([0, 0, 3, 4, 4, 4, 17, 58, 59, 59])
    shown = list(clip.pictures(wanted, lambda width, height: (width // 2, height // 2)))
    assert [read_code(picture) for picture in shown] == wanted.tolist()
    assert shown[0].shape == (40, 80, 3)


def test_a_broken_tail_holds_the_last_frame(tmp_path):
    whole = write_clip(tmp_path / "whole.mkv", 60)
    broken = tmp_path / "v.mkv"
    broken.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    (clip,) = open_clips([video_of(broken, 60, 24.0)])
    count = clip.probe.clock.num_frames
    assert 10 < count < 60
    codes = [read_code(picture) for picture in clip.pictures(np.arange(60).clip(max=59))]
    assert len(codes) == 60
    assert codes[: count - 1] == list(range(count - 1))
    assert len(set(codes[count:])) == 1


def test_run_videos_map_back_and_forth(tmp_path):
    run = Run(make_run(tmp_path, files=False))
    for video in run.known_videos("jump"):
        time = np.linspace(0, 1, 101)
        np.testing.assert_allclose(video.prototype_time(video.frame(time)), time, atol=2e-3)
        assert video.frame(np.array(1.0)) == video.num_frames - 1


def test_missing_files_are_named(tmp_path):
    run = Run(make_run(tmp_path))
    with pytest.raises(UserError, match="jump_0: the run knows this video, but its file is not here"):
        open_clips(run.known_videos("jump"))
    shutil.rmtree(tmp_path / "videos")
    with pytest.raises(UserError, match="its video files are not beside the cache"):
        run.videos([])


def test_code_pictures():
    assert [read_code(code_picture(k)) for k in (0, 1, 100, 255)] == [0, 1, 100, 255]


TICKS = [0, 2, 4, 6, 30, 60, 90, 92, 94, 100]


def with_times(path, times, fps):
    return replace(video_of(path, len(times), fps), clock=VideoClock(np.array(times), stated_fps=fps), timed=True)


def test_a_resampled_row_is_the_frame_that_was_embedded(tmp_path):
    path = write_uneven(tmp_path / "v.mp4", TICKS)
    for fps in (5.0, 9.0, 12.0, 40.0):  # 9: as many rows as the file has frames, by chance
        reader = VideoReader(path, fps=fps)
        shown = [read_code(picture) for picture in reader]
        assert shown == reader.frames
        (clip,) = open_clips([with_times(path, reader.clock.times_s, fps)])
        assert clip.file_frame(np.arange(len(shown))).tolist() == shown
        assert [read_code(p) for p in clip.pictures(clip.file_frame(np.arange(len(shown))))] == shown


def test_only_what_was_embedded_is_taken_without_a_word(tmp_path):
    path = write_uneven(tmp_path / "v.mp4", TICKS)
    times = np.array(TICKS) / 100
    size = path.stat().st_size
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for known, fps in ((times, 9.0), (times[:6], 9.0), (np.arange(10) / 10, 10.0)):
            open_clips([replace(with_times(path, known, fps), file_bytes=size)])
    for known, size_then, found in (
        (times * 1.3, size, "lasts 1.11 s"),
        (np.append(times, 1.1), size, r"\(10 frames\), and 1.21 s \(11 frames\) were embedded"),
        (times, size + 1, f"has {size} bytes, and {size + 1} when it was embedded"),
    ):
        with pytest.warns(UserWarning, match=f"v.mp4 is taken for video 'v' of the run by its name, but .*{found}"):
            open_clips([replace(with_times(path, known, 9.0), file_bytes=size_then)])

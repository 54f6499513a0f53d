"""What a file holds, by decoding it or by what is known of it."""

import os
from fractions import Fraction

import numpy as np
import pytest

from tpl_lightning.video import probe
from tpl_lightning.video.files import write_video
from tpl_lightning.video.probe import probe_video

av = pytest.importorskip("av")

from tests.video_factory import numbered, write_at  # noqa: E402 - needs PyAV

TICKS = [0, 2, 4, 6, 30, 60, 90, 92, 94, 100]


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "h264"), ("v.mkv", "mpeg4"), ("v.webm", "vp8")])
def test_times_size_and_codec(tmp_path, name, codec):
    path = write_at(tmp_path / name, numbered(10), TICKS, 100, codec="libvpx" if codec == "vp8" else codec, options={})
    found = probe_video(path)
    np.testing.assert_allclose(found.clock.times_s, np.array(TICKS) / 100, atol=1e-3)
    assert (found.width, found.height, found.codec, found.pixel_format) == (160, 80, codec, "yuv420p")
    assert not found.has_audio
    assert not found.is_interlaced
    assert found.duration_s == pytest.approx(1.0, abs=0.05)  # and how long the last frame stays


def test_sound_is_noticed(tmp_path):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as file:
        video, sound = file.add_stream("h264", rate=24), file.add_stream("aac", rate=44100, layout="mono")
        video.width, video.height, video.pix_fmt = 160, 80, "yuv420p"
        for frame in numbered(3):
            file.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        wave.rate, wave.pts, wave.time_base = 44100, 0, Fraction(1, 44100)
        file.mux(sound.encode(wave))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    assert probe_video(path).has_audio


def test_a_file_that_has_changed_is_read_anew(tmp_path):
    path = write_video(tmp_path / "v.mp4", numbered(5), 24.0)
    assert probe_video(path).clock.num_frames == 5
    write_video(path, numbered(8), 24.0)
    os.utime(path, ns=(1, 1))
    assert probe_video(path).clock.num_frames == 8


def test_times_that_are_known_spare_decoding(tmp_path, monkeypatch):
    path = write_at(tmp_path / "v.mp4", numbered(10), TICKS, 100)
    whole = probe_video(path)
    known = np.array(TICKS) / 100
    decoded = []

    class Counted(probe.FrameDecoder):
        def __iter__(self):
            for frame in super().__iter__():
                decoded.append(frame)
                yield frame

    monkeypatch.setattr(probe, "FrameDecoder", Counted)
    quick = probe_video(path, known=known)
    assert len(decoded) == 1
    assert (quick.width, quick.codec) == (whole.width, whole.codec)
    np.testing.assert_allclose(quick.clock.times_s, whole.clock.times_s)
    assert quick.clock.start_s == whole.clock.start_s
    other = probe_video(path, known=known * 1.01)  # times of another file do not count
    np.testing.assert_array_equal(other.clock.times_s, whole.clock.times_s)

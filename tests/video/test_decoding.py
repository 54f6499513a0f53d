"""Decoding: all frames that can be, each at its time."""

import warnings

import numpy as np
import pytest

from tests.run_factory import read_code
from tpl_lightning.video.decoding import FrameDecoder
from tpl_lightning.video.files import VideoReader, write_video
from tpl_lightning.video.probe import probe_video

av = pytest.importorskip("av")

from tests.video_factory import damaged, numbered, write_at  # noqa: E402 - needs PyAV


def times_of(path):
    decoder = FrameDecoder(path)
    return [time for time, _ in decoder], decoder


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "h264", {"g": "12", "bf": "0"}),
        ("a.mp4", "h264", {"g": "12", "bf": "2"}),
        ("a.avi", "mpeg4", {}),
        ("a.avi", "mjpeg", {}),
    ],
)
def test_a_damaged_packet_costs_one_frame(tmp_path, name, codec, options):
    kind = {"prepare": lambda stream: setattr(stream, "pix_fmt", "yuvj420p")} if codec == "mjpeg" else {}
    path = damaged(write_at(tmp_path / name, numbered(40), range(40), codec=codec, options=options, **kind), 25)
    with pytest.warns(UserWarning, match=rf"{name} has 1 damaged packet, left out \(.*\): read 39 frames") as caught:
        times, decoder = times_of(path)
    assert len(caught) == 1
    assert (len(times), decoder.damaged) == (39, 1)
    missing = set(range(40)) - set(np.rint(np.array(times) * 24).astype(int).tolist())
    assert len(missing) == 1
    with pytest.warns(UserWarning, match="damaged"):
        assert probe_video(path).clock.times_s.tolist() == times


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.mkv", "h264"), ("a.avi", "mpeg4")])
def test_titles_that_are_not_utf_8_keep_no_video_from_being_read(tmp_path, name, codec):
    path = write_at(tmp_path / name, numbered(5), range(5), codec=codec)
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xe9avf"))  # what wrote it, in latin-1
    assert [read_code(frame) for frame in VideoReader(path)] == list(range(5))
    assert probe_video(path).clock.times_s.tolist() == pytest.approx([k / 24 for k in range(5)], abs=1e-3)


def test_what_is_in_the_decoder_comes_out_where_a_file_breaks_off(tmp_path):
    path = write_at(tmp_path / "a.mkv", numbered(60), range(60), options={"bf": "3", "g": "60"})
    data = path.read_bytes()
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    (tmp_path / "cut.mkv").write_bytes(data[: packets[30].pos - 10])
    with pytest.warns(UserWarning, match=r"cut.mkv breaks off \(frames are missing\)"):
        times, _ = times_of(tmp_path / "cut.mkv")
    # Every packet that is there was shown: none stays behind in the decoder.
    whole = [packet.pts for packet in packets if packet.pos < packets[29].pos]
    assert len(times) >= len(whole)


def test_a_stream_that_starts_in_the_middle_starts_at_its_first_picture(tmp_path):
    path = write_at(tmp_path / "a.ts", numbered(60), range(60), options={"g": "20", "bf": "0", "sc_threshold": "0"})
    data = path.read_bytes()
    with av.open(str(path)) as file:
        start = [packet.pos for packet in file.demux(video=0) if packet.size][5]
    cut = tmp_path / "b.ts"
    cut.write_bytes(data[: 2 * 188] + data[start:])
    reader = VideoReader(cut)
    shown = [read_code(frame) for frame in reader]
    assert shown == list(range(20, 60))
    np.testing.assert_allclose(reader.clock.times_s, np.arange(40) / 24, atol=1e-4)
    assert probe_video(cut).clock.num_frames == 40


def test_frames_that_avi_leaves_out_take_their_time(tmp_path):
    ticks = [0, 1, 2, 3, 10, 11, 12, 20, 23]
    for name, codec, options in (("a.avi", "mpeg4", {}), ("b.avi", "h264", {"bf": "2"})):
        path = write_at(tmp_path / name, numbered(9), ticks, codec=codec, options=options)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            times, _ = times_of(path)
        assert len(times) == 9
        if codec == "mpeg4":
            np.testing.assert_allclose(times, np.array(ticks) / 24, atol=1e-6)
        assert (np.diff(times) > 0).all()


def test_recordings_of_browsers_run_at_the_rate_of_their_frames(tmp_path):
    """Live WebM has times in milliseconds, and FFmpeg takes these for a rate of 1000."""
    ticks = np.round(np.arange(40) * 33.3 + np.random.default_rng(0).integers(0, 8, 40)).astype(int)
    path = write_at(tmp_path / "a.webm", numbered(40), ticks, 1000, codec="libvpx", options={}, container={"live": "1"})
    clock = probe_video(path).clock
    assert clock.fps == pytest.approx(30, rel=0.02)
    assert clock.usual_fps == pytest.approx(30, rel=0.03)


def test_clocks_that_start_anew_go_on(tmp_path):
    part = write_at(tmp_path / "a.ts", numbered(30), range(30), options={"bf": "0"})
    joined = tmp_path / "b.ts"
    joined.write_bytes(part.read_bytes() * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        times, _ = times_of(joined)
    np.testing.assert_allclose(times, np.arange(60) / 24, atol=1e-3)


def test_a_file_that_is_shorter_than_its_packets_by_an_edit_list_is_whole(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(40), 24.0)
    data = path.read_bytes()
    # The media time of the only edit, in units of the track: start half a second into the stream.
    place = data.index(b"elst") + 4 + 8 + 4
    with av.open(str(path)) as file:
        scale = file.streams.video[0].time_base.denominator
    start = int.from_bytes(data[place : place + 4], "big") + scale // 2
    path.write_bytes(data[:place] + start.to_bytes(4, "big") + data[place + 4 :])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = [read_code(frame) for frame in VideoReader(path)]
        assert probe_video(path).clock.num_frames == len(shown)
    assert shown == list(range(12, 40))


def test_the_cover_of_a_file_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        cover = file.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        stream = file.add_stream("h264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 80, "yuv420p"
        cover.disposition = av.stream.Disposition.attached_pic
        file.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        for frame in numbered(10):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(cover.encode(None))
        file.mux(stream.encode(None))
    assert [read_code(frame) for frame in VideoReader(path)] == list(range(10))

"""Video files: what is written is read back, and broken files are named in one line."""

import os
import struct
import subprocess
import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.run_factory import read_video
from tpl_lightning.errors import UserError
from tpl_lightning.video.files import VideoReader, has_pyav, write_video
from tpl_lightning.video.probe import probe_video

av = pytest.importorskip("av")

from tests.video_factory import write_at  # noqa: E402 - needs PyAV


def make_frames(count, height=48, width=64):
    """Smooth frames, each with its number in the brightness, so that their order shows."""
    ramp = np.linspace(0, 40, width)[None, None, :, None] + np.linspace(0, 40, height)[None, :, None, None]
    level = np.linspace(10, 170, count)[:, None, None, None]
    return np.broadcast_to(ramp + level, (count, height, width, 3)).astype(np.uint8)


def check_one_line(error, path):
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.webm"])
@pytest.mark.parametrize("fps", [24.0, 30000 / 1001])
def test_round_trip(tmp_path, name, fps):
    frames = make_frames(17)
    path = write_video(tmp_path / "new folder" / name, frames, fps)
    assert [p.name for p in path.parent.iterdir()] == [name]  # no part is left
    found, found_fps = read_video(path)
    assert found.shape == frames.shape
    assert found.dtype == np.uint8
    assert found_fps == pytest.approx(fps, rel=1e-3)
    assert np.abs(found.astype(int) - frames.astype(int)).mean() < 4
    probe = probe_video(path)
    assert (probe.clock.num_frames, probe.width, probe.height) == (17, 64, 48)
    assert probe.clock.fps == found_fps


@pytest.mark.parametrize(("height", "width"), [(47, 63), (48, 63), (47, 64), (17, 201)])
def test_odd_sizes_grow_by_repeated_pixels(tmp_path, height, width):
    frames = make_frames(9, height, width)
    found, _ = read_video(write_video(tmp_path / "odd.mp4", frames, 25.0))
    assert found.shape == (9, height + height % 2, width + width % 2, 3)
    assert np.abs(found[:, :height, :width].astype(int) - frames.astype(int)).mean() < 4
    if width % 2:
        assert np.abs(found[:, :, -1].astype(int) - found[:, :, -2].astype(int)).mean() < 4


@pytest.mark.parametrize("count", [1, 2, 125])
def test_every_frame_comes_back_in_order(tmp_path, count):
    frames = make_frames(count)
    found, _ = read_video(write_video(tmp_path / "a.mp4", iter(frames), 24.0))
    assert len(found) == count
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), frames.mean(axis=(1, 2, 3)), atol=3)


def test_writing_is_deterministic(tmp_path):
    frames = make_frames(9, 240, 320)  # at this size x264's code for AVX-512 is not
    assert len({write_video(tmp_path / f"{k}.mp4", frames, 24.0).read_bytes() for k in range(12)}) == 1


_WRITE = """
import sys
import numpy as np
from tpl_lightning.video.files import write_video
ramp = np.linspace(0, 40, 100)[None, :] + np.linspace(0, 40, 50)[:, None]
frames = [np.repeat((ramp + 18 * level)[..., None], 3, axis=-1).astype(np.uint8) for level in range(9)]
sys.stdout.buffer.write(write_video(sys.argv[1], frames, 24.0).read_bytes())
"""


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_file_does_not_depend_on_what_memory_held_before(tmp_path, name):
    written = []
    for filling in ("85", "165"):
        environment = {**os.environ, "MALLOC_PERTURB_": filling}  # of glibc; elsewhere it does nothing
        command = [sys.executable, "-c", _WRITE, str(tmp_path / name)]
        written.append(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert len(written[0]) > 1000
    assert written[0] == written[1]


def test_size_shrinks_but_never_enlarges(tmp_path):
    path = write_video(tmp_path / "a.mp4", make_frames(3, 48, 64), 24.0)
    assert read_video(path, size=32)[0].shape == (3, 24, 32, 3)
    assert read_video(path, size=500)[0].shape == (3, 48, 64, 3)


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (12.0, range(0, 24, 2)),
        (8.0, range(0, 24, 3)),
        (24.0, range(24)),
        (48.0, np.repeat(range(24), 2)),  # half-way instants take the earlier frame
    ],
)
def test_fps_takes_the_nearest_frames(tmp_path, fps, expected):
    path = write_video(tmp_path / "a.mp4", make_frames(24), 24.0)
    everything, _ = read_video(path)
    found, found_fps = read_video(path, fps=fps)
    np.testing.assert_array_equal(found, everything[list(expected)])
    assert found_fps == fps


def test_thinning_to_a_rate_that_does_not_divide_keeps_the_nearest(tmp_path):
    path = write_video(tmp_path / "a.mp4", make_frames(48), 24.0)
    found, _ = read_video(path, fps=10.0)
    levels = read_video(path)[0].mean(axis=(1, 2, 3))
    picked = [int(np.abs(levels - frame.mean()).argmin()) for frame in found]
    assert all(a < b for a, b in pairwise(picked))
    np.testing.assert_allclose(np.array(picked) / 24, np.arange(len(picked)) / 10, atol=0.5 / 24 + 1e-6)


def test_a_variable_frame_rate_is_evened_out(tmp_path):
    ticks = [0, 1, 2, 3, 10, 11, 12, 20, 23]
    path = write_at(tmp_path / "a.mp4", make_frames(9), ticks)
    with pytest.warns(UserWarning, match=r"a\.mp4 has a variable frame rate .*: each frame keeps its own time\.$"):
        everything = np.array(list(VideoReader(path)))
    assert len(everything) == 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, fps = read_video(path, fps=12.0)
    wanted = np.arange(len(found)) * 2  # in ticks
    nearest = np.abs(np.array(ticks)[None] - wanted[:, None]).argmin(axis=1)
    np.testing.assert_array_equal(found, everything[nearest])
    assert (fps, len(found)) == (12.0, 13)  # the last frame stands for half of its 3 ticks: up to 24.5


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.webm"])
def test_an_even_rate_is_not_warned_of(tmp_path, name):
    path = write_video(tmp_path / name, make_frames(40), 30000 / 1001)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(VideoReader(path))) == 40
        assert len(list(VideoReader(path, fps=30000 / 1001))) == 40


def _turned(path, quarter):
    """Say in an mp4's track header that frames are to be shown turned clockwise; 16.16 fixed point."""
    one, minus = struct.pack(">i", 1 << 16), struct.pack(">i", -(1 << 16))
    zero, last = bytes(4), struct.pack(">i", 1 << 30)
    plain = one + zero * 3 + one + zero * 3 + last
    cosine, sine = {1: (zero, one), 2: (minus, zero), 3: (zero, minus)}[quarter]
    turned = cosine + sine + zero + {one: minus, minus: one, zero: zero}[sine] + cosine + zero * 3 + last
    data = path.read_bytes()
    header = data.index(b"tkhd")
    place = data.index(plain, header)
    path.write_bytes(data[:place] + turned + data[place + len(plain) :])
    return path


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_rotation_is_applied(tmp_path, quarter):
    frames = np.zeros((3, 48, 64, 3), np.uint8)
    frames[:, :16, :16] = 250  # a mark in the upper left corner
    upright, _ = read_video(write_video(tmp_path / "a.mp4", frames, 24.0))
    path = _turned(tmp_path / "a.mp4", quarter)
    found, _ = read_video(path)
    np.testing.assert_array_equal(found, np.rot90(upright, -quarter, axes=(1, 2)))
    probe = probe_video(path)
    assert (probe.height, probe.width) == found.shape[1:3]
    # A wanted size is that of what is shown.
    small, _ = read_video(path, size=lambda width, height: (width // 2, height // 4))
    assert small.shape[1:3] == (found.shape[1] // 4, found.shape[2] // 2)


def test_shrinking_is_that_of_pillow(tmp_path):
    y, x = np.mgrid[0:240, 0:320]
    # Colours change slowly: chroma has half of the resolution in a video, so fast ones differ.
    light = 40 * np.sin(x / 5) + 40 * np.cos(y / 4)
    picture = np.stack([127 + 40 * np.sin(x / 70), 127 + 40 * np.cos(y / 60), 60 + (x + y) / 5], axis=-1)
    picture = (picture + light[..., None]).clip(0, 255).astype(np.uint8)
    path = write_video(tmp_path / "a.mp4", np.repeat(picture[None], 2, axis=0), 24.0, crf=1)
    whole = read_video(path)[0][0]
    for size in ((160, 120), (85, 64), (43, 32)):
        found = read_video(path, size=lambda width, height, size=size: size)[0][0]
        expected = np.asarray(Image.fromarray(whole).resize(size, Image.Resampling.BICUBIC))
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() < 2.5


def stripes(height, width):
    """Red, green and blue side by side."""
    picture = np.empty((height, width, 3), np.uint8)
    for index, color in enumerate(((220, 40, 30), (40, 200, 60), (40, 60, 220))):
        picture[:, index * width // 3 : (index + 1) * width // 3] = color
    return picture


@pytest.mark.parametrize("height", [48, 720])
def test_files_name_their_colours(tmp_path, height):
    picture = stripes(height, 96)
    path = write_video(tmp_path / "a.mp4", [picture] * 2, 24.0, crf=1)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    # BT.709 in the limited range: players that are not told guess by the height.
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
    found = next(iter(VideoReader(path)))
    assert np.abs(found[:, 8::32].astype(int) - picture[:, 8::32]).max() < 4


@pytest.mark.parametrize(("height", "matrix"), [(48, "ITU601"), (720, "ITU709")])
def test_colours_without_a_name_are_guessed_as_players_do(tmp_path, height, matrix):
    picture, path = stripes(height, 96), tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=24, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = height, 96, "yuv420p"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=av.video.reformatter.Colorspace[matrix]
        )
        frame.colorspace = 2  # not named
        for _ in range(2):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = next(iter(VideoReader(path)))
    assert np.abs(found[:, 8::32].astype(int) - picture[:, 8::32]).max() < 4


def test_frames_keep_the_size_of_the_first(tmp_path):
    """Streams may change their size on the way."""
    parts = [tmp_path / "a.h264", tmp_path / "b.h264"]
    for path, shape in zip(parts, ((48, 64), (96, 128)), strict=True):
        with av.open(str(path), "w", format="h264") as container:
            stream = container.add_stream("h264", rate=24)
            stream.height, stream.width, stream.pix_fmt = *shape, "yuv420p"
            for frame in make_frames(4, *shape):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(b"".join(path.read_bytes() for path in parts))
    assert read_video(joined)[0].shape == (8, 48, 64, 3)
    assert read_video(joined, size=lambda width, height: (width // 2, height // 2))[0].shape == (8, 24, 32, 3)


def test_files_of_other_kinds_are_named(tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("this is no video\n" * 20)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    missing = tmp_path / "missing.mp4"
    for path in (text, empty, missing, tmp_path):
        for function in (read_video, probe_video):
            with pytest.raises(UserError) as error:
                function(path)
            check_one_line(error, path)


def test_a_sound_file_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UserError, match="no video stream") as error:
        read_video(path)
    check_one_line(error, path)


def test_a_file_that_lost_its_index_is_named(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", make_frames(60), 24.0).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.replace(b"moov", b"lost"))
    with pytest.raises(UserError) as error:
        read_video(path)
    check_one_line(error, path)


@pytest.mark.parametrize("name", ["whole.mkv", "whole.webm"])
def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, size=(60, 48, 64, 3)).astype(np.uint8)
    whole = write_video(tmp_path / name, noise, 24.0).read_bytes()
    path = tmp_path / f"cut_{name}"
    path.write_bytes(whole[: len(whole) // 2])
    # Matroska does not count its frames; the time it is said to last gives the loss away.
    with pytest.warns(UserWarning, match=r"cut_whole\.\w+ breaks off .* read \d+ frames"):
        found = list(VideoReader(path))
    assert 5 < len(found) < 60


def test_lost_frames_are_warned_of(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, size=(60, 48, 64, 3)).astype(np.uint8)
    data = bytearray(write_video(tmp_path / "whole.mp4", noise, 24.0).read_bytes())
    start = data.find(b"mdat") + 4
    stop = data.find(b"moov") - 4 if data.find(b"moov") > start else len(data)  # the index may be first or last
    middle = (start + stop) // 2
    data[middle:stop] = bytes(stop - middle)
    path = tmp_path / "holes.mp4"
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=r"holes.mp4 has \d+ damaged packets, left out .* read \d+ frames"):
        found = list(VideoReader(path))
    assert 5 < len(found) < 60


@pytest.mark.parametrize("options", [{"fps": 0.0}, {"fps": -1.0}, {"fps": float("nan")}])
def test_senseless_options_are_named(tmp_path, options):
    path = write_video(tmp_path / "a.mp4", make_frames(2), 24.0)
    with pytest.raises(UserError, match="positive"):
        list(VideoReader(path, **options))


@pytest.mark.parametrize(
    ("name", "frames", "fps", "named"),
    [
        ("a.txt", make_frames(2), 24.0, "a.txt"),
        ("a.mp4", make_frames(0), 24.0, "at least one frame"),
        ("a.mp4", make_frames(2), 0.0, "fps"),
        ("a.mp4", make_frames(2).astype(float), 24.0, "float64"),
        ("a.mp4", make_frames(2)[..., :2], 24.0, "frame 0"),
        ("a.mp4", [make_frames(1)[0], make_frames(1, 32, 32)[0]], 24.0, "frame 1"),
    ],
)
def test_nothing_is_left_where_writing_fails(tmp_path, name, frames, fps, named):
    with pytest.raises(UserError, match=named):
        write_video(tmp_path / name, frames, fps)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = write_video(tmp_path / "a.mp4", make_frames(3), 24.0)
    before = path.read_bytes()

    def broken():
        yield make_frames(1)[0]
        raise RuntimeError("camera gone")

    with pytest.raises(RuntimeError, match="camera gone"):
        write_video(path, broken(), 24.0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_missing_pyav_says_what_to_install(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", make_frames(2), 24.0)
    assert has_pyav()
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert not has_pyav()
    with pytest.raises(UserError, match="pip install"):
        read_video(path)

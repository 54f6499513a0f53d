"""Pictures as they are shown: upright, with square pixels, of ordinary brightness, without combs."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from tests.run_factory import read_video
from tpl_lightning.video.files import VideoReader, write_video
from tpl_lightning.video.probe import probe_video

av = pytest.importorskip("av")

from tests.video_factory import write_at  # noqa: E402 - needs PyAV

ONE = 1 << 16


def _with_matrix(path, matrix):
    """Set the display matrix (a, b, c, d) in an mp4's track header."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    a, b, c, d = matrix
    data[place : place + 24] = struct.pack(">6i", a, b, 0, c, d, 0)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((-ONE, 0, 0, ONE), lambda p: p[:, ::-1]),  # front cameras
        ((ONE, 0, 0, -ONE), lambda p: p[::-1]),
        ((-ONE, 0, 0, -ONE), lambda p: p[::-1, ::-1]),
        ((0, ONE, ONE, 0), lambda p: p.swapaxes(0, 1)),
        ((0, ONE, -ONE, 0), lambda p: np.rot90(p, -1)),
        ((0, -ONE, -ONE, 0), lambda p: p.swapaxes(0, 1)[::-1, ::-1]),
    ],
)
def test_pictures_are_turned_and_mirrored(tmp_path, matrix, upright):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:16, :32], picture[32:, :16] = (240, 40, 30), (30, 220, 60)
    path = write_video(tmp_path / "a.mp4", [picture] * 2, 24.0)
    plain = next(iter(VideoReader(path)))
    found = next(iter(VideoReader(_with_matrix(path, matrix))))
    np.testing.assert_array_equal(found, upright(plain))


@pytest.mark.parametrize(("aspect", "shown"), [((2, 1), (96, 48)), ((1, 2), (48, 96)), ((12, 11), (52, 48))])
def test_pixels_are_square(tmp_path, aspect, shown):
    def set_aspect(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(*aspect)

    frames = [np.full((48, 48, 3), 90, np.uint8)] * 3
    path = write_at(tmp_path / "a.mp4", frames, range(3), prepare=set_aspect)
    probe = probe_video(path)
    assert (probe.width, probe.height) == shown
    assert read_video(path, size=24)[0].shape[1:3] == tuple(round(24 * s / max(shown)) for s in reversed(shown))


def test_interlaced_frames_have_no_combs(tmp_path):
    """A bar that moves between the fields of each frame; whole frames of a still picture pass as they are."""

    def fields(k):
        picture = np.full((64, 96, 3), 40, np.uint8)
        for row in range(64):
            left = 8 + 8 * k + 4 * (row % 2)
            picture[row, left : left + 12] = 220
        return picture

    def interlaced(stream):
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me

    options = {"x264-params": "tff=1", "crf": "1", "bf": "0"}
    frames = [fields(k) for k in range(8)]
    path = write_at(tmp_path / "a.mkv", frames, range(8), options=options, prepare=interlaced)
    assert probe_video(path).is_interlaced
    found, _ = read_video(path)
    assert len(found) == 8

    def combs(picture):
        luma = picture.astype(float).mean(-1)
        return np.abs(luma[2:-2] - (luma[1:-3] + luma[3:-1]) / 2).mean()

    assert max(combs(frame) for frame in found) < 0.4 * min(combs(frame) for frame in frames)

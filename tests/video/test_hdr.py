"""HDR to SDR: white, grey, hues, whole files."""

import numpy as np
import pytest

from tests.run_factory import read_video
from tpl_lightning.video.files import VideoReader
from tpl_lightning.video.hdr import HLG, PQ, tone_mapped

av = pytest.importorskip("av")


def _signal(light_nits):
    """Inverse of the EOTF of SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    y = (np.asarray(light_nits) / 10_000) ** m1
    return ((c1 + c2 * y) / (1 + c3 * y)) ** m2


def test_hdr_white_is_white_and_grey_is_grey():
    grey = 203 * np.array([0.0, 0.05, 0.18, 0.5, 0.8, 1.0, 4.0])
    picture = np.repeat(np.round(65535 * _signal(grey)).astype(np.uint16)[None, :, None], 3, axis=2)
    found = tone_mapped(picture, PQ)[0]
    expected = 255 * np.array([0.0, 0.05, 0.18, 0.5, 0.8]) ** (1 / 2.4)
    np.testing.assert_allclose(found[:5], np.repeat(expected[:, None], 3, 1), atol=3)
    assert found[5].min() >= 248
    assert found[6].min() == 255
    # ITU-R BT.2408: HLG has white at 75 %.
    assert tone_mapped(np.full((1, 1, 3), round(0.75 * 65535), np.uint16), HLG).min() >= 248


def test_hdr_colours_keep_their_hue():
    # Red of BT.709 at the brightness of white, in the primaries of BT.2020.
    red = np.round(65535 * _signal(203 * np.array([0.6274, 0.0691, 0.0164]))).astype(np.uint16)
    found = tone_mapped(red[None, None], PQ)[0, 0]
    assert found[0] >= 245
    assert found[1:].max() <= 25


def test_hdr_files_are_mapped(tmp_path):
    light = np.full((48, 64, 3), 203.0)
    light[:, 32:] = 203 * 0.18
    signal = np.round(65535 * _signal(light)).astype(np.uint16)
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=24, options={"x265-params": "log-level=none:crf=4"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, PQ, 9, 1
        frame = av.VideoFrame.from_ndarray(signal, format="rgb48le").reformat(
            format="yuv420p10le", dst_colorspace=9, dst_color_range=1
        )
        frame.color_primaries, frame.color_trc, frame.colorspace = 9, PQ, 9
        for _ in range(2):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    found = next(iter(VideoReader(path)))
    assert found[24, 12].min() >= 245
    np.testing.assert_allclose(found[24, 52], 255 * 0.18 ** (1 / 2.4), atol=4)
    assert read_video(path, size=32)[0].shape[1:] == (24, 32, 3)

"""Clips of images: which are read, at what size and rate, and what is none is named."""

import numpy as np
import pytest
from PIL import Image

from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip


@pytest.fixture
def clip(tmp_path):
    for number in range(10):
        Image.fromarray(np.full((8, 12, 3), 20 * number, np.uint8)).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return Clip("v", "a", "train", tmp_path, kind="images", image_fps=30.0)


def levels(frames):
    return [int(frame[0, 0, 0]) // 20 for frame in frames]


def test_images_come_in_the_order_of_their_names(clip):
    reader = clip.reader()
    frames = list(reader)
    assert levels(frames) == list(range(10)) == reader.frames
    assert frames[0].shape == (8, 12, 3)
    np.testing.assert_allclose(reader.clock.times_s, np.arange(10) / 30)


def test_another_rate_takes_the_nearest_images(clip):
    reader = clip.reader(fps=10.0)
    assert levels(reader) == [0, 3, 6, 9] == reader.frames
    np.testing.assert_allclose(reader.clock.times_s, np.arange(4) / 10)
    assert levels(clip.reader(fps=60.0))[:5] == [0, 0, 1, 1, 2]


def test_several_sizes_are_of_one_decoding(clip):
    sizes = (lambda width, height: (6, 4), lambda width, height: (width, height))
    small, whole = next(iter(clip.reader(size=sizes)))
    assert (small.shape, whole.shape) == ((4, 6, 3), (8, 12, 3))
    assert next(iter(clip.reader(size=sizes[0]))).shape == (4, 6, 3)


def test_the_stamp_changes_with_the_files(clip):
    before = clip.stamp()
    assert clip.stamp() == before
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(clip.path / "99.png")
    assert clip.stamp() != before


def test_what_holds_no_images_is_named(clip, tmp_path):
    (clip.path / "03.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"an image that can be decoded in .*03\.png"):
        list(clip.reader())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"Expected images .* in .*empty, but found none"):
        list(Clip("v", "a", "train", tmp_path / "empty", kind="images").reader())


def test_records_without_images_are_named(tmp_path):
    pytest.importorskip("google_crc32c")
    from tests.record_factory import picture, sequence, write_records

    for name, count in (("full", 2), ("none", 0)):
        frames = [picture(number) for number in range(count)]
        write_records(tmp_path / name, [sequence("v", [0] * count, frames=frames)])
    frames = list(Clip("v", "a", "train", tmp_path / "full", kind="tfrecord").reader())
    assert [frame.shape for frame in frames] == [(48, 48, 3)] * 2
    assert np.abs(frames[1].astype(int) - picture(1)).mean() < 12  # JPEG
    with pytest.raises(UserError, match=r"encoded images in the feature list 'video' of .*none at byte 0, found none"):
        list(Clip("v", "a", "train", tmp_path / "none", kind="tfrecord").reader())

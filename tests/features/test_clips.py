"""Clips: images in order of their names, at an even rate, and what changes when a file does."""

import numpy as np
import pytest
from PIL import Image

from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip
from tpl_lightning.video import shrink_to


@pytest.fixture
def clip(tmp_path):
    """Ten pictures, each as bright as its number says, and a file that is none."""
    for number in range(10):
        picture = np.full((8, 12, 3), 20 * number, dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number:02d}.{'PNG' if number % 2 else 'bmp'}")
    (tmp_path / "notes.txt").write_text("not a picture")
    return Clip("a", "jump", "train", tmp_path, kind="images", image_fps=10.0)


@pytest.mark.parametrize(("fps", "expected"), [(None, range(10)), (5.0, range(0, 10, 2)), (4.0, [0, 2, 5, 7])])
def test_images_come_in_order_at_the_rate_asked_for(clip, fps, expected):
    reader = clip.reader(fps=fps)
    frames = list(reader)
    assert reader.frames == list(expected)
    assert [int(frame[0, 0, 0]) for frame in frames] == [20 * number for number in expected]
    np.testing.assert_allclose(reader.clock.times_s, np.arange(len(frames)) / (fps or 10.0))


def test_images_are_shrunk_to_one_size_or_to_several(clip):
    assert next(iter(clip.reader(size=shrink_to(6)))).shape == (4, 6, 3)
    both = next(iter(clip.reader(size=(shrink_to(6), shrink_to(3)))))
    assert [frame.shape for frame in both] == [(4, 6, 3), (2, 3, 3)]


def test_a_stamp_changes_with_its_files(clip):
    before = clip.stamp()
    assert clip.stamp() == before
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(clip.path / "10.png")
    assert clip.stamp() != before


def test_what_is_no_image_is_named(clip, tmp_path):
    (clip.path / "03.PNG").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"an image that can be decoded in .*03\.PNG"):
        list(clip.reader())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"Expected images \(.*png.*empty, but found none"):
        Clip("a", "jump", "train", tmp_path / "empty", kind="images").images()


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

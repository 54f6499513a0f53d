"""Frames of many videos: to which video each belongs, the videos of one action, padding."""

import pytest
import torch

from tpl_lightning.functional.scores.video_rows import VideoRows

LENGTHS, ACTION = torch.tensor([3, 1, 4, 2]), torch.tensor([1, 0, 1, 2])


def _videos():
    frames = torch.arange(20.0).view(10, 2)
    return frames, VideoRows(frames, torch.arange(10) % 3 - 1, LENGTHS, ACTION)


def test_each_frame_knows_its_video():
    assert _videos()[1].video.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("action", "rows", "videos"), [(1, [0, 1, 2, 4, 5, 6, 7], [0, 2]), (2, [8, 9], [3]), (5, [], [])]
)
def test_the_videos_of_one_action_keep_their_order(action, rows, videos):
    frames, every = _videos()
    own = every.of_action(action)
    assert torch.equal(own.frames, frames[rows])
    assert torch.equal(own.labels, every.labels[rows])
    assert torch.equal(own.lengths, LENGTHS[videos])
    assert own.action.tolist() == [action] * len(videos)


def test_frames_are_padded_by_zeros():
    frames, every = _videos()
    padded = every.padded()
    assert padded.shape == (4, 4, 2)
    for row, own in zip(padded, frames.split(LENGTHS.tolist()), strict=True):
        assert torch.equal(row[: len(own)], own)
        assert (row[len(own) :] == 0).all()

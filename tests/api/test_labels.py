"""Phases as callers name them."""

import numpy as np
import pytest
import torch

from tpl_lightning.api.labels import Labels
from tpl_lightning.errors import UserError


def test_texts_are_numbered_by_their_mean_time_in_each_action():
    labels = Labels({})
    given = [["up", "up", "", "down"], np.array(["down", "over", "over"]), None]
    numbers = labels.read(given, ["jump", "turn", "jump"], [4, 3, 2])
    assert labels.names == {"jump": ["up", "down"], "turn": ["down", "over"]}
    assert [own.tolist() for own in numbers] == [[0, 0, -1, 1], [0, 1, 1], [-1, -1]]
    assert labels.shown(np.array([1, -1, 0]), "jump").tolist() == ["down", "", "up"]
    # New ones come behind those that are known.
    assert labels.read([["first", "up"]], ["jump"], [2])[0].tolist() == [2, 0]
    assert labels.names["jump"] == ["up", "down", "first"]


def test_the_mean_is_over_videos_whatever_their_lengths():
    labels = Labels({})
    # "b" is at .25 of the long video and at 0 of the short one: ahead of "a", at .75 and 0.5.
    labels.read([list("bbbaaa"), list("ba")], ["jump"] * 2, [6, 2])
    assert labels.names == {"jump": ["b", "a"]}


def test_numbers_stay_numbers():
    labels = Labels({})
    numbers = labels.read([torch.tensor([0, 2, -1]), np.array([1.0, 1.0]), None], ["jump"] * 3, [3, 2, 2])
    assert [own.tolist() for own in numbers] == [[0, 2, -1], [1, 1], [-1, -1]]
    assert {own.dtype for own in numbers} == {np.dtype(np.int16)}
    assert labels.names == {"jump": ["0", "1", "2"]}
    assert labels.shown(np.array([2, -1]), "jump").tolist() == [2, -1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[0] * 3], "of 2 videos"),
        ("jump", "of 2 videos"),
        (None, "of 2 videos, .* but got None"),
        ([[0] * 3, [0] * 3], r"video 1 has 2 frames, but labels of shape \(3,\)"),
        ([[0] * 3, [0.5, 1.0]], "whole numbers from -1 on, or texts, but video 1"),
        ([[0] * 3, [-2, 0]], "whole numbers"),
        ([[0] * 3, [np.nan, 0]], "whole numbers"),
        ([[0] * 3, [2**15, 0]], "whole numbers"),
    ],
)
def test_labels_that_are_wrong(given, words):
    with pytest.raises(UserError, match=words):
        Labels({}).read(given, ["jump"] * 2, [3, 2])

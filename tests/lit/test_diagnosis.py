"""Which videos a look takes, and what it says."""

import pytest

from tpl_lightning.lit.diagnosis import in_words, spread_batches


class _Numbers:
    """A dataset whose batches are the numbers of their videos."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitems__(self, indices):
        return indices


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (5, 2, [[0, 1], [2, 3], [4]]),
        (64, 64, [list(range(64))]),
        (130, 40, [list(range(0, 120, 3)), [120, 123, 126, 129]]),
    ],
)
def test_a_look_takes_a_few_videos_evenly_spread_in_batches(count, size, expected):
    assert list(spread_batches(_Numbers(count), size)) == expected


def test_advice_names_no_option_that_is_set():
    assert "model.aligner=path" in in_words({"left_over_train": 1.0}, aligner="inception")[0]
    assert "model.aligner" not in in_words({"left_over_train": 1.0}, aligner="path")[0]

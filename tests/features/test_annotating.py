"""What clips are called, and which split they get."""

import pytest

pytest.importorskip("av")


def test_every_action_is_in_train_and_test(embedded):
    for action in ("jump", "turn"):
        splits = embedded.split[embedded.action == action].tolist()
        assert splits.count("test") == 1
        assert splits.count("train") == len(splits) - 1

"""Figures while a network trains; what W&B gets of them is in tests/tracking."""

import pytest

from tpl_lightning.reports.snapshots import snapshot_epochs


@pytest.mark.parametrize(("epochs", "drawn"), [(300, (100, 200)), (3, (1, 2)), (2, (1,)), (1, ())])
def test_a_third_and_two_thirds_are_drawn_and_the_end_is_the_runs_own(epochs, drawn):
    assert snapshot_epochs(epochs) == drawn

"""The processes that share one fit: none, those of torchrun, and what cannot be set up."""

import pytest

from tests.ranks import on_two_ranks
from tpl_lightning.commands.ranks import joined_ranks
from tpl_lightning.config.loading import load_config
from tpl_lightning.errors import UserError
from tpl_lightning.functional import most_of_ranks, num_ranks


@pytest.mark.parametrize("left_over", [{}, {"RANK": "3", "WORLD_SIZE": "4"}, {"TORCHELASTIC_RUN_ID": "1"}])
def test_one_process_is_alone_whatever_a_launcher_has_left(monkeypatch, left_over):
    for name, value in left_over.items():
        monkeypatch.setenv(name, value)
    with joined_ranks(load_config(["method=direct"])):
        assert num_ranks() == 1


def _joined(rank):
    with joined_ranks(load_config(["method=direct"])):
        found = num_ranks(), most_of_ranks(rank)[0]
    return (*found, num_ranks())


def test_ranks_that_are_connected_leave_together(tmp_path):
    assert on_two_ranks(_joined, tmp_path) == [(2, 1, 1), (2, 1, 1)]


@pytest.mark.parametrize("method", ["direct", "tpl"])
def test_options_of_the_trainer_are_checked_where_nothing_is_trained_too(method):
    config = load_config([f"method={method}", "trainer.devicess=2"])
    with pytest.raises(UserError, match=r"trainer\.devicess: unknown option"), joined_ranks(config):
        pytest.fail("was entered")

"""What the commands share: the data that a configuration names, and scores by their keys."""

import pytest

from tpl_lightning.commands.shared import flat_scores, open_data
from tpl_lightning.config.loading import load_config
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Scores


def test_the_cache_of_a_configuration_is_opened_and_checked(cache_path):
    cache = open_data(load_config([f"data.cache={cache_path}"]))
    assert cache.path == cache_path
    assert cache.is_finite.all()
    with pytest.raises(UserError, match="nowhere"):
        open_data(load_config(["data.cache=nowhere.h5"]))


def test_scores_of_actions_have_their_names_behind():
    scores = Scores({"test/plp": 0.5}, {"jump": {"test/plp": 0.4}, "turn": {"test/plp": 0.6}})
    assert flat_scores(scores) == {"test/plp": 0.5, "test/plp/jump": 0.4, "test/plp/turn": 0.6}
    assert list(flat_scores(scores, "pad/")) == ["pad/test/plp", "pad/test/plp/jump", "pad/test/plp/turn"]

"""Options by dotted keys, and nested."""

import pytest

from tpl_lightning.config.tree import Config, config_to_dict, flattened, nested
from tpl_lightning.errors import UserError


def test_nested_options_go_to_dotted_keys_and_back():
    tree = config_to_dict(Config())
    assert nested(flattened(tree)) == tree
    assert flattened(flattened(tree)) == flattened(tree)
    assert nested({"data.pca": None, "seed": 1, "trainer": {}}) == {"data": {"pca": None}, "seed": 1, "trainer": {}}


@pytest.mark.parametrize("keys", [("data", "data.pca"), ("data.pca", "data.pca.x")])
def test_a_key_below_another_option_is_named(keys):
    with pytest.raises(UserError, match=f"`{keys[1]}` is below another option"):
        nested(dict.fromkeys(keys, 1))

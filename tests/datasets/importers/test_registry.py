"""What is missing is named, with the tree that is expected."""

import pytest

from tpl_lightning.commands.embedding import import_data
from tpl_lightning.config.runs import DataConfig
from tpl_lightning.datasets.importers.registry import IMPORTERS
from tpl_lightning.datasets.sources import find_or_make_cache
from tpl_lightning.errors import UserError


@pytest.mark.parametrize("name", sorted(IMPORTERS))
def test_what_is_missing_is_named(tmp_path, name, capsys):
    with pytest.raises(UserError, match=name):
        import_data([name, str(tmp_path / "nowhere")])
    with pytest.raises(UserError) as error:
        import_data([name, str(tmp_path), f"out={tmp_path / 'x.h5'}"])
    assert str(tmp_path) in str(error.value)
    # And the same for training on it, with the expected tree.
    if name != "genai":
        with pytest.raises(UserError) as error:
            find_or_make_cache(DataConfig(dataset=name, root=str(tmp_path)))
        assert IMPORTERS[name].expected in str(error.value)

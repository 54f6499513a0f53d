"""Options of networks: ranges, and which go together."""

import pytest

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.networks import WarpConfig
from tpl_lightning.errors import UserError


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["warp.num_cells=1"], r"warp\.num_cells` to be an integer in 2\.\.256, or a list of them, but got 1"),
        (["warp.num_cells=[4,8]", "warp.recurrences=3"], r"warp\.recurrences` to be 1 or 2, as warp\.num_cells"),
        (["warp.recurrences=17"], r"warp\.recurrences"),
        (["model.latent_dim=0"], r"model\.latent_dim` to be at least 1, or null"),
        (["model.kernel_size=4"], r"model\.kernel_size` to be odd"),
        (["model.dropout=1"], r"model\.dropout` to be in \[0, 1\)"),
        (["model.derivative=0.5"], r"model\.derivative` to be 0 unless model\.aligner=path"),
        (["model.projection=discriminant"], r"model\.projection` to be none unless model\.aligner=path"),
        (["model.latent_norm=total"], r"model\.latent_norm` to be video unless model\.aligner=path"),
        (["loss.alpha=0"], r"loss\.alpha` to be above 0"),
        (["loss.reconstruction=-1"], r"loss\.reconstruction"),
        (["dtan.prior=-1"], r"dtan\.prior"),
        (["head.kernel_size=2"], r"head\.kernel_size` to be odd"),
        (["head.num_frames=1"], r"head\.num_frames"),
        (["head.window=1"], r"head\.window` to be in \(0, 1\)"),
        (["head.temperature=0"], r"head\.temperature` to be above 0"),
    ],
)
def test_what_is_out_of_range_is_named(options, named):
    with pytest.raises(UserError, match=named):
        load_config(["method=tpl", *options])


def test_a_list_of_cells_is_one_for_each_recurrence():
    assert WarpConfig(num_cells=[4, 8, 16], recurrences=3).num_cells == [4, 8, 16]
    assert WarpConfig(num_cells=[4, 8, 16]).recurrences == 1

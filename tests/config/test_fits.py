"""Options of fits without a network."""

import pytest

from tpl_lightning.config.fits import DirectConfig
from tpl_lightning.config.loading import load_config
from tpl_lightning.errors import UserError


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("direct.smoothness=-1", r"direct\.smoothness"),
        ("direct.empirical_bayes=-1", r"direct\.empirical_bayes"),
        ("direct.offset_shrinkage=1.5", r"direct\.offset_shrinkage"),
        ("direct.derivative=1", r"direct\.derivative` to be in \[0, 1\)"),
        ("direct.labels=-1", r"direct\.labels"),
        ("direct.max_videos=1", r"direct\.max_videos"),
        ("direct.detail=some", r"direct\.detail"),
        ("dtw.gamma=0", r"dtw\.gamma` to be above 0"),
        ("dtw.max_iter=0", r"dtw\.max_iter"),
    ],
)
def test_what_is_out_of_range_is_named(option, named):
    with pytest.raises(UserError, match=named):
        load_config([option])


def test_ends_of_ranges_are_within():
    assert DirectConfig(smoothness=0.0, empirical_bayes=0.0, offset_shrinkage=1.0, max_videos=2).labels == 0.0

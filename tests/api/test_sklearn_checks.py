"""scikit-learn's own checks of an estimator; those that videos of several lengths and channels cannot pass, and why.

A table (N, L) that the checks give is N videos of one channel and L frames.
"""

import pytest

sklearn_checks = pytest.importorskip("sklearn.utils.estimator_checks")
pytest.importorskip("sklearn", minversion="1.6")

from tpl_lightning import Synchronizer  # noqa: E402

_CHANNELS = (
    "`n_features_in_` counts the channels of a frame; the columns of a table are frames, and may be of any number"
)
_SECOND = "the second argument says what each video shows: it is called `actions`, not `y`"
FAILED = {
    "check_fit_score_takes_y": _SECOND,
    "check_transformer_general": _SECOND,
    "check_transformer_data_not_an_array": _SECOND,
    "check_n_features_in": _CHANNELS,
    "check_n_features_in_after_fitting": _CHANNELS,
    "check_fit_idempotent": "it fits several actions, and does not say which of them new videos show",
    "check_transformer_preserve_dtypes": "warped videos are a list of arrays, in the type of a cache, float32",
}
# The checks give noise: where its ends are found open, prototypes of several actions have several lengths.
_FIXED = {"warp.ends": "fixed"}


@sklearn_checks.parametrize_with_checks(
    [Synchronizer("linear"), Synchronizer("direct", _FIXED)], expected_failed_checks=lambda _: FAILED
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)

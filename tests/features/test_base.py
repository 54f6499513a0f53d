"""What all extractors have in common."""

import numpy as np
import pytest

from tpl_lightning.features.base import Extractor


class _Brightness(Extractor):
    """One number a frame."""

    def features(self, frames):
        return np.array([[frame.mean()] for frame in frames], dtype=np.float32)


def test_features_are_the_embeddings_where_nothing_is_learned():
    extractor = _Brightness("bright/v1", 1, {"kind": "mean"})
    frames = np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(5, 2).repeat(3, 3)
    assert extractor.is_fitted
    assert extractor.fit([extractor.features(frames)]) is extractor
    np.testing.assert_array_equal(extractor(frames), [[0.0], [1.0], [2.0]])
    assert extractor.decode_size(640, 480) == (640, 480)
    assert extractor.state() == ({}, {"kind": "mean"})
    (group,) = extractor.feature_groups
    assert group.channels == 1


def test_one_that_is_known_by_name_alone_sees_no_frames():
    with pytest.raises(NotImplementedError):
        Extractor("vit", 8, {}).features([])

"""What all extractors have in common: of one that learns nothing, features are embeddings."""

import numpy as np
import pytest

from tpl_lightning.data import FeatureGroup
from tpl_lightning.features.base import Extractor


def test_what_is_known_without_weights_projects_and_is_stored():
    extractor = Extractor("owner/net", 3, {"kind": "image-model", "model": "owner/net"})
    features = np.arange(6.0).reshape(2, 3)
    assert extractor.fit([features]) is extractor
    np.testing.assert_array_equal(extractor.transform(features), features)
    assert extractor.state() == ({}, {"kind": "image-model", "model": "owner/net"})
    assert extractor.feature_groups == [FeatureGroup("net", 3)]
    assert (extractor.is_fitted, extractor.num_features, extractor.decode_size(640, 360)) == (True, 3, (640, 360))
    with pytest.raises(NotImplementedError):
        extractor([])


def test_a_call_is_features_and_their_projection():
    class Doubled(Extractor):
        def features(self, frames):
            return np.array([frame.mean(keepdims=True)[0, 0] for frame in frames])

        def transform(self, features):
            return 2 * features

    frames = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (1, 5)])
    np.testing.assert_allclose(Doubled("mean", 1, {})(frames), [[2], [10]])

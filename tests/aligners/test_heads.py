"""method=tcc and method=lav: learning, stored models, independence of the batch."""

import numpy as np
import pytest

from tests.aligners.fitting import fit
from tpl_lightning.aligners.registry import load_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.scores import evaluate

SMALL = ["head.epochs=25", "head.hidden=16", "head.channels=6", "head.lr=0.005", "run.progress=false", "data.pca=5"]


def _fit(path, run_dir, *options):
    return fit(path, run_dir, *SMALL, *options)


@pytest.mark.parametrize("method", ["tcc", "lav"])
def test_learned_embeddings_align_and_are_stored(tmp_path, make_cache, method):
    path = make_cache(tmp_path / "c.h5", videos=16)
    aligner, splits, config = _fit(path, tmp_path, f"method={method}")
    videos = splits.all()
    found = aligner.align(videos)
    linear, _, _ = _fit(path, tmp_path / "l", "method=linear")
    bound = evaluate(linear.align(videos), videos).overall["warp_error"]
    assert evaluate(found, videos).overall["warp_error"] < 0.7 * bound
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", config)
    np.testing.assert_allclose(again.align(videos).prototype_position, found.prototype_position, atol=1e-5)
    alone = aligner.align(splits.test.select(np.array([1])))
    np.testing.assert_allclose(alone.position(0), aligner.align(splits.test).position(1), atol=1e-3)
    features = aligner.features()
    frames = np.concatenate([features(splits.train.read(i)) for i in range(len(splits.train))])
    assert frames.shape[1] == 6
    assert np.square(frames).sum(1).mean() == pytest.approx(1, rel=1e-4)
    assert np.array_equal(again.features()(videos.read(0)), features(videos.read(0)))
    assert aligner.prototypes()["jump"].shape[1] == 6


@pytest.mark.parametrize(
    "bad", ["head.kernel_size=2", "head.num_frames=1", "head.temperature=0", "head.window=1", "head.dropout=1"]
)
def test_bad_options_are_named(bad):
    with pytest.raises(UserError, match=bad.split("=")[0]):
        load_config([bad])

"""What every aligner has, of which those that learn less have nothing."""

from pathlib import Path

import numpy as np
import pytest

from tests.aligners.fitting import fit
from tpl_lightning.aligners.base import Aligner, StateAligner, StoredAligner
from tpl_lightning.aligners.registry import build_aligner, load_aligner
from tpl_lightning.config import Config
from tpl_lightning.config.loading import load_config
from tpl_lightning.errors import UserError


class _Silent(Aligner):
    """Learns nothing and aligns nothing."""

    def fit(self, train, val=None):
        pass

    def align(self, videos):
        return None


def test_an_aligner_that_says_no_more_brings_no_features_figures_or_notes():
    aligner = _Silent(Config(), Path("runs/mine"))
    assert (aligner.features(), aligner.diagnosis(), aligner.notes()) == (None, {}, [])
    assert (aligner.run_dir, aligner.wandb_run) == (Path("runs/mine"), None)


@pytest.mark.parametrize("method", ["linear", "pad"])
def test_an_aligner_without_a_checkpoint_says_so(tmp_path, method):
    path, config = tmp_path / "last.ckpt", load_config([f"method={method}"])
    for load in (_Silent.from_checkpoint, load_aligner):
        with pytest.raises(UserError, match=rf"last\.ckpt: method={method} keeps no checkpoint; fit it on the videos"):
            load(path, config)


@pytest.mark.parametrize("kind", [Aligner, StoredAligner, StateAligner])
def test_what_aligners_must_do_is_asked_of_them(kind):
    with pytest.raises(TypeError, match="abstract"):
        kind(Config(), Path())


@pytest.mark.parametrize(("method", "channels"), [("linear", None), ("dba", None), ("direct", 4)])
def test_features_are_those_that_frames_are_compared_by(tmp_path, cache_path, method, channels):
    aligner, splits, _ = fit(cache_path, tmp_path, f"method={method}", "data.pca=4")
    features = aligner.features()
    if channels is None:
        assert features is None
    else:
        assert features(splits.train.read(0)).shape == (splits.train.lengths[0], channels)


@pytest.mark.parametrize("method", ["dba", "direct"])
def test_what_was_learned_is_written_and_read_as_one_dictionary(tmp_path, cache_path, method):
    aligner, _, config = fit(cache_path, tmp_path, f"method={method}", "data.pca=4")
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", config)
    assert again.fitted().keys() >= aligner.fitted().keys()
    for action, values in aligner.prototypes().items():
        np.testing.assert_array_equal(again.prototypes()[action], values)
        np.testing.assert_array_equal(again.prototype_labels()[action], aligner.prototype_labels()[action])


def test_an_unfitted_aligner_says_so():
    with pytest.raises(RuntimeError, match="call fit or from_checkpoint first"):
        build_aligner(load_config(["method=direct"]), Path("runs/mine")).prototypes()

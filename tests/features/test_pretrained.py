"""Pretrained networks: loaded, told apart, and named where they are not here."""

import json
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from tests.features.conftest import save_model
from tests.features.small_runs import write
from tpl_lightning.errors import UserError
from tpl_lightning.features.extractors import extractor_from_state, extractor_of_cache, make_extractor
from tpl_lightning.features.pretrained import load_checkpoint, scaling

pytest.importorskip("av")


transformers = pytest.importorskip("transformers")


def test_other_weights_are_noticed(tmp_path, dinov2):
    state = make_extractor(dinov2).state()
    extractor_from_state(*state)
    model = transformers.AutoModel.from_pretrained(dinov2)
    with torch.no_grad():
        model.encoder.layer[0].norm1.weight.add_(0.5)
    processor = json.loads(Path(dinov2, "preprocessor_config.json").read_text())
    other = save_model(model, tmp_path / "tiny-dinov2", **processor)
    with pytest.raises(UserError, match="found others"):
        extractor_from_state({}, {**state[1], "model": other})
    with pytest.raises(UserError, match="does not name the model"):
        extractor_from_state({}, {"kind": "image-model"})


@pytest.mark.parametrize("name", ["dinov2", "openclip", "someone/something"])
def test_weights_that_are_not_here_are_named_with_the_way_out(monkeypatch, name):
    import huggingface_hub

    def offline(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", offline)
    with pytest.raises(UserError, match="hf download") as error:
        make_extractor(name)
    message = str(error.value)
    assert "no network" in message
    assert "extractor=hog" in message
    assert "extractor=FOLDER" in message
    assert "\n" not in message


def test_a_model_folder_that_has_moved_is_named(tmp_path, dinov2, monkeypatch):
    folder = tmp_path / "moved"
    for name in (str(folder), "./moved", "some/where/moved", "~/moved"):
        with pytest.raises(UserError, match=r"moved, but there is no such folder; put the model there") as error:
            make_extractor(name)
        assert "hf download" not in str(error.value)
    shutil.copytree(dinov2, folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make_extractor("~/moved").name == "moved"
    cache = write(tmp_path / "x.h5", make_extractor(str(folder)), np.zeros((3, 32), np.float32))
    shutil.rmtree(folder)
    with pytest.raises(UserError, match=r"x\.h5: its extractor 'moved' cannot be used: .* no such folder"):
        extractor_of_cache(cache)


def test_folders_and_devices_that_do_not_do_are_named(tmp_path, dinov2):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"in the folder .*empty"):
        make_extractor(str(tmp_path / "empty"))
    with pytest.raises(UserError, match="such as auto, cpu"):
        make_extractor(dinov2, device="toaster")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="device=cpu"):
            make_extractor(dinov2, device="cuda")
    with pytest.raises(UserError, match="batch_size"):
        make_extractor(dinov2, batch_size=0)
    with pytest.raises(UserError, match="channels"):
        make_extractor("hog", channels=0)


def test_scaling_is_of_pixels_from_0_to_255():
    processor = mock.Mock()
    processor.to_dict.return_value = {
        "rescale_factor": 0.5,
        "image_mean": [1.0, 2.0, 3.0],
        "image_std": [4.0, 5.0, 6.0],
    }
    mean, deviation = scaling(processor)
    np.testing.assert_allclose([mean, deviation], [[2, 4, 6], [8, 10, 12]])
    processor.to_dict.return_value |= {"do_normalize": False, "do_rescale": False}
    np.testing.assert_allclose(scaling(processor), [[0] * 3, [1] * 3])


def test_a_checkpoint_is_told_by_its_trained_weights(dinov2, vit):
    checkpoint = load_checkpoint(vit)
    assert not checkpoint.is_pose
    assert checkpoint.untrained  # its pooling head, random numbers
    assert checkpoint.fingerprint() == load_checkpoint(vit).fingerprint() != load_checkpoint(dinov2).fingerprint()

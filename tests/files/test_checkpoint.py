"""Checkpoints of other versions, and writes that fail."""

import resource

import pytest
import torch

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.errors import UserError
from tpl_lightning.files import checkpoint as checkpoint_file
from tpl_lightning.files.checkpoint import VERSION, read_checkpoint, save_state


def test_a_newer_version_is_refused_and_none_is_read(tmp_path):
    path = tmp_path / "last.ckpt"
    save_state({"joint": 1}, path)
    assert read_checkpoint(path)["tpl_checkpoint"] == VERSION
    torch.save({"joint": 1, "tpl_checkpoint": VERSION + 1}, path)
    with pytest.raises(UserError, match=f"version {VERSION + 1}, but .* up to {VERSION}"):
        read_checkpoint(path)
    torch.save({"joint": 1}, path)
    assert read_checkpoint(path) == {"joint": 1}


def test_options_of_other_versions_are_left_out_or_filled_in(tmp_path, capsys):
    stored = config_to_dict(load_config(["train.lr=0.5"]))
    del stored["train"]["clip"], stored["loss"]
    stored["train"]["gone"], stored["ghost"] = 1, {"a": 2}
    path = tmp_path / "last.ckpt"
    save_state({"hyper_parameters": {"config": stored}}, path)
    found = read_checkpoint(path)["hyper_parameters"]["config"]
    assert found == config_to_dict(load_config(["train.lr=0.5"]))
    assert capsys.readouterr().err.count("\n") == 1
    stored["train"]["lr"] = -1.0
    save_state({"hyper_parameters": {"config": stored}}, path)
    with pytest.raises(UserError, match=r"last\.ckpt: .*train\.lr"):
        read_checkpoint(path)


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoints" / "last.ckpt"
    save_state({"epoch": 1}, path)

    def full(state, file):
        file.write(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file: No space left on device")

    monkeypatch.setattr(checkpoint_file.torch, "save", full)
    with pytest.raises(UserError, match=r"last\.ckpt: the checkpoint cannot be written .*No space"):
        save_state({"epoch": 2}, path)
    assert read_checkpoint(path)["epoch"] == 1
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_that_a_limit_cuts_off_says_what_the_system_says(tmp_path):
    path = tmp_path / "last.ckpt"
    save_state({"epoch": 1}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, limits[1]))
    try:
        with pytest.raises(UserError, match=r"last\.ckpt: the checkpoint cannot be written \(File too large\)"):
            save_state({"epoch": 2, "weights": torch.zeros(2**15)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_checkpoint(path)["epoch"] == 1
    assert list(tmp_path.iterdir()) == [path]

"""Callbacks of a training: the weight of the ICAE, prototypes against loops over videos, lines of progress."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.lit.path_training import path_module
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading.datamodule import EmbeddingDataModule
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.loading.splits import split_videos
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional.losses.tpl import annealed_weight
from tpl_lightning.lit.callbacks import EpochProgress, IcaeWeightAnnealing, PrototypeBuilder
from tpl_lightning.lit.module import TPLModule


def _trainer(**values):
    return SimpleNamespace(max_epochs=4, current_epoch=1, num_training_batches=8, is_global_zero=True, **values)


def _logging(module):
    logged = []
    module.log = lambda name, value, **_: logged.append((name, value))
    return logged


def test_the_weight_of_the_icae_counts_parts_of_an_epoch():
    module = path_module()
    logged = _logging(module)
    callback = IcaeWeightAnnealing(2.0, None, fractional=True)
    for step in (0, 7):
        callback.on_train_batch_start(_trainer(), module, None, step)
        assert module.icae_weight == pytest.approx(annealed_weight(1 + (step + 0.5) / 8, 2.0, 2.0))
    callback.on_train_epoch_start(_trainer(), module)  # steps alone count
    assert [name for name, _ in logged] == ["train/icae_weight"] * 2
    assert logged[0][1] < logged[1][1] < 0.5


def test_the_weight_of_the_icae_is_that_of_the_epoch():
    module = path_module()
    logged = _logging(module)
    callback = IcaeWeightAnnealing(0.5, 3.0)
    for hook in (callback.on_train_start, callback.on_train_epoch_start):  # the first where a run is resumed
        module.icae_weight = 0.7
        hook(_trainer(), module)
        assert module.icae_weight == pytest.approx(annealed_weight(1, 0.5, 3.0))
    callback.on_train_batch_start(_trainer(), module, None, 7)
    assert logged == [("train/icae_weight", module.icae_weight)]


@pytest.fixture
def built(tmp_path, make_cache):
    """A network as it starts with warps far from the identity, its prototypes built; the training videos."""
    path = make_cache(tmp_path / "c.h5", videos=9, channels=4)
    small = ["model.hidden=6", "model.aligner_filters=2", "model.aligner_depth=3", "data.batch_size=4"]
    config = load_config([f"data.cache={path}", "method=tpl", "model.latent_dim=2", "data.pca=3", *small])
    splits = split_videos(VideoSet(EmbeddingCache(path)), config.data)
    preprocessor = Preprocessor.fit(splits.train, config.data)
    names = {action: ["begin", "middle", "end"] for action in ("jump", "turn")}
    metadata = {"actions": [*names], "prototype_lengths": [30, 26], "num_channels": 3, "phase_names": names}
    torch.manual_seed(1)
    module = TPLModule(config_to_dict(config), metadata)
    torch.nn.init.normal_(module.model.aligner.head.weight, std=0.5)
    data = EmbeddingDataModule(splits, preprocessor, module.actions, config.data, seed=0)
    PrototypeBuilder().on_train_end(_trainer(datamodule=data), module.train())
    return module, splits.train, data


def test_prototypes_and_their_labels_are_those_of_loops_over_training_videos(built):
    module, train, data = built
    assert module.training
    assert module.is_finished
    module.eval()
    features, latents = ({a: [] for a in module.actions} for _ in range(2))
    votes = {a: np.zeros((n, 3)) for a, n in zip(module.actions, (30, 26), strict=True)}
    for i, action in enumerate(train.action):
        (batch,) = data.batches(data.loader(train.select(np.array([i]))), module)
        with torch.no_grad():
            out = module(batch)
        size, length = len(votes[action]), int(batch.lengths)
        source = out.source_position[0, :size].numpy()
        frames = batch.embeddings[0].numpy().T
        features[action].append([np.interp(source * (length - 1), np.arange(length), x) for x in frames])
        latents[action].append(out.aligned_latent[0, :size].numpy().T)
        faced = np.round(source.astype(float) * (length - 1)).astype(int)
        votes[action][np.arange(size), train.labels(i)[faced]] += 1
    for number, action in enumerate(module.actions):
        size = len(votes[action])
        for found, expected in ((module.prototypes, features), (module.latent_prototypes, latents)):
            np.testing.assert_allclose(found[number, :size].numpy().T, np.mean(expected[action], 0), atol=1e-4)
            assert (found[number, size:] == 0).all()
        assert module.prototype_labels[number, :size].tolist() == votes[action].argmax(1).tolist()
        assert (module.prototype_labels[number, size:] == -1).all()
        assert len(np.unique(votes[action].argmax(1))) == 3


def test_lines_of_progress_come_now_and_then(capsys):
    progress = EpochProgress(every=25)
    trainer = _trainer(callback_metrics={"train/icae": torch.tensor(0.5), "train/loss": torch.tensor(7.0)})
    trainer.max_epochs = 60
    progress.on_train_start(trainer, None)
    for trainer.current_epoch in range(60):
        progress.on_train_epoch_end(trainer, None)
    trainer.is_global_zero, trainer.current_epoch = False, 59
    progress.on_train_epoch_end(trainer, None)  # one rank is enough
    progress.on_train_end(trainer, None)
    expected = [f"epoch {epoch}/60  icae 0.5000" for epoch in (1, 25, 50, 60)]
    assert capsys.readouterr().err.splitlines() == expected


@pytest.mark.parametrize("end", ["on_train_end", "on_exception"])
def test_a_terminal_shows_one_bar_that_is_closed(capsys, monkeypatch, end):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = EpochProgress()
    trainer = _trainer(callback_metrics={"train/wcss": torch.tensor(0.25)})
    progress.on_train_start(trainer, None)
    trainer.current_epoch = 2
    progress.on_train_epoch_end(trainer, None)
    getattr(progress, end)(trainer, None, *([KeyboardInterrupt()] if end == "on_exception" else []))
    shown = capsys.readouterr().err
    assert "3/4" in shown
    assert "wcss 0.2500" in shown
    progress.on_train_end(trainer, None)  # closed already
    assert capsys.readouterr().err == ""

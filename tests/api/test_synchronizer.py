"""The estimator against the commands, its errors, and what it gives back."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from tests.conftest import write_cache
from tpl_lightning import Synchronizer, UserError, load_cache, load_run
from tpl_lightning.__main__ import main
from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment

TINY = {
    "data.pca": 3,
    "train.max_epochs": 2,
    "model.hidden": 8,
    "model.aligner_filters": 2,
    "model.aligner_depth": 3,
    "run.progress": False,
}
POWERS = (0.8, 1.0, 1.3, 0.9, 1.15)


def _videos():
    """Five videos of one curve at known tempos, and the third of it at each frame."""
    progress = [np.linspace(0, 1, n) ** p for n, p in zip((30, 40, 35, 50, 44), POWERS, strict=True)]
    videos = [np.stack([np.sin(3 * t), np.cos(5 * t), t], axis=1).astype(np.float32) for t in progress]
    return videos, [np.minimum(3 * t, 2).astype(int) for t in progress]


@pytest.fixture(scope="module")
def fitted():
    videos, labels = _videos()
    return Synchronizer("direct", {"data.pca": 3}).fit(videos[:4], labels=labels[:4])


def test_a_known_warp_is_found(fitted):
    videos, labels = _videos()
    assert fitted.score() > 0.9
    assert fitted.score(videos[4:], labels=labels[4:]) > 0.95
    for found, own in zip(fitted.predict_phases(videos), labels, strict=True):
        assert (found == own).mean() > 0.95
    progress = fitted.progress(videos)
    assert progress[4].shape == (44,)
    assert progress[4][[0, -1]].tolist() == [0, 1]
    # Equal phases of the curve meet, whatever the tempo: t = .5 of all videos at one prototype time.
    halves = [np.interp(0.5 ** (1 / p), np.linspace(0, 1, len(x)), x) for x, p in zip(progress, POWERS, strict=True)]
    assert np.ptp(halves) < 0.05  # linear rescaling: .17
    warped = fitted.transform(videos)
    assert {x.shape for x in warped} == {(len(fitted.prototypes_["action"]), 3)}
    assert np.abs(warped[4] - fitted.prototypes_["action"]).max() < 0.1


def test_matching_frames_show_the_same(fitted):
    videos, _ = _videos()
    by_row, by_array = fitted.match(0, 15), fitted.match(videos[0], 15)
    assert by_row == by_array
    assert set(by_row) == {"1", "2", "3"}
    for name, frame in by_row.items():
        assert np.abs(videos[int(name)][frame] - videos[0][15]).max() < 0.12
    several = fitted.match(videos[4], [0, 43])
    assert several["0"].tolist() == [0, 29]
    assert set(several) == {"0", "1", "2", "3"}
    for video, frame in ((0, 30), ("nobody", 1), (7, 1), (0, 1.5)):
        with pytest.raises(UserError):
            fitted.match(video, frame)


def test_no_video_changes_the_result_of_another(fitted):
    videos, _ = _videos()
    together = fitted.align(videos)
    for i, video in enumerate(videos):
        np.testing.assert_array_equal(fitted.align([video]).position(0), together.position(i))
    assert together.split.tolist() == ["train"] * 4 + ["test"]
    np.testing.assert_array_equal(fitted.transform([torch.from_numpy(videos[4])])[0], fitted.transform(videos)[4])


@pytest.mark.parametrize("method", ["direct", "linear", "tpl_plus"])
def test_it_is_the_same_as_the_command(tmp_path, cache_path, method):
    options = [f"{key}={str(value).lower()}" for key, value in TINY.items()]
    common = [f"data.cache={cache_path}", f"run.dir={tmp_path}", "run.name=r", "run.figures=false", "seed=3"]
    assert main(["fit", f"method={method}", *common, *options]) == 0
    before = torch.get_rng_state()
    sync = Synchronizer(method, TINY, random_state=3).fit(cache_path)
    assert torch.equal(torch.get_rng_state(), before)
    run = load_run(tmp_path / "r")
    cache = load_cache(cache_path)
    alignment = sync.align(cache)
    for name in ("video_id", "split", "prototype_position", "source_position"):
        np.testing.assert_array_equal(getattr(alignment, name), getattr(run.alignment, name))
    assert sync.score() == pytest.approx(run.metrics["quality/score"])
    again = Synchronizer.load(tmp_path / "r")
    assert again.method == method
    np.testing.assert_array_equal(again.align(cache).prototype_position, alignment.prototype_position)
    assert again.score() == pytest.approx(sync.score())
    assert again.phase_names_ == {"jump": ["begin", "middle", "end"], "turn": ["begin", "middle", "end"]}
    found = main(["test", str(tmp_path / "r"), f"run.dir={tmp_path}", "run.name=t"]) if method != "linear" else None
    if found is not None:
        metrics = json.loads((tmp_path / "t" / "metrics.json").read_text())
        test = VideoSet(cache).select(cache.split == "test")
        assert sync.score(test) == pytest.approx(metrics["test/plp"])


@pytest.mark.parametrize(
    "method", ["direct", "pad", pytest.param("softdba", marks=pytest.mark.slow), "dtan", "tpl", "tcc"]
)
def test_saved_loaded_and_pickled_it_is_the_same(tmp_path, method):
    if method == "softdba":
        pytest.importorskip("tslearn")
    videos, labels = _videos()
    options = TINY | ({"head.epochs": 2} if method == "tcc" else {})
    sync = Synchronizer(method, options).fit(videos[:4], labels=labels[:4])
    folder = sync.save(tmp_path / "mine")
    for other in (Synchronizer.load(folder), pickle.loads(pickle.dumps(sync))):
        for found, own in zip(other.transform(videos), sync.transform(videos), strict=True):
            np.testing.assert_array_equal(found, own)
        assert [x.tolist() for x in other.predict_phases(videos)] == [x.tolist() for x in sync.predict_phases(videos)]
        assert other.score() == sync.score()
        assert other.match("1", 3) == sync.match("1", 3)
        assert other.n_features_in_ == 3
    assert sync.save(folder) == folder
    Synchronizer.load(folder).save(tmp_path / "again")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="something else"):
        sync.save(tmp_path / "full")


def test_a_broken_checkpoint_is_no_pickle(tmp_path, fitted):
    folder = fitted.save(tmp_path / "mine")
    (folder / "checkpoints" / "last.ckpt").write_bytes(pickle.dumps({"joint": print}))
    with pytest.raises(OSError, match=r"last\.ckpt: not a readable checkpoint") as caught:
        Synchronizer.load(folder)
    assert isinstance(caught.value, UserError)


def test_several_actions_and_labels_in_words():
    videos, numbers = _videos()
    other = [video[:, ::-1] * 2 + np.arange(len(video))[:, None] / len(video) for video in videos]
    words = [np.array(["down", "low", "up"])[own] for own in numbers]
    words[0][:3] = ""
    actions = ["jump"] * 4 + ["turn"] * 4
    sync = Synchronizer("direct", {"data.pca": 3})
    sync.fit(videos[:4] + other[:4], actions, labels=words[:4] + words[:4])
    assert sync.phase_names_ == {"jump": ["down", "low", "up"], "turn": ["down", "low", "up"]}
    found = sync.predict_phases([videos[4], other[4]], ["jump", "turn"])
    assert (found[0] == words[4]).mean() > 0.95
    assert (found[1] == words[4]).mean() > 0.9
    assert sync.score([videos[4]], "jump", labels=[words[4]]) > 0.95
    some = clone(sync).fit(iter(videos[:4]), labels=[None, words[1], None, None])
    assert (some.predict_phases(videos[4:])[0] == words[4]).mean() > 0.9
    assert sync.align(videos[:2] + other[:1]).action.tolist() == ["jump", "jump", "turn"]  # they were fitted
    with pytest.raises(UserError, match="which action"):
        sync.align([videos[4]])
    with pytest.raises(UserError, match="'hop' has no prototype"):
        sync.align([videos[4]], "hop")
    for actions in (["jump"], 3):
        with pytest.raises(UserError, match="`actions`"):
            sync.align(videos[4:] * 2, actions)


def test_tables_and_grids(fitted):
    videos, _ = _videos()
    table = clone(fitted).fit(videos[:4]).set_output(transform="pandas").transform(videos)
    assert isinstance(table, pd.DataFrame)
    np.testing.assert_array_equal(table.loc["4"].to_numpy(), fitted.transform(videos[4:])[0])
    with pytest.raises(UserError, match="set_output"):
        fitted.set_output(transform="polars")
    search = GridSearchCV(Synchronizer(), {"method": ["linear", "direct"], "options": [{"data.pca": 3}]}, cv=2)
    assert search.fit(videos).best_params_["method"] == "direct"


def test_parameters_and_errors():
    videos, labels = _videos()
    sync = clone(Synchronizer("linear", {"data.pca": None}, random_state=np.random.RandomState(0)))
    assert sync.get_params()["options"] == {"data.pca": None}
    with pytest.raises(NotFittedError):
        sync.transform(videos)
    with pytest.raises(UserError, match="No video that was fitted has labels"):
        sync.fit(videos).predict_phases(videos)
    with pytest.raises(UserError, match="expecting 3 features"):
        sync.transform(videos[0])
    for options, random_state, words in (
        ({"direct.smothness": 1}, None, "unknown key `direct.smothness`"),
        (None, "now", "random_state"),
    ):
        with pytest.raises(UserError, match=words):
            Synchronizer("direct", options, random_state).fit(videos)
    with pytest.raises(UserError, match="1 sample"):
        Synchronizer("linear").fit(videos[:1])
    with pytest.raises(UserError, match=r"action 'b' has 1 training videos \(1 sample\)"):
        Synchronizer("linear").fit(videos[:3], ["a", "b", "a"])
    with pytest.raises(UserError, match="of 5 videos"):
        Synchronizer("linear").fit(videos, labels=labels[:2])


def test_caches_and_their_errors(tmp_path, cache_path):
    sync = Synchronizer("linear", {"data.actions": ["jump"], "data.folds": 2}).fit(str(cache_path))
    assert sync.alignment_.action.tolist() == ["jump"] * 2
    assert set(sync.align(cache_path).action) == {"jump"}
    with pytest.raises(UserError, match="`actions` are not given with a cache"):
        sync.fit(cache_path, "jump")
    with pytest.raises(OSError, match="no such embedding cache"):
        sync.fit(tmp_path / "missing.h5")
    with pytest.raises(OSError, match="no such run directory"):
        Synchronizer.load(tmp_path / "missing")
    other = write_cache(tmp_path / "other.h5", channels=4)
    with pytest.raises(UserError, match="4 channels per frame"):
        Synchronizer("direct").fit(cache_path).align(other)


def test_an_alignment_is_drawn_and_tabled(fitted):
    alignment = replace(fitted.alignment_)
    assert isinstance(alignment, Alignment)
    assert alignment.plot().get_xlabel() == "prototype time"
    table = alignment.to_frames()
    assert len(table) == 30 + 40 + 35 + 50
    np.testing.assert_array_equal(table.query("video_id == '2'").prototype_position, alignment.position(2))

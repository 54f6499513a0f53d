"""Sets that are odd: fitted sensibly, with warps that are finite and in order, or refused in one line."""

import json

import numpy as np
import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.evaluation.alignment import Alignment


def _video(rng, length, channels=4, phases=3, seed=0):
    """A smooth signal at a random tempo, and its phases."""
    progress = np.linspace(0, 1, length) ** rng.uniform(0.6, 1.6)
    waves = np.random.default_rng(seed).normal(size=(5, channels))
    signal = np.cos(np.pi * progress[:, None] * np.arange(1, 6)) @ waves + 0.05 * rng.normal(size=(length, channels))
    return signal, np.minimum((progress * phases).astype(int), phases - 1)


def _write(path, videos, names=("a", "b", "c")):
    """Write (action, split, frames, labels); labels may be None."""
    phase_names = {action: list(names) for action in {v[0] for v in videos}}
    with EmbeddingCacheWriter(
        path, dataset="odd", extractor="none", source="made by a test", phase_names=phase_names, dtype="float32"
    ) as writer:
        for number, (action, split, frames, labels) in enumerate(videos):
            writer.append(video_id=f"v{number:03d}", action=action, split=split, embeddings=frames, labels=labels)
    return path


def _set(lengths, *, splits=None, actions=None, phases=3, channels=4, change=None, labelled=True):
    rng = np.random.default_rng(0)
    found = []
    for k, length in enumerate(lengths):
        frames, labels = _video(rng, length, channels, phases)
        if change is not None:
            frames = change(k, frames, rng)
        split = splits[k] if splits else ("test" if k >= len(lengths) - 2 else "train")
        found.append((actions[k] if actions else "jump", split, frames, labels if labelled else None))
    return found


def _second(kind):
    """Change the second video."""
    how = {
        "constant": lambda x, rng: np.full_like(x, 0.5),
        "zero": lambda x, rng: np.zeros_like(x),
        "reversed": lambda x, rng: x[::-1],
        "shuffled": lambda x, rng: rng.permutation(x),
        "loud": lambda x, rng: 1e4 * x,
    }[kind]
    return lambda k, x, rng: how(x, rng) if k == 1 else x


TWICE = _set([30])[0][2]
SIX = [20, 25, 30, 35, 28, 22]
FITTED = {  # videos, names of phases, scores that cannot be measured, videos that are named as doubtful
    "two identical": (_set([30] * 4, change=lambda *_: TWICE), "abc", (), []),
    "constant": (_set(SIX, change=_second("constant")), "abc", (), ["v001"]),
    "zero": (_set(SIX, change=_second("zero")), "abc", (), ["v001"]),
    "reversed": (_set(SIX, change=_second("reversed")), "abc", (), ["v001"]),
    "shuffled": (_set(SIX, change=_second("shuffled")), "abc", (), ["v001"]),
    "loud": (_set(SIX, change=_second("loud")), "abc", (), None),
    "lengths 2 to 20,000": (_set([2, 3, 50, 20_000, 40, 2]), "abc", (), None),
    "an action missing in test": (
        _set([20, 25, 30, 35, 28], actions=list("xxyyx"), splits=["train"] * 4 + ["test"]),
        "abc",
        (),
        None,
    ),
    "no test videos": (_set(SIX, splits=["train"] * 6), "abc", ("test/plp", "test/kendall_tau"), []),
    "one channel": (_set(SIX, channels=1), "abc", (), []),
    "4096 channels": (_set(SIX, channels=4096), "abc", (), []),
    "one phase": (_set(SIX, phases=1), "a", ("event_spread",), []),
    "unlabelled": (_set(SIX, labelled=False), "abc", ("test/plp", "train/cbc", "event_spread"), []),
    "200 actions": (
        _set([8, 9, 10] * 200, actions=[f"x{k // 3}" for k in range(600)], splits=["train", "train", "test"] * 200),
        "abc",
        (),
        None,
    ),
}
SLOW = ("lengths 2 to 20,000", "200 actions")
TRAINED = (*SLOW, "one channel", "4096 channels")
REFUSED = {
    "one video": (_set([30], splits=["train"]), "action 'jump' has 1 training videos, but aligning needs at least 2"),
    "all constant": (_set(SIX, change=lambda k, x, _: np.ones_like(x)), "do not vary over time"),
    "an action missing in train": (
        _set([20, 25, 30], actions=list("xxy"), splits=["train", "train", "test"]),
        "action 'y' has 0 training videos",
    ),
}


def _fit(folder, path, method):
    place = [f"data.cache={path}", f"run.dir={folder / 'runs'}", "run.name=r"]
    return main(["fit", *place, f"method={method}", "run.figures=false", "run.wandb=disabled", "run.progress=false"])


def _cases():
    for name, case in FITTED.items():
        for method in ("linear", "direct", "tpl_plus"):
            if method != "tpl_plus" or name in TRAINED:
                is_slow = name in SLOW or method == "tpl_plus"
                yield pytest.param(*case, method, id=f"{name}-{method}", marks=[pytest.mark.slow] * is_slow)


@pytest.mark.filterwarnings("ignore:.*do not change over time")
@pytest.mark.parametrize(("videos", "names", "missing", "doubtful", "method"), _cases())
def test_odd_sets_are_fitted(tmp_path, videos, names, missing, doubtful, method):
    path = _write(tmp_path / "c.h5", videos, names)
    assert _fit(tmp_path, path, method) == 0
    alignment = Alignment.load(tmp_path / "runs" / "r" / "alignment.h5")
    for i, video in enumerate(videos):
        position, source = alignment.position(i), alignment.source(i)
        assert len(position) == len(video[2])
        for times in (position, source):
            assert np.isfinite(times).all()
            assert (np.diff(times) >= 0).all()
        assert 0 <= position[0] <= position[-1] <= 1
    metrics = json.loads((tmp_path / "runs" / "r" / "metrics.json").read_text())
    unmeasured = [k for k in ("test/plp", "train/cbc", "event_spread", "test/kendall_tau") if metrics[k] is None]
    assert set(missing) <= set(unmeasured)
    for key in unmeasured:
        assert any(key in note and "not measured" in note for note in metrics["notes"]), key
    if doubtful is not None and method == "direct":
        found = metrics["doubtful_videos"]
        # A video that is compared with a damaged one may be doubted with it, as there are but two others.
        assert set(doubtful) <= set(found)
        assert len(found) <= len(doubtful) + bool(doubtful)


@pytest.mark.parametrize(("videos", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_sets_that_cannot_be_fitted_are_refused(tmp_path, capsys, videos, words):
    path = _write(tmp_path / "c.h5", videos)
    assert _fit(tmp_path, path, "direct") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("tpl: error: ")
    assert words in error

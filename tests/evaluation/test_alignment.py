"""The Alignment file, the length-only aligners, and scores against plain loops."""

import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import write_cache
from tpl_lightning.aligners.by_length import LinearAligner, PadAligner
from tpl_lightning.config import Config
from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.scores import evaluate, voted_labels


@pytest.fixture
def videos(cache):
    return VideoSet(cache)


def _warped(videos):
    """An alignment with a different warp for each video."""
    positions, sources = [], []
    for i, length in enumerate(videos.lengths.tolist()):
        power = 1 + 0.2 * (i % 3)
        positions.append(np.linspace(0, 1, length) ** power)
        sources.append(np.linspace(0, 1, 20 if videos.action[i] == "jump" else 23) ** (1 / power))
    return Alignment.from_rows(
        video_id=videos.video_id, action=videos.action, split=videos.split, positions=positions, sources=sources
    )


def test_file_round_trip_and_layout(videos, tmp_path):
    alignment = _warped(videos)
    alignment.save(tmp_path / "alignment.h5")
    again = Alignment.load(tmp_path / "alignment.h5")
    for i in range(len(videos)):
        np.testing.assert_array_equal(again.position(i), alignment.position(i))
        np.testing.assert_array_equal(again.source(i), alignment.source(i))
    assert again.lengths.tolist() == videos.lengths.tolist()
    with h5py.File(tmp_path / "alignment.h5") as file:
        kinds = {name: file[name].dtype for name in file}
        assert file["video_id"].asstr()[0] == videos.video_id[0]
    assert kinds["prototype_position"] == kinds["source_position"] == np.float32
    assert kinds["offsets"] == kinds["source_offsets"] == kinds["prototype_length"] == np.int64


def test_positions_never_fall_nor_leave_the_unit_interval():
    text = np.array(["a"])
    made = Alignment.from_rows(
        video_id=text,
        action=text,
        split=text,
        positions=[np.array([-1e-9, 0.5, 0.5 - 1e-8, 1.0000001])],
        sources=[np.ones(2)],
    )
    assert (np.diff(made.position(0)) >= 0).all()
    assert (made.position(0).min(), made.position(0).max()) == (0, 1)


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no alignment"):
        Alignment.load(tmp_path / "x.h5")
    (tmp_path / "x.h5").write_text("hello")
    with pytest.raises(UserError, match=r"x\.h5"):
        Alignment.load(tmp_path / "x.h5")


def test_linear_and_padding_rows(videos):
    train = videos.select(videos.split == "train")
    linear, pad = LinearAligner(Config(), Path()), PadAligner(Config(), Path())
    for aligner, statistic in ((linear, np.median), (pad, np.max)):
        aligner.fit(train)
        alignment = aligner.align(videos)
        for i, action in enumerate(videos.action):
            expected = int(statistic(train.lengths[train.action == action]))
            assert alignment.prototype_length[i] == expected == len(alignment.source(i))
    for i, length in enumerate(videos.lengths.tolist()):
        np.testing.assert_allclose(linear.align(videos).position(i), np.arange(length) / (length - 1), atol=1e-6)
        points = pad.prototype_length[str(videos.action[i])]
        frames = np.arange(length)
        np.testing.assert_allclose(
            pad.align(videos).position(i) * (points - 1), np.minimum(frames, points - 1), atol=1e-4
        )
    linear.fit(train.select(train.action == "jump"))
    with pytest.raises(UserError, match="'turn'"):
        linear.align(videos)


def _loop_scores(alignment, videos, action):
    """CBC, PLP and spread of one action, frame by frame."""
    rows = [i for i in range(len(videos)) if videos.action[i] == action]
    length = int(alignment.prototype_length[rows[0]])
    names = []
    for j in range(length):
        votes = [0] * 3
        for i in rows:
            if videos.split[i] == "train":
                frame = int(np.round(float(alignment.source(i)[j]) * (videos.lengths[i] - 1)))
                votes[videos.labels(i)[frame]] += 1
        names.append(int(np.argmax(votes)))
    shares = {"train": [], "test": []}
    begins = {1: [], 2: []}
    for i in rows:
        labels, position = videos.labels(i), alignment.position(i)
        right = [
            names[int(np.round(float(p) * (length - 1)))] == label for p, label in zip(position, labels, strict=True)
        ]
        shares[str(videos.split[i])].append(np.mean(right))
        for phase, found in begins.items():
            where = np.flatnonzero(labels == phase)
            if len(where):
                found.append(position[where[0]])
    return shares, [np.std(v) for v in begins.values() if len(v) >= 2]


def test_scores_equal_plain_loops(videos):
    alignment = _warped(videos)
    scores = evaluate(alignment, videos)
    train, test, spreads = [], [], []
    for action in videos.actions:
        shares, spread = _loop_scores(alignment, videos, action)
        assert scores.per_action[action]["train/cbc"] == pytest.approx(np.mean(shares["train"]))
        assert scores.per_action[action]["test/plp"] == pytest.approx(np.mean(shares["test"]))
        assert scores.per_action[action]["event_spread"] == pytest.approx(np.mean(spread), abs=1e-6)
        train, test, spreads = train + shares["train"], test + shares["test"], spreads + spread
    assert scores.overall["train/cbc"] == pytest.approx(np.mean(train))
    assert scores.overall["test/plp"] == pytest.approx(np.mean(test))
    assert scores.overall["event_spread"] == pytest.approx(np.mean(spreads), abs=1e-6)
    again = evaluate(alignment, videos.select(np.arange(8)), prototypes=scores.prototype_labels)
    assert np.isnan(again.overall["train/cbc"])
    assert again.overall["test/plp"] == pytest.approx((np.mean(train) * 6 + np.mean(test) * 2) / 8)


def test_votes_alone_are_those_of_the_scores(videos):
    alignment = _warped(videos)
    everybody = replace(alignment, split=np.full(len(videos), "train"))
    expected = evaluate(everybody, videos).prototype_labels
    found = voted_labels([alignment.source(i) for i in range(len(videos))], videos)
    assert found.keys() == expected.keys()
    for action, labels in found.items():
        np.testing.assert_array_equal(labels, expected[action])


def test_warp_error_is_0_for_a_perfect_alignment(videos):
    positions = [videos.progress(i) for i in range(len(videos))]
    sources = [np.linspace(0, 1, 30)] * len(videos)
    perfect = Alignment.from_rows(
        video_id=videos.video_id,
        action=videos.action,
        split=videos.split,
        positions=[p**2 for p in positions],
        sources=sources,  # any monotone clock will do
    )
    assert evaluate(perfect, videos).overall["warp_error"] < 1e-3
    assert evaluate(_warped(videos), videos).overall["warp_error"] > 0.01


def test_without_labels_scores_are_nan(tmp_path):
    videos = VideoSet(EmbeddingCache(write_cache(tmp_path / "x.h5", labels=False)))
    scores = evaluate(_warped(videos), videos)
    assert all(np.isnan(scores.overall[name]) for name in ("train/cbc", "test/plp", "event_spread"))


def test_a_warp_that_is_not_finite_names_its_video():
    warps = {"positions": [np.array([0.0, np.nan])], "sources": [np.array([0.0, 1.0])]}
    with pytest.raises(UserError, match="video 'jump_1': its warp is not finite"):
        Alignment.from_rows(video_id=np.array(["jump_1"]), action=np.array(["jump"]), split=np.array(["test"]), **warps)


def test_a_video_is_found_by_row_or_name_and_its_warp_is_a_function(videos):
    alignment = _warped(videos)
    name = str(alignment.video_id[2])
    assert alignment.row(name) == alignment.row(2) == alignment.row(2 - len(videos)) == 2
    warp = alignment.warp(name)
    np.testing.assert_allclose(warp(np.linspace(0, 1, 20)), np.linspace(0, 1, 20) ** (1 / 1.4), atol=1e-6)
    np.testing.assert_allclose(warp.inverse(warp(0.5)), 0.5, atol=0.01)
    np.testing.assert_allclose(warp.frame(1.0), videos.lengths[2] - 1)
    np.testing.assert_allclose(warp.prototype_time(np.arange(videos.lengths[2])), alignment.position(2))
    for video in ("nobody", len(videos)):
        with pytest.raises(UserError, match="not among the 8 videos"):
            alignment.warp(video)
    part = alignment.select(np.array([5, 2]))
    assert part.video_id.tolist() == [str(alignment.video_id[5]), name]
    np.testing.assert_array_equal(part.source(1), alignment.source(2))


def test_a_table_has_a_row_for_each_frame(videos, monkeypatch):
    alignment = _warped(videos)
    table = alignment.to_frames()
    assert len(table) == int(videos.lengths.sum())
    second = table[table.video_id == alignment.video_id[1]]
    assert second.frame.tolist() == list(range(int(videos.lengths[1])))
    np.testing.assert_array_equal(second.prototype_position, alignment.position(1))
    np.testing.assert_allclose(second.video_time, np.linspace(0, 1, int(videos.lengths[1])))
    monkeypatch.setitem(sys.modules, "pandas", None)
    plain = alignment.to_frames()
    assert isinstance(plain, dict)
    assert {key: list(values) for key, values in plain.items()} == {key: list(table[key]) for key in table}


def test_a_missing_file_is_an_oserror_of_ours(tmp_path):
    with pytest.raises(OSError, match="no alignment there") as caught:
        Alignment.load(tmp_path / "alignment.h5")
    assert isinstance(caught.value, UserError)


def test_idle_frames_have_no_point_and_missing_points_no_frame():
    text = np.array(["a", "b", "c"])
    made = Alignment.from_rows(
        video_id=text,
        action=text,
        split=text,
        positions=[
            np.array([0.0, 0.0, 0.5, 1.0, 1.0]),  # idles in its first frame and its last
            np.array([0.25, 0.5, 0.75]),  # misses both ends
            np.array([0.0, 0.0, 0.5, 1.0]),  # two frames at the first point: neither idles
        ],
        sources=[np.linspace(0.25, 0.75, 5), np.linspace(-0.5, 1.5, 5), np.linspace(0, 1, 5)],
    )
    assert made.faced(0).tolist() == [-1.0, 0.0, 0.5, 1.0, 2.0]
    assert made.there(0).all()
    np.testing.assert_array_equal(made.faced(1), made.position(1))
    assert made.there(1).tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(made.faced(2), made.position(2))


def test_a_labelled_frame_that_idles_counts_as_wrong_and_a_missing_one_does_not_vote(tmp_path):
    labels = np.array([0, 0, 0, 1, 1, 1])
    path = tmp_path / "c.h5"
    with EmbeddingCacheWriter(
        path, dataset="tiny", extractor="ones", source="a test", phase_names={"jump": ["a", "b"]}
    ) as writer:
        for name in ("v0", "v1"):
            writer.append(video_id=name, action="jump", split="train", embeddings=np.ones((6, 2)), labels=labels)
    videos = VideoSet(EmbeddingCache(path))
    grid = np.linspace(0, 1, 6)
    idle = np.array([0, 0, 0.2, 0.62, 0.8, 1.0])
    made = Alignment.from_rows(
        video_id=videos.video_id,
        action=videos.action,
        split=videos.split,
        positions=[grid, idle],
        sources=[grid, np.linspace(0.2, 1, 6)],
    )
    scores = evaluate(made, videos)
    assert scores.per_action["jump"]["train/cbc"] == pytest.approx((1 + 5 / 6) / 2)
    # The first video has no frame at the first point and the last two, the second one none at the last.
    votes = voted_labels([np.array([-0.2, 0.2, 0.4, 0.6, 1.2, 1.4]), np.array([1, 0, 0, 1, 1, 1.1])], videos)
    assert votes["jump"].tolist() == [1, 0, 0, 1, 1, -1]

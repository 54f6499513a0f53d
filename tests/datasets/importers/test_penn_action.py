"""Penn Action: a tiny tree of the same layout."""

import numpy as np
import pytest
from scipy.io import savemat

from tpl_lightning.__main__ import main
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.datasets.importers.registry import IMPORTERS
from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip
from tpl_lightning.video.clock import VideoClock

pytest.importorskip("google_crc32c")
pytest.importorskip("av")

from tests.record_factory import jpeg, picture, sequence, write_records

QUICK = ["channels=3", "num_workers=0", "progress=false"]


@pytest.fixture
def penn_action(tmp_path):
    """Four golf swings and two bowlers, eight frames each."""
    root = tmp_path / "Penn_Action"
    (root / "labels").mkdir(parents=True)
    for number in range(1, 7):
        action, train = ("golf_swing", number <= 3) if number <= 4 else ("bowl", number == 5)
        folder = root / "frames" / f"{number:04d}"
        folder.mkdir(parents=True)
        for frame in range(8):
            (folder / f"{frame + 1:06d}.jpg").write_bytes(jpeg(picture(frame, number)))
        content = {"action": action, "train": 1 if train else -1, "nframes": 8, "dimensions": [48, 48, 8]}
        savemat(root / "labels" / f"{number:04d}.mat", content)
    return root


def test_penn_action(penn_action, tmp_path, capsys):
    out = tmp_path / "p.h5"
    assert main(["cache", "import", "penn_action", str(penn_action), f"out={out}", *QUICK]) == 0
    assert capsys.readouterr().out == f"{out}: 6 videos, 48 frames, 3 channels, hog-pca3\n"
    cache = EmbeddingCache(out)
    cache.validate()
    assert cache.dataset == "penn_action"
    assert cache.video_id.tolist() == [f"{number:04d}" for number in range(1, 7)]
    assert cache.action.tolist() == ["golf_swing"] * 4 + ["bowl"] * 2
    assert cache.split.tolist() == ["train"] * 3 + ["test", "train", "test"]
    assert set(cache.fps.tolist()) == {30.0}
    assert not cache.has_labels


def test_penn_action_with_phases(penn_action, tmp_path):
    for split, number, labels in (
        ("train", 1, [0, 0, 0, 1, 1, 1, 2, 2]),
        ("train", 2, [0, 1, 1, 2]),  # half as there are frames: stretched
        ("val", 3, [0] * 4 + [1] * 4),
    ):
        folder = penn_action / "phase_labels" / split / "golf_swing"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{number:04d}.npy", np.array(labels))
    clips, names = IMPORTERS["penn_action"].read(penn_action, None)
    assert names == {"golf_swing": ["phase 1", "phase 2", "phase 3"]}
    assert [(clip.video_id, clip.split) for clip in clips] == [("0001", "train"), ("0002", "train"), ("0003", "test")]
    found = [clip.phases.labels(VideoClock.even(8, 30)).tolist() for clip in clips]
    assert found == [[0, 0, 0, 1, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1, 2, 2], [0] * 4 + [1] * 4]


def test_penn_action_with_phases_in_records(penn_action, tmp_path):
    folder = tmp_path / "tcc"
    folder.mkdir()
    write_records(folder / "golf_swing_train-0-of-1.tfrecord", [sequence("0001_golf_swing", [0] * 5 + [1] * 3)])
    write_records(folder / "golf_swing_val-0-of-1.tfrecord", [sequence("0004_golf_swing", [0] * 2 + [1] * 6)])
    clips, names = IMPORTERS["penn_action"].read(penn_action, folder)
    assert [(clip.video_id, clip.split) for clip in clips] == [("0001", "train"), ("0004", "test")]
    assert clips[1].phases.labels(VideoClock.even(8, 30)).tolist() == [0] * 2 + [1] * 6
    assert names == {"golf_swing": ["phase 1", "phase 2"]}


def test_image_folders_follow_the_frame_rate(penn_action):
    clip = Clip("0001", "golf_swing", "train", penn_action / "frames" / "0001", kind="images", image_fps=30.0)
    everything = list(clip.reader())
    assert len(everything) == 8
    np.testing.assert_array_equal(np.array(list(clip.reader(fps=15.0))), np.array(everything[::2]))
    np.testing.assert_array_equal(np.array(list(clip.reader(fps=60.0))), np.array(everything).repeat(2, axis=0))
    (small, *_) = clip.reader(size=lambda width, height: (width // 2, height // 2))
    assert small.shape == (24, 24, 3)


def test_damaged_labels_are_named(penn_action):
    (penn_action / "labels" / "0002.mat").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"0002\.mat: expected a \.mat file"):
        IMPORTERS["penn_action"].read(penn_action, None)


def test_a_folder_without_sequences_and_phases_of_others_are_named(penn_action, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: expected frames/NNNN/\*\.jpg"):
        IMPORTERS["penn_action"].read(tmp_path / "empty", None)
    with pytest.raises(UserError, match=r"empty: expected phases .*NNNN\*\.npy or \*\.tfrecord, but found none"):
        IMPORTERS["penn_action"].read(penn_action, tmp_path / "empty")
    np.save(tmp_path / "empty" / "0999.npy", np.array([0, 1]))
    with pytest.raises(UserError, match=r"empty: expected phases of sequences in .*frames, but found none of them"):
        IMPORTERS["penn_action"].read(penn_action, tmp_path / "empty")

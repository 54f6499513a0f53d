"""Data sets as they are handed out: tiny trees of the same layout."""

import io
import json
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from tpl_lightning.__main__ import main
from tpl_lightning.config.runs import DataConfig
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.datasets.importers.registry import IMPORTERS
from tpl_lightning.datasets.sources import find_or_make_cache
from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip
from tpl_lightning.files.tfrecord import message_class
from tpl_lightning.video.clock import VideoClock
from tpl_lightning.video.files import write_video

google_crc32c = pytest.importorskip("google_crc32c")
pytest.importorskip("av")

QUICK = ["channels=3", "num_workers=0", "progress=false"]


def picture(number, seed=0, size=48):
    rng = np.random.default_rng(seed)
    frame = rng.integers(40, 90, size=(size, size, 3)).astype(np.uint8)
    frame[4 * number : 4 * number + 12, 10:30] = 240
    return frame


def jpeg(frame):
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "jpeg", quality=95)
    return file.getvalue()


def write_records(path, examples):
    def masked(data):
        crc = google_crc32c.value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    with path.open("wb") as file:
        for example in examples:
            data = example.SerializeToString()
            length = struct.pack("<Q", len(data))
            file.write(length + masked(length) + data + masked(data))


def sequence(name, labels, *, frames=(), names=None):
    example = message_class("SequenceExample")()
    context, steps = example.context.feature, example.feature_lists.feature_list
    context.add(key="name").value.bytes_list.value.append(name.encode())
    context.add(key="len").value.int64_list.value.append(len(labels))
    if names:
        context.add(key="framelabels_string").value.bytes_list.value.append(",".join(names).encode())
    shown = steps.add(key="frame_labels").value
    for label in labels:
        shown.feature.add().int64_list.value.append(label)
    video = steps.add(key="video").value
    for frame in frames:
        video.feature.add().bytes_list.value.append(jpeg(frame))
    return example


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


@pytest.fixture
def pouring(tmp_path):
    root = tmp_path / "pouring"
    root.mkdir()
    names = ["reach", "pour", "put back"]

    def example(name, seed, count=8):
        labels = [0] * 3 + [1] * (count - 5) + [2] * 2
        return sequence(name, labels, frames=[picture(i, seed) for i in range(count)], names=names)

    write_records(root / "pouring_train-0-of-2.tfrecord", [example("a to b", 0), example("b to a", 1, 9)])
    write_records(root / "pouring_train-1-of-2.tfrecord", [example("c to b", 2)])
    write_records(root / "pouring_val-0-of-1.tfrecord", [example("b to c", 3)])
    return root


def test_pouring(pouring, tmp_path):
    out = tmp_path / "p.h5"
    assert main(["cache", "import", "pouring", str(pouring), f"out={out}", *QUICK]) == 0
    cache = EmbeddingCache(out)
    cache.validate()
    assert cache.video_id.tolist() == ["a to b", "b to a", "c to b", "b to c"]
    assert cache.split.tolist() == ["train"] * 3 + ["test"]
    assert cache.phase_names == {"pouring": ["reach", "pour", "put back"]}
    assert cache.labels(1).tolist() == [0] * 3 + [1] * 4 + [2] * 2


@pytest.fixture
def videos(tmp_path):
    root = tmp_path / "set"
    for action in ("dip", "pull"):
        for number in range(3):
            frames = np.array([picture(i, number) for i in range(8)])
            write_video(root / action / f"{action}_{number}.mp4", frames, 24.0)
    return root


@pytest.mark.parametrize("name", ["genai", "internet"])
def test_videos_in_folders_with_key_events(videos, tmp_path, name):
    clips = {
        f"dip_{i}": {"action": "dip", "events": [2 + i], "num_frames": 7, "split": "test" if i == 1 else "train"}
        for i in range(3)
    }
    (videos / "annotations.json").write_text(json.dumps({"phases": {"dip": ["down", "up"]}, "clips": clips}))
    out = tmp_path / "v.h5"
    assert main(["cache", "import", name, str(videos), f"out={out}", *QUICK]) == 0
    cache = EmbeddingCache(out)
    cache.validate()
    assert cache.dataset == name
    assert cache.lengths.tolist() == [7, 7, 7, 8, 8, 8]
    assert cache.split.tolist()[:3] == ["train", "test", "train"]
    assert [cache.labels(i).tolist() for i in (0, 2)] == [[0] * 2 + [1] * 5, [0] * 4 + [1] * 3]
    assert set(cache.labels(3).tolist()) == {-1}


def test_annotations_that_contradict_the_folders_are_named(videos):
    clips = {"dip_0": {"action": "pull", "events": []}}
    (videos / "annotations.json").write_text(json.dumps({"phases": {"pull": ["all"]}, "clips": clips}))
    with pytest.raises(UserError, match="said to show 'pull', but lies in 'dip'"):
        IMPORTERS["genai"].read(videos, None)
    clips = {"other": {"action": "pull", "events": []}}
    (videos / "annotations.json").write_text(json.dumps({"phases": {"pull": ["all"]}, "clips": clips}))
    with pytest.raises(UserError, match="found those of other"):
        IMPORTERS["genai"].read(videos, None)


def test_embeddings_of_someone_else(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(length, 5)).astype(np.float32) for length in (6, 7, 8, 9)]
    np.save(tmp_path / "a.npy", arrays[0])
    np.savez(tmp_path / "b.npz", embeddings=arrays[1], labels=np.array([0] * 3 + [1] * 4))
    torch.save(
        {"embeddings": torch.from_numpy(arrays[2]), "labels": torch.tensor([0] * 4 + [2] * 4)}, tmp_path / "c.pt"
    )
    torch.save(torch.from_numpy(arrays[3]).half(), tmp_path / "d.pt")
    np.savetxt(tmp_path / "a.txt", [0, 0, 0, 1, 1, -1])
    rows = [
        "path,action,split,labels,fps",
        "a.npy,x,train,a.txt,30",
        "b.npz,x,train,,",
        "c.pt,x,test,,",
        "d.pt,y,train,,",
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    out = tmp_path / "e.h5"
    arguments = [str(tmp_path / "list.csv"), f"out={out}", "dtype=float32", "extractor=carl"]
    assert main(["cache", "import", "npy", *arguments]) == 0
    cache = EmbeddingCache(out)
    cache.validate()
    for index, array in enumerate(arrays):
        np.testing.assert_allclose(cache.read(index), array, atol=2e-3 if index == 3 else 0)
    assert cache.extractor == "carl"
    assert cache.labels(0).tolist() == [0, 0, 0, 1, 1, -1]
    assert cache.labels(1).tolist() == [0] * 3 + [1] * 4
    assert cache.labels(2).tolist() == [0] * 4 + [2] * 4
    assert cache.phase_names == {"x": ["phase 1", "phase 2", "phase 3"]}
    assert cache.fps.tolist() == [30.0, 24.0, 24.0, 24.0]


class Harmful:
    def __reduce__(self):
        return (print, ("code of a stranger",))


@pytest.mark.parametrize(
    ("name", "write", "named"),
    [
        ("a.npy", lambda path: np.save(path, np.zeros(4)), r"shape \(frames, channels\)"),
        ("a.npy", lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True), "could not"),
        ("a.npy", lambda path: path.write_bytes(b"no numbers"), "could not"),
        ("a.npz", lambda path: np.savez(path, u=np.zeros((3, 2)), v=np.zeros((3, 2))), "found u, v"),
        ("a.pt", lambda path: torch.save(Harmful(), path), "could not"),
        ("a.mat", lambda path: path.write_bytes(b""), "another ending"),
    ],
)
def test_files_that_hold_something_else_are_named(tmp_path, capsys, name, write, named):
    write(tmp_path / name)
    (tmp_path / "list.csv").write_text(f"path,action\n{name},x\n")
    with pytest.raises(UserError, match=named) as error:
        main_raising(["npy", str(tmp_path / "list.csv"), f"out={tmp_path / 'e.h5'}"])
    assert str(tmp_path / name) in str(error.value)
    assert "stranger" not in capsys.readouterr().out
    assert not (tmp_path / "e.h5").exists()


def main_raising(arguments):
    from tpl_lightning.commands.embedding import import_data

    return import_data(arguments)


@pytest.mark.parametrize("name", sorted(IMPORTERS))
def test_what_is_missing_is_named(tmp_path, name, capsys):
    with pytest.raises(UserError, match=name):
        main_raising([name, str(tmp_path / "nowhere")])
    with pytest.raises(UserError) as error:
        main_raising([name, str(tmp_path), f"out={tmp_path / 'x.h5'}"])
    assert str(tmp_path) in str(error.value)
    # And the same for training on it, with the expected tree.
    if name != "genai":
        with pytest.raises(UserError) as error:
            find_or_make_cache(DataConfig(dataset=name, root=str(tmp_path)))
        assert IMPORTERS[name].expected in str(error.value)


def test_damaged_labels_are_named(penn_action):
    (penn_action / "labels" / "0002.mat").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"0002\.mat: expected a \.mat file"):
        IMPORTERS["penn_action"].read(penn_action, None)


def test_training_finds_a_data_set_as_it_is_handed_out(pouring, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tpl_lightning.features.hog.HogExtractor.__init__.__kwdefaults__", {"params": None, "channels": 3}
    )
    data = DataConfig(dataset="pouring", root=str(tmp_path))
    path = find_or_make_cache(data, progress=False)
    assert path.parent == tmp_path / "embedded"
    cache = EmbeddingCache(path)
    assert (len(cache), cache.dataset, cache.has_labels) == (4, "pouring", True)
    changed = path.stat().st_mtime_ns
    assert find_or_make_cache(data, progress=False) == path
    assert path.stat().st_mtime_ns == changed

"""The videos of a folder, or of a list."""

from dataclasses import replace

import numpy as np
import pytest

from tests.features.conftest import QUIET
from tests.features.small_runs import Counting
from tests.video_factory import embed_folder
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features import embed_clips
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.listing import clips_of_folder, clips_of_list

pytest.importorskip("av")


def test_folders_that_do_not_do_are_named(folder, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        embed_folder(tmp_path / "nowhere", tmp_path / "x.h5", **QUIET)
    (tmp_path / "empty" / "jump").mkdir(parents=True)
    with pytest.raises(UserError, match="found none"):
        embed_folder(tmp_path / "empty", tmp_path / "x.h5", **QUIET)
    (tmp_path / "empty" / "jump" / "a.mp4").write_bytes((folder / "jump" / "take 1.mp4").read_bytes())
    with pytest.raises(UserError, match="jump has 1"):
        embed_folder(tmp_path / "empty", tmp_path / "x.h5", **QUIET)
    with pytest.warns(UserWarning, match="components, so that"):
        embed_folder(folder, tmp_path / "x.h5", channels=500, **QUIET)
    cache = EmbeddingCache(tmp_path / "x.h5")
    assert cache.extractor == f"hog-pca{cache.num_channels}"
    assert cache.num_channels < 500


def test_a_list_with_labels(folder, tmp_path):
    np.save(tmp_path / "labels.npy", np.repeat([0, 1, 2], 4))
    (tmp_path / "segments.csv").write_text(
        "video_id,phase,start_frame,end_frame\nlast,phase 1,0,2\nlast,phase 2,2,15\n"
    )
    rows = [
        "path,action,split,labels,video_id",
        f"{folder}/jump/first_jump.mp4,jump,train,labels.npy,",
        f"{folder}/jump/take 1.mp4,jump,test,5;9,second",
        f"{folder}/turn/first_turn.mp4,turn,train,,",
        f"{folder}/jump/take 3.mp4,jump,train,segments.csv,last",
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    clips, names = clips_of_list(tmp_path / "list.csv")
    assert [(clip.video_id, clip.split) for clip in clips] == [
        ("first_jump", "train"),
        ("second", "test"),
        ("first_turn", "train"),
        ("last", "train"),
    ]
    options = {"dataset": "d", "source": "s", "phase_names": names, **QUIET}
    cache = EmbeddingCache(embed_clips(clips, tmp_path / "x.h5", extractor=HogExtractor(channels=4), **options))
    cache.validate()
    assert cache.labels(0).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert cache.labels(1).tolist() == [0] * 5 + [1] * 4 + [2] * 4
    assert set(cache.labels(2).tolist()) == {-1}
    assert cache.labels(3).tolist() == [0] * 2 + [1] * 13
    assert cache.phase_names["jump"] == ["phase 1", "phase 2", "phase 3"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("action\njump\n", "path is missing"),
        ("path,action\nnone.mp4,jump\n", "line 2: there is no file"),
        ("path,action\n", "the list is empty"),
        ("path,action,split\nlist.csv,jump,holdout\n", "a split out of train, val, test"),
        ("path,action,labels\nlist.csv,jump,9;5\n", "line 2: expected labels"),
        ("path,action,labels\nlist.csv,jump,soon\n", "line 2: expected labels"),
        ("path,action\nlist.csv,\n", "line 2: expected a path and an action"),
        ("path,action,fps\nlist.csv,jump,fast\n", "line 2: expected `fps` to be a positive number"),
        ("path,action,fps\nlist.csv,jump,0\n", "line 2: expected `fps` to be a positive number"),
    ],
)
def test_lists_that_do_not_do_are_named(tmp_path, text, named):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=named):
        clips_of_list(tmp_path / "list.csv")


def test_two_videos_of_one_name_are_named_at_once(folder, tmp_path):
    clips = clips_of_folder(folder)
    twice = replace(clips[0], path=folder / "other.mp4")
    with pytest.raises(UserError, match=r"other\.mp4: the name 'first_jump' is that of .*first_jump\.mp4 too"):
        embed_clips([*clips, twice], tmp_path / "x.h5", extractor=Counting(stop_at=0), dataset="d", source="s", **QUIET)
    assert not list(tmp_path.iterdir())


def test_lists_come_from_spreadsheets_too(folder, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"\ufeffpath;action;video_id\n{folder}/jump/first_jump.mp4;jump;sprung auf\n", encoding="utf-8")
    assert [(clip.action, clip.video_id) for clip in clips_of_list(path)[0]] == [("jump", "sprung auf")]
    path.write_bytes("path,action\nfirst.mp4,fußball\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"list\.csv: expected a CSV file in UTF-8"):
        clips_of_list(path)


def test_a_folder_has_a_folder_for_each_action(tmp_path):
    for action, names in (("jump", ("a", "b", "c")), ("turn", ("a", "d"))):
        (tmp_path / action).mkdir()
        for name in names:
            (tmp_path / action / f"{name}.mp4").touch()
    found = clips_of_folder(tmp_path)
    assert [(clip.video_id, clip.action) for clip in found] == [
        ("jump/a.mp4", "jump"),
        ("b", "jump"),
        ("c", "jump"),
        ("turn/a.mp4", "turn"),
        ("d", "turn"),
    ]
    assert [clip.split for clip in found].count("test") == 1
    (tmp_path / "turn" / "d.mp4").unlink()
    with pytest.raises(UserError, match=r"at least 2 videos of each action in .*, but turn has 1"):
        clips_of_folder(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"Expected videos <action>/<video>\.<ext> .* but found none"):
        clips_of_folder(tmp_path / "none")


def test_a_list_gives_names_splits_and_phases(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "pictures").mkdir()
    np.savetxt(tmp_path / "labels.txt", [0, 0, 1, 2])
    (tmp_path / "list.csv").write_text(
        "path,action,split,video_id,labels,fps\na.mp4,jump,train,,2;5,\nb.mp4,jump,val,second,labels.txt,\n"
        "pictures,turn,test,,,12\n"
    )
    clips, names = clips_of_list(tmp_path / "list.csv")
    assert [(c.video_id, c.split, c.kind) for c in clips] == [
        ("a", "train", "video"),
        ("second", "val", "video"),
        ("pictures", "test", "images"),
    ]
    assert clips[0].phases.spans == ((0.0, 2.0, 0), (2.0, 5.0, 1), (5.0, float("inf"), 2))
    assert clips[1].phases.spans == ((0.0, 2.0, 0), (2.0, 3.0, 1), (3.0, 4.0, 2))
    assert (clips[2].phases, clips[2].image_fps) == (None, 12.0)
    assert names == {"jump": ["phase 1", "phase 2", "phase 3"]}
    (tmp_path / "bad.csv").write_text("path,action\nlist.csv,jump\n")
    with pytest.raises(UserError, match=r"bad\.csv: line 2: .*list\.csv is no video by its ending"):
        clips_of_list(tmp_path / "bad.csv")

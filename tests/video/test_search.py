"""Finding videos: endings, depth, links, and what is left out."""

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.features.listing import clips_of_folder
from tpl_lightning.files.outputs import Outputs
from tpl_lightning.video.search import find_videos, is_video, note_left_out, search_videos


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_the_layout_at_any_depth_and_why_others_are_left_out(tmp_path):
    videos = ["jump/c.mp4", "jump/day 1/d.m4v", "turn/a.webm", "turn/b.MP4"]
    touch(tmp_path, *videos, "jump/notes.txt", "jump/x.doc", "jump/.hidden.mp4", ".cache/d.mp4", "loose.mp4")
    (tmp_path / "jump" / "folder.mp4").mkdir()
    (tmp_path / "jump" / "gone.mp4").symlink_to("nowhere")
    found, left = find_videos(tmp_path)
    assert found == [(name.partition("/")[0], tmp_path / name) for name in videos]
    assert find_videos(str(tmp_path)) == (found, left)
    assert {reason: [path.name for path in paths] for reason, paths in left.items()} == {
        "in no folder that names their action": ["loose.mp4"],
        "hidden": [".hidden.mp4"],
        "links to nothing": ["gone.mp4"],
        "no videos by their ending": ["x.doc"],
    }


@pytest.mark.parametrize(
    "ending", ["m4v", "mts", "m2ts", "ts", "mpg", "mpeg", "wmv", "ogv", "3gp", "flv", "MOV", "gif"]
)
def test_endings(tmp_path, ending):
    touch(tmp_path, f"a.{ending}")
    assert search_videos(tmp_path) == ([tmp_path / f"a.{ending}"], {})
    assert is_video(tmp_path / f"a.{ending}")


def test_linked_folders_are_searched_and_circles_end(tmp_path):
    touch(tmp_path, "store/a.mp4")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "jump").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "up").symlink_to(tmp_path / "set")
    found, _ = find_videos(tmp_path / "set")
    assert found == [("jump", tmp_path / "set" / "jump" / "a.mp4")]


def test_what_a_command_made_is_no_input_of_the_next(tmp_path):
    touch(tmp_path, "a.mp4")
    Outputs("sync").write_bytes(tmp_path / "synced.mp4", b"video")
    found, left = search_videos(tmp_path)
    assert [path.name for path in found] == ["a.mp4"]
    assert [path.name for path in left["made by tpl sync"]] == ["synced.mp4"]
    (tmp_path / "synced.mp4").write_bytes(b"another video")
    assert len(search_videos(tmp_path)[0]) == 2


@pytest.mark.parametrize("command", ["render", "find"])
def test_rendered_and_found_clips_are_made_to_be_read(tmp_path, command):
    Outputs(command).write_bytes(tmp_path / "dips_000.mp4", b"video")
    assert search_videos(tmp_path) == ([tmp_path / "dips_000.mp4"], {})


def test_the_note_is_one_line(tmp_path, capsys):
    note_left_out(
        {"hidden": [tmp_path / "a\nb", *[tmp_path / f"{k}" for k in range(4)]], "of other actions": [tmp_path]}
    )
    error = capsys.readouterr().err
    assert error.startswith("note: files left out: 5 hidden (a b, 0, 1 ...); 1 of other actions (")
    assert error.count("\n") == 1
    note_left_out({})
    assert capsys.readouterr().err == ""


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        find_videos(tmp_path / "nowhere")


def test_names_are_unique_in_deep_folders_and_in_any_unicode_form(tmp_path):
    touch(tmp_path, "s/a.mp4", "s/d1/b.mp4", "s/d2/b.mp4", "s/k.mp4", "s/k.mov", "s/cafe\u0301.mp4")
    names = sorted(clip.video_id for clip in clips_of_folder(tmp_path))
    assert names == ["a", "caf\u00e9", "s/d1/b.mp4", "s/d2/b.mp4", "s/k.mov", "s/k.mp4"]


def test_a_page_in_the_folder_of_its_clips_is_left_out(tmp_path):
    touch(tmp_path, "a.mp4")
    with Outputs("view").writing_folder(tmp_path / "page") as page:
        (page / "videos").mkdir()
        (page / "videos" / "a.mp4").write_bytes(b"video")
    found, left = search_videos(tmp_path)
    assert [path.name for path in found] == ["a.mp4"]
    assert left == {"made by tpl view": [tmp_path / "page" / "videos" / "a.mp4"]}

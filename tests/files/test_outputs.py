"""The guard of what commands write."""

import errno
import os
from pathlib import Path

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.files.outputs import MANIFEST, Outputs, made_here


def test_an_input_is_never_a_target_whatever_its_name(tmp_path):
    source = tmp_path / "a.mp4"
    source.write_text("mine")
    (tmp_path / "link.mp4").symlink_to(source)
    os.link(source, tmp_path / "hard.mp4")
    (tmp_path / "folder").symlink_to(tmp_path)
    outputs = Outputs("sync", [source, None, tmp_path / "gone.mp4"])
    for name in ("a.mp4", "link.mp4", "hard.mp4", "folder/a.mp4", "./a.mp4"):
        with pytest.raises(UserError, match="which this command reads"):
            outputs.check([tmp_path / "new.mp4", tmp_path / name])
    assert source.read_text() == "mine"


def test_a_command_replaces_its_own_file_and_no_other(tmp_path):
    out = tmp_path / "labels.csv"
    for content in ("one", "two"):
        Outputs("transfer").write_text(out, content)
        assert out.read_text() == content
    with pytest.raises(UserError, match="this command has not made it"):
        Outputs("sync").check([out])
    out.write_text("by hand")
    with pytest.raises(UserError, match="changed since"):
        Outputs("transfer").write_text(out, "three")
    assert out.read_text() == "by hand"
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, "labels.csv"]


@pytest.mark.parametrize("kind", ["file", "folder", "dangling"])
def test_what_is_there_stays(tmp_path, kind):
    out = tmp_path / "o.csv"
    make = {"file": out.touch, "folder": out.mkdir, "dangling": lambda: out.symlink_to("nowhere")}
    make[kind]()
    with pytest.raises(UserError, match=r"o\.csv: "):
        Outputs("transfer").check([out])
    with pytest.raises(UserError, match=r"o\.csv: "):
        Outputs("transfer").write_bytes(out, b"x")  # not checked before
    assert os.path.lexists(out)


def test_a_file_in_place_of_a_folder_is_named_before_any_work(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(UserError, match="f is a file"):
        Outputs("sync").check([tmp_path / "f" / "o.mp4"])


def test_a_half_written_file_does_not_appear(tmp_path):
    def write():
        with Outputs("sync").writing(tmp_path / "o.mp4") as part:
            part.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_broken_manifest_is_no_excuse(tmp_path):
    out = tmp_path / "o.csv"
    out.write_text("mine")
    (tmp_path / MANIFEST).write_text('{"file": "o.csv", "comm\n[1]\n')
    with pytest.raises(UserError, match="this command has not made it"):
        Outputs("transfer").check([out])


def test_a_folder_is_replaced_whole_only_where_all_in_it_is_ours(tmp_path):
    page = tmp_path / "page"
    for names in (("index.html", "videos/a.mp4"), ("index.html", "videos/b.mp4")):
        with Outputs("view").writing_folder(page) as part:
            (part / "videos").mkdir()
            for name in names:
                (part / name).write_text(name)
        assert sorted(p.relative_to(page).as_posix() for p in page.rglob("*.*")) == sorted([MANIFEST, *names])
    with pytest.raises(UserError, match=r"b\.mp4, which this command reads"):
        Outputs("view", [page / "videos" / "b.mp4"]).check_folder(page)
    (page / "videos" / "mine.mp4").touch()
    with pytest.raises(UserError, match=r"something else there already \(videos/mine\.mp4\)"):
        Outputs("view").check_folder(page)
    assert [p.name for p in tmp_path.iterdir()] == ["page"]


def test_what_was_made_is_known_by_name_and_size(tmp_path):
    Outputs("sync").write_bytes(tmp_path / "o.mp4", b"12345")
    assert made_here(tmp_path) == {("o.mp4", 5): "sync"}


def test_a_read_only_folder_is_one_clear_error(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(UserError, match=r"o\.csv: cannot be written \(Read-only file system\)"),
        Outputs("transfer").writing(tmp_path / "o.csv"),
    ):
        refuse()


def test_a_folder_that_one_is_in_is_refused_and_a_link_to_one_stays(tmp_path, monkeypatch):
    inside = tmp_path / "page" / "inside"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for name in (".", "..", str(tmp_path)):
        with pytest.raises(UserError, match="is the folder that you are in, or holds it"):
            Outputs("view").check_folder(Path(name))
    link, real = tmp_path / "link", tmp_path / "real"
    real.mkdir()
    link.symlink_to(real)
    with Outputs("view").writing_folder(link) as part:
        (part / "index.html").write_text("x")
    assert link.is_symlink()
    assert (real / "index.html").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "page", "real"]

"""``tpl view``: where the page lies, and what is refused before anything is written."""

import pytest

from tests.run_factory import make_run
from tpl_lightning.__main__ import main

pytest.importorskip("av")


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, lengths=(20, 30), strengths=(0.0, 0.5), prototype=25)


@pytest.mark.parametrize("named", [False, True])
def test_the_page_lies_in_the_run_or_where_it_is_asked_for(run, tmp_path, capsys, named):
    folder = tmp_path / "page" if named else run / "view"
    assert main(["view", str(run), *([f"out={folder}"] if named else [])]) == 0
    assert capsys.readouterr().out == f"{folder / 'index.html'}: 2 videos; open it in a browser\n"
    assert "jump_0" in (folder / "index.html").read_text()


def test_some_videos_are_shown_alone(run, tmp_path, capsys):
    video = tmp_path / "videos" / "tiny" / "jump" / "jump_1.mp4"
    assert main(["view", str(run), str(video), f"out={tmp_path / 'page'}"]) == 0
    assert ": 1 videos;" in capsys.readouterr().out
    assert [path.stem for path in (tmp_path / "page" / "videos").iterdir()] == ["000-jump_1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["size=8"], "`size`"),
        (["colour=red"], "unknown key `colour`"),
        (["jump_7"], "jump_7"),
        (["action=swim"], "there are: jump"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_page(run, capsys, options, message):
    assert main(["view", str(run), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (run / "view").exists()


def test_a_folder_of_somebody_else_stays(run, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("by hand")
    assert main(["view", str(run), f"out={tmp_path / 'mine'}"]) == 2
    assert str(tmp_path / "mine") in capsys.readouterr().err
    assert (tmp_path / "mine" / "index.html").read_text() == "by hand"

"""``tpl transfer``: what it refuses, and what it does not write over."""

import pytest

from tests.run_factory import make_run
from tpl_lightning.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("transfer")
    make_run(folder)
    return folder


def test_all_videos_of_a_run_are_counted(folder, tmp_path, capsys):
    out = tmp_path / "labels.csv"
    assert main(["transfer", str(folder / "runs" / "r"), f"out={out}"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{out}: 12 phases of 4 videos, mean confidence ")
    assert len(out.read_text().splitlines()) == 13


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["out=labels.txt"], "expected `out` to end in .csv, .json or .eaf"),
        (["from=jump_0"], "give both"),
        (["labels=nowhere.csv"], "nowhere.csv: no such file"),
        (["colour=red"], "unknown key `colour`; there are: action, cache, what, out, labels, from"),
        (["action=swim"], "has no such action; there are: jump"),
        (["missing.mp4"], "missing.mp4: no such video file"),
    ],
)
def test_bad_input_is_one_line(folder, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["transfer", str(folder / "runs" / "r"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_labels_the_way_out_is_named(tmp_path, capsys):
    run = make_run(tmp_path, labels=False, files=False)
    assert main(["transfer", str(run), f"out={tmp_path / 'x.csv'}"]) == 2
    assert "no labels of action 'jump'; label one video and give labels=FILE from=VIDEO" in capsys.readouterr().err


def test_hand_made_labels_stay(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = str(folder / "runs" / "r")
    (tmp_path / "hand").mkdir()
    assert main(["transfer", run, "from=jump_1", f"labels={folder / 'no.csv'}"]) == 2
    clip = str(folder / "videos" / "tiny" / "jump" / "jump_1.mp4")
    assert main(["transfer", run, clip, "out=one.eaf"]) == 0
    hand = tmp_path / "hand" / "jump_1.eaf"
    hand.write_text((tmp_path / "one.eaf").read_text().replace(">up<", ">my own word<"))
    before = hand.read_text()
    capsys.readouterr()
    for options in (["labels=hand/jump_1.eaf", "from=jump_1", "out=hand.eaf"], ["out=hand.eaf"]):
        assert main(["transfer", run, *options]) == 2
        assert "jump_1.eaf" in capsys.readouterr().err
    assert hand.read_text() == before
    assert main(["transfer", run, clip, "out=one.eaf"]) == 0  # its own
    (tmp_path / "one.eaf").write_text("corrected by hand")
    assert main(["transfer", run, clip, "out=one.eaf"]) == 2
    assert "changed since" in capsys.readouterr().err

"""``tpl retrieve``: the matching frames, on a sheet and in a table."""

import csv

import numpy as np
import pytest
from PIL import Image

from tests.run_factory import inverse_warp, make_run, read_code, warp
from tpl_lightning.__main__ import main
from tpl_lightning.files.outputs import MANIFEST
from tpl_lightning.sync.layout import Layout

pytest.importorskip("av")

LENGTHS, STRENGTHS = (40, 50, 60, 45), (0.0, 0.6, -0.6, 0.4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("retrieve"), lengths=LENGTHS, strengths=STRENGTHS)


def matching(asked, frame, k):
    time = inverse_warp(STRENGTHS[asked], frame / (LENGTHS[asked] - 1))
    return warp(STRENGTHS[k], time) * (LENGTHS[k] - 1)


@pytest.mark.parametrize("instant", ["frame=30", "time=1.25"])
def test_sheet_and_table_show_the_matching_frames(run, tmp_path, instant):
    out = tmp_path / "sheet.png"
    assert main(["retrieve", str(run), "video=jump_1", instant, f"out={out}", "columns=2", "height=80"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, "sheet.csv", "sheet.png"]
    with (tmp_path / "sheet.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["video_id"] for row in rows] == ["jump_1", "jump_0", "jump_2", "jump_3"]
    assert (int(rows[0]["frame"]), rows[0]["phase"], rows[3]["split"]) == (30, "low", "test")
    for row in rows:
        expected = matching(1, 30, int(row["video_id"][-1]))
        assert abs(float(row["exact_time_s"]) * 24 - expected) < 0.1
        assert abs(int(row["frame"]) - expected) < 0.6
        assert float(row["time_s"]) == pytest.approx(int(row["frame"]) / 24, abs=1e-3)
    sheet = np.asarray(Image.open(out))
    # Cells of 160 x 80 below the header; the query comes first.
    corners = [Layout(2, 2, 1, 160, 80).cell(0, index) for index in range(4)]
    shown = [read_code(sheet[y : y + 80, x : x + 160]) for x, y, *_ in corners]
    assert shown == [int(row["frame"]) for row in rows]


def test_a_file_may_ask(run, tmp_path):
    clip = run.parent.parent / "videos" / "tiny" / "jump" / "jump_3.mp4"
    others = clip.with_name("jump_0.mp4")
    out = tmp_path / "sheet.png"
    assert main(["retrieve", str(run), str(others), f"video={clip}", "time=0", f"out={out}"]) == 0
    rows = (tmp_path / "sheet.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0::2][:2] for row in rows] == [["jump_3", "0"], ["jump_0", "0"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["time=1"], "which video?"),
        (["video=jump_1"], "which instant?"),
        (["video=jump_1", "time=1", "frame=3"], "which instant?"),
        (["video=jump_1", "time=9"], "lasts from 0 to 2.08 s"),
        (["video=jump_1", "frame=50"], "has frames 0 to 49"),
        (["video=nobody", "time=1"], "not among the videos (jump_0, jump_1, jump_2, jump_3)"),
        (["video=jump_1", "time=1", "out=a.jpg"], "expected `out` to end in .png"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["retrieve", str(run), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

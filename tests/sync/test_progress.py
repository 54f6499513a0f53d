"""The progress of every frame, of videos with and without files, in both formats."""

import csv

import numpy as np
import pytest

from tests.run_factory import inverse_warp, make_run
from tpl_lightning.__main__ import main

pytest.importorskip("av")
STRENGTHS = (0.0, 0.6, -0.6, 0.4)
LENGTHS = (40, 50, 60, 45)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("progress")
    make_run(folder, lengths=LENGTHS, strengths=STRENGTHS)
    return folder


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("files", [True, False])
def test_each_frame_has_the_progress_of_its_warp(folder, tmp_path, ending, files, capsys):
    out = tmp_path / f"p.{ending}"
    names = [str(folder / "videos")] if files else []
    if ending == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    assert main(["transfer", str(folder / "runs" / "r"), *names, "what=progress", f"out={out}"]) == 0
    assert capsys.readouterr().out == f"{out}: progress of 195 frames of 4 videos\n"
    if ending == "parquet":
        rows = parquet.read_table(out).to_pylist()
    else:
        with out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video", "frame", "time_s", "progress", "action"]
    for k, (length, strength) in enumerate(zip(LENGTHS, STRENGTHS, strict=True)):
        own = [row for row in rows if row["video"] == f"jump_{k}"]
        assert [int(row["frame"]) for row in own] == list(range(length))
        assert {row["action"] for row in own} == {"jump"}
        np.testing.assert_allclose([float(row["time_s"]) for row in own], np.arange(length) / 24, atol=1e-3)
        truth = inverse_warp(strength, np.linspace(0, 1, length))
        np.testing.assert_allclose([float(row["progress"]) for row in own], truth, atol=2e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["what=progress", "out=p.json"], "what=progress: expected `out` to end in .csv or .parquet"),
        (["what=progress", "labels=l.csv"], "what=progress needs no labels"),
        (["what=speed"], "what"),
        (["out=p.parquet"], "what=labels: expected `out` to end in .csv, .json, .eaf"),
    ],
)
def test_options_that_do_not_go_together(folder, options, said, capsys):
    assert main(["transfer", str(folder / "runs" / "r"), *options]) == 2
    assert said in capsys.readouterr().err

"""Tables of channels: times, gaps, formats, and what is refused."""

import csv

import numpy as np
import pytest

from tests.datasets.signals.tables import import_tables, video, write_pair, write_table
from tests.signal_factory import progress, waves, write_parquet
from tpl_lightning.__main__ import main
from tpl_lightning.datasets.signals.tables import read_channels
from tpl_lightning.errors import UserError


def test_gaps_are_interpolated_in_time_or_refused(tmp_path):
    times = np.array([0.0, 1, 2, 3, 4])
    for name, hole in (("one", 2), ("two", 0)):
        values = np.stack([times**2, times], axis=1)
        values[hole, 0] = np.nan
        write_table(tmp_path / "set" / f"{name}.csv", values, times=times, header=("a", "b"))
    cache = import_tables(tmp_path / "set")
    one, two = video(cache, "one")[:, 0], video(cache, "two")[:, 0]
    np.testing.assert_allclose(one / one[-1] * 16, [0, 1, 5, 9, 16], rtol=1e-5)
    np.testing.assert_allclose(two / two[-1] * 16, [1, 1, 4, 9, 16], rtol=1e-5)
    with pytest.raises(UserError, match=r"one.csv: 1 gaps, most in column 'a' \(row 2 first\)"):
        import_tables(tmp_path / "set", gaps="refuse")


@pytest.mark.parametrize(
    ("header", "cells", "times"),
    [
        ("time_ms", ["0", "40", "80"], [0, 0.04, 0.08]),
        ("Time [s]", ["0,5", "1,5", "2,5"], [0.5, 1.5, 2.5]),
        ("t", ["0:59.5", "1:00.0", "1:00.5"], [59.5, 60, 60.5]),
        ("timestamp", ["1767261600000", "1767261600500", "1767261601000"], [0, 0.5, 1]),
        ("timestamp", ["1767261600000000000", "1767261600500000000", "1767261601000000000"], [0, 0.5, 1]),
        ("timestamp", ["2026-01-01 10:00:00.000", "2026-01-01 10:00:00.5", "2026-01-01 10:00:01"], [0, 0.5, 1]),
    ],
)
def test_time_columns(tmp_path, header, cells, times):
    path = tmp_path / "a.csv"
    path.write_text(f"frame;{header};x;note\n" + "".join(f"{k};{c};{k},5;hm\n" for k, c in enumerate(cells)))
    table = read_channels(path, "refuse")
    assert table.columns == ("x",)
    np.testing.assert_allclose(table.values[:, 0], [0.5, 1.5, 2.5])
    shift = table.times_s[0] if header == "timestamp" else 0
    np.testing.assert_allclose(table.times_s - shift, times, atol=1e-5)


def test_times_that_look_like_milliseconds_are_warned_of(tmp_path):
    for name in ("one", "two"):
        write_table(tmp_path / "set" / f"{name}.csv", waves(20, 0.3), times=33.0 * np.arange(20))
    with pytest.warns(UserWarning, match="call the time column time_ms"):
        import_tables(tmp_path / "set")


def test_parquet_with_lists_as_csv(tmp_path):
    pytest.importorskip("pyarrow")
    for name, length in (("one", 30), ("two", 40)):
        values = waves(length, 0.3)
        columns = {"timestamp": np.arange(length) / 25, "pose": values[:, :2].tolist(), "c": values[:, 2]}
        write_parquet(tmp_path / "set" / f"{name}.parquet", columns)
    cache = import_tables(tmp_path / "set")
    write_pair(tmp_path / "other")
    np.testing.assert_allclose(video(cache, "two"), video(import_tables(tmp_path / "other", fps=25), "two"), rtol=1e-4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n3,4\n", "expected a time column .*fps=NUMBER"),
        ("time,a\n0,1\n2,1\n1,3\n", "the time goes back in row 3"),
        ("time,a\n0,1\n1,x\n", "column 'a': expected numbers, but row 2 holds 'x'"),
        ("time,a\n0,1\n,2\n", "column 'time': "),
        ("time,a,z\n0,1,2\n1,2,3\n", r"it has z too"),
        ("time,z\n0,1\n1,2\n", "it lacks a"),
        ("time\n0\n1\n", "expected columns of numbers beside the time"),
        ("", "is empty"),
        ("time,a\n0,\n1,\n", "column 'a' holds no number"),
        ("time,a\n0,1\n", "expected at least 2 rows"),
    ],
)
def test_refusals_name_the_file(tmp_path, content, said):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.csv").write_text("time,a\n0,1\n1,3\n2,2\n")
    (tmp_path / "set" / "b.csv").write_text(content)
    with pytest.raises(UserError, match=f"b.csv: .*{said}"):
        import_tables(tmp_path / "set")


def test_import_fit_and_progress_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    strengths = np.linspace(-0.8, 0.8, 8)
    for k, strength in enumerate(strengths):
        write_table(tmp_path / "set" / "reach" / f"r{k}.csv", waves(50 + 3 * k, strength))
    assert main(["cache", "import", "csv", "set", "out=s.h5", "fps=30", "progress=false"]) == 0
    assert capsys.readouterr().out == "s.h5: 8 videos, 484 frames, 3 channels, csv\n"
    options = ["method=direct", "run.name=s", "run.wandb=disabled", "run.figures=false", "run.progress=false"]
    assert main(["fit", "data.cache=s.h5", *options]) == 0
    assert main(["transfer", "runs/s", "what=progress", "out=p.csv"]) == 0
    assert capsys.readouterr().out.endswith("p.csv: progress of 484 frames of 8 videos\n")
    with open("p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video", "frame", "time_s", "progress", "action"]
    found = {f"r{k}": [float(row["progress"]) for row in rows if row["video"] == f"r{k}"] for k in range(8)}
    truth = {f"r{k}": progress(50 + 3 * k, s) for k, s in enumerate(strengths)}
    grid = np.linspace(0, 1, 101)
    # Where each recording is at the same progress: after one common map they agree.
    common = np.mean([np.interp(grid, found[name], truth[name]) for name in found], axis=0)
    error = np.mean([np.abs(np.interp(found[name], grid, common) - truth[name]).mean() for name in found])
    assert error < 0.02
    for command in ("sync", "view"):
        assert main([command, "runs/s"]) == 2
        assert "a run of signals (csv), to which no video is attached" in capsys.readouterr().err

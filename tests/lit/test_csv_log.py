"""The CSV log of a run, and how it goes on where the run is resumed."""

import csv

import pytest

from tpl_lightning.lit.csv_log import open_csv_log

pytestmark = pytest.mark.filterwarnings("ignore:Experiment logs directory")


def _rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def _log(folder, epochs, **options):
    logger = open_csv_log(folder, **options)
    for epoch in epochs:
        logger.log_metrics({"epoch": epoch, "train/loss": 1 / (epoch + 1)}, step=2 * epoch)
        if epoch % 2:
            logger.log_metrics({"epoch": epoch, "val/plp": 0.25 * epoch}, step=2 * epoch)
    logger.save()


def _expected(epochs):
    found = []
    for epoch in epochs:
        found.append({"epoch": epoch, "step": 2 * epoch, "train/loss": 1 / (epoch + 1)})
        if epoch % 2:
            found.append({"epoch": epoch, "step": 2 * epoch, "val/plp": 0.25 * epoch})
    return found


def test_each_row_is_written_when_it_is_logged(tmp_path):
    logger = open_csv_log(tmp_path)
    logger.log_metrics({"epoch": 0, "train/loss": 0.5}, step=3)
    logger.log_metrics({"epoch": 1, "train/loss": 0.25}, step=6)
    assert _rows(tmp_path)[0] == {"epoch": 0, "step": 3, "train/loss": 0.5}


def test_a_resumed_log_equals_one_that_was_not_interrupted(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    _log(tmp_path / "whole", range(6))
    _log(tmp_path / "parts", range(5))  # the last checkpoint is that of epoch 2, so 3 and 4 come again
    _log(tmp_path / "parts", range(3, 6), resume_epoch=3)
    assert _rows(tmp_path / "whole") == _expected(range(6))
    assert (tmp_path / "parts" / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()
    assert not list((tmp_path / "parts").glob(".metrics*"))


def test_without_resuming_the_log_begins_anew(tmp_path):
    _log(tmp_path, range(4))
    _log(tmp_path, range(2))
    assert _rows(tmp_path) == _expected(range(2))


def test_a_kill_while_the_rows_are_written_again_loses_none(tmp_path):
    """The rows were put aside and nothing was written yet; or a part was."""
    for is_begun in (False, True):
        _log(tmp_path, range(4))
        (tmp_path / "metrics.csv").replace(tmp_path / ".metrics.csv.kept")
        if is_begun:
            (tmp_path / "metrics.csv").write_text("epoch,step\n0,0\n")
        _log(tmp_path, range(4, 6), resume_epoch=4)
        assert _rows(tmp_path) == _expected(range(6))
        assert not list(tmp_path.glob(".metrics*"))


def test_a_run_without_a_log_can_be_resumed(tmp_path):
    _log(tmp_path, range(2, 4), resume_epoch=2)
    assert _rows(tmp_path) == _expected(range(2, 4))

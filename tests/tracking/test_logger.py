"""Lightning's logger of a run that is open already."""

import pytest

from tpl_lightning.tracking.wandb_run import WandbRun

pytest.importorskip("wandb")


class _Run:
    """Keeps what it is given; may refuse."""

    project = "p"

    def __init__(self):
        self.rows, self.fails = [], False

    def log(self, row):
        if self.fails:
            raise OSError("no network")
        self.rows.append(row)

    def finish(self, exit_code=0):
        self.rows.append(exit_code)


def test_metrics_come_with_the_best_so_far_and_the_step(tmp_path):
    run = _Run()
    (logger,) = WandbRun(tmp_path, run).loggers()
    logger.log_hyperparams({"a": 1})
    logger.log_metrics({"val/plp": 0.5}, step=3)
    logger.log_metrics({"val/plp": 0.4})
    assert run.rows == [
        {"val/plp": 0.5, "best/plp": 0.5, "trainer/global_step": 3},
        {"val/plp": 0.4, "best/plp": 0.5},
    ]


def test_a_failure_ends_the_logging_and_not_the_training(tmp_path, capsys):
    run = _Run()
    ours = WandbRun(tmp_path, run)
    (logger,) = ours.loggers()
    run.fails = True
    logger.log_metrics({"val/plp": 0.5}, step=0)
    logger.log_metrics({"val/plp": 0.6}, step=1)
    assert capsys.readouterr().err.count("W&B failed (no network)") == 1
    assert (run.rows, ours.is_active, ours.loggers()) == ([1], False, [])

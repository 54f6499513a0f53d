"""Lightning's CSV log, continued where a run is resumed."""

import csv
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k and v} for row in csv.DictReader(file)]


def _number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)  # so that it is written as it was


def open_csv_log(run_dir: Path, *, resume_epoch: int | None = None) -> CSVLogger:
    """Return the logger of ``metrics.csv``; each row is written when it is logged.

    Lightning's own deletes the file of an earlier training in the same folder. Here its rows are logged again, up to
    the epoch from which the training goes on, since the later ones come again.

    Args:
        run_dir: The run directory.
        resume_epoch: Epoch that is trained first, where a run is resumed.
    """
    logger = CSVLogger(str(run_dir), name="", version="", flush_logs_every_n_steps=1)
    path, kept = run_dir / "metrics.csv", run_dir / ".metrics.csv.kept"
    if resume_epoch is None or getattr(rank_zero_only, "rank", 0) > 0:
        return logger
    # Aside, so that a kill between deleting and writing anew loses nothing.
    if path.is_file() and not kept.is_file():
        path.replace(kept)
    if not kept.is_file():
        return logger
    for row in _read(kept):
        step = int(float(row.pop("step")))
        if float(row.get("epoch", 0)) < resume_epoch:
            logger.experiment.log_metrics({key: _number(value) for key, value in row.items()}, step)
    logger.save()
    kept.unlink()
    return logger

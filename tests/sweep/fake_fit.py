"""A fit that takes no time, and sweeps over it."""

import json
from pathlib import Path

from tpl_lightning.__main__ import main
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.stored import save_config
from tpl_lightning.sweep import study
from tpl_lightning.sweep.trial import TrialFailed


class FakeFit:
    """Stands for ``tpl fit`` in the sweep: the metric is a function of the learning rate, logged five times."""

    def __init__(self, monkeypatch, *, fail=(), kill=(), stop=()):
        self.calls, self.seen = 0, []
        self.fail, self.kill, self.stop = fail, kill, stop
        monkeypatch.setattr(study, "fit", self)

    def __call__(self, arguments, run_dir, log, *, metric, report):
        number, self.calls = self.calls, self.calls + 1
        config = load_config(arguments)
        self.seen.append(config)
        assert Path(config.run.dir) / config.run.name == run_dir
        if number in self.stop:
            raise KeyboardInterrupt
        if number in self.kill:
            raise TrialFailed("killed by signal 9", killed=True)
        if number in self.fail:
            raise TrialFailed("it broke")
        score = 1 - abs(config.train.lr - 0.05)
        for step in range(1, 6):
            if report is not None and report(step, score * step / 5):
                return False
        run_dir.mkdir()
        save_config(config, run_dir / "config.yaml")
        (run_dir / "metrics.json").write_text(json.dumps({"quality/score": score, "data_source": "made by a test"}))
        return True


def run_sweep(folder, path, *options):
    return main(["sweep", str(path), f"run.dir={folder / 'runs'}", *options])


def summary_of(folder, name="sweep-s"):
    return json.loads((folder / "runs" / name / "sweep.json").read_text())

"""A sweep run here: Optuna chooses, ``tpl fit`` runs, SQLite remembers."""

import fcntl
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpl_lightning.errors import UserError
from tpl_lightning.run_directory import write_atomically
from tpl_lightning.sweep.definition import Sweep
from tpl_lightning.sweep.space import as_argument
from tpl_lightning.sweep.trial import TrialFailed, fit, metric_of_run

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

__all__ = ["LocalSweep"]

_OUTCOME, _VALUES, _RUN, _SECONDS, _WHY = "outcome", "values", "run", "seconds", "why"
_AGAIN = "again"  # number of the killed trial that a trial repeats
_KILLED = "killed"
_GIVE_UP_AFTER = 3  # trials that all fail from the start on
_SAME_DRAWS = 1_000_003


class LocalSweep:
    """Runs a sweep in a folder, from where it stands.

    Args:
        sweep: What is asked for.
        folder: ``runs/NAME`` of the sweep.
        overrides: Further arguments of every ``tpl fit``.
        seed: Of the draws.

    Raises:
        UserError: If Optuna is missing, or the folder holds another sweep.
    """

    def __init__(self, sweep: Sweep, folder: Path, overrides: Sequence[str], seed: int) -> None:
        """Open the study, or make it."""
        try:
            import optuna
        except ImportError as error:
            raise UserError("tpl sweep: Optuna is not installed; pip install 'tpl_lightning[sweep]'.") from error
        self.sweep, self.folder, self.overrides, self.seed = sweep, folder, tuple(overrides), seed
        self._optuna = optuna
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # what failed is said in the table
        self._remember()
        self.study: Study = self._open()

    def _remember(self) -> None:
        """Note what the folder's sweep is, or check that it is this one."""
        path = self.folder / "definition.json"
        wanted = json.loads(json.dumps({**self.sweep.raw, "overrides": list(self.overrides)}))
        if path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
            keys = sorted(k for k in {*stored, *wanted} - {"description"} if stored.get(k) != wanted.get(k))
            if keys:
                raise UserError(
                    f"{self.folder} holds a sweep with other {', '.join(keys)}; go on with the same file and "
                    "arguments, or choose another run.name."
                )
        elif any(self.folder.iterdir()):
            raise UserError(f"{self.folder} holds something that is no sweep; choose another run.name.")
        write_atomically(path, json.dumps(wanted, indent=2) + "\n")

    def _open(self) -> "Study":
        optuna, stop = self._optuna, self.sweep.early_stop
        pruner: BasePruner = optuna.pruners.NopPruner()
        if stop is not None:
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=stop.min_iter, reduction_factor=stop.eta)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return optuna.create_study(
                storage=f"sqlite:///{(self.folder / 'study.db').resolve()}",
                study_name=self.folder.name,
                direction="maximize" if self.sweep.maximize else "minimize",
                load_if_exists=True,
                pruner=pruner,
            )

    def _sampler(self) -> "BaseSampler":
        """Return the sampler of the next trial, seeded by its number: what is drawn outlives an interruption."""
        samplers, drawn = self._optuna.samplers, len(self.study.get_trials(deepcopy=False)) - len(self._repeated())
        seed = (self.seed * _SAME_DRAWS + drawn) % 2**32
        if self.sweep.method == "grid":
            space = {p.name: [json.dumps(value) for value in p.choices] for p in self.sweep.varied}
            return samplers.GridSampler(space, seed=self.seed)
        return samplers.TPESampler(seed=seed) if self.sweep.method == "bayes" else samplers.RandomSampler(seed=seed)

    def _repeated(self) -> set[int]:
        """Return the numbers of the killed trials that are, or will be, repeated by another."""
        trials = self.study.get_trials(deepcopy=False)
        return {trial.user_attrs[_AGAIN] for trial in trials if _AGAIN in trial.user_attrs}

    def rows(self) -> list[dict[str, Any]]:
        """Return what is known of each trial that came to an end, in order."""
        rows, repeated = [], self._repeated()
        for trial in self.study.get_trials(deepcopy=False):
            if _OUTCOME not in trial.user_attrs or trial.number in repeated:
                continue
            notes = trial.user_attrs
            last = trial.intermediate_values.get(trial.last_step) if trial.last_step else None
            rows.append(
                {
                    "trial": trial.number,
                    "outcome": notes[_OUTCOME],
                    self.sweep.metric: trial.value if notes[_OUTCOME] == "done" else last,
                    "seconds": notes.get(_SECONDS),
                    "parameters": notes.get(_VALUES, {}),
                    "run": notes.get(_RUN),
                    "why": notes.get(_WHY, ""),
                }
            )
        return rows

    def best(self) -> dict[str, Any] | None:
        """Return the best finished trial, None where there is none."""
        done = [row for row in self.rows() if row["outcome"] == "done"]
        choose = max if self.sweep.maximize else min
        return choose(done, key=lambda row: row[self.sweep.metric]) if done else None

    def run(self, count: int, after_each: Callable[[dict[str, Any]], None]) -> None:
        """Run trials until there are ``count``, earlier ones included; those that were killed run again.

        Args:
            count: Trials in all.
            after_each: Told of each trial when it has come to its end.

        Raises:
            UserError: If another process runs the same sweep, or the first trials all fail.
        """
        with self._alone():
            self._take_up_killed()
            while len(self.rows()) < count:
                self.study.sampler = self._sampler()
                if self._is_exhausted():
                    break
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self.study.optimize(self._objective, n_trials=1, catch=(TrialFailed,))
                rows = self.rows()
                after_each(rows[-1])
                if len(rows) == _GIVE_UP_AFTER and not any(row["outcome"] == "done" for row in rows):
                    raise UserError(f"{self.folder}: the first {len(rows)} trials failed; the last: {rows[-1]['why']}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock; the system frees it when the process ends, however it ends."""
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UserError(f"{self.folder}: another tpl sweep is running there; wait for it to end.") from error
            yield

    def _is_exhausted(self) -> bool:
        """Tell whether every point of a grid has been tried, and no killed trial is left to be repeated."""
        sampler = self.study.sampler
        if not isinstance(sampler, self._optuna.samplers.GridSampler):
            return False
        waiting = any(trial.state.name == "WAITING" for trial in self.study.get_trials(deepcopy=False))
        return sampler.is_exhausted(self.study) and not waiting

    def _take_up_killed(self) -> None:
        """Queue the trials that began and came to no end once more; nobody else runs them, we hold the lock."""
        optuna, repeated = self._optuna, self._repeated()
        for trial in self.study.get_trials(deepcopy=False):
            came_to_an_end = trial.user_attrs.get(_OUTCOME, _KILLED) != _KILLED
            if came_to_an_end or trial.number in repeated or trial.state.name == "WAITING":
                continue
            if trial.state.name == "RUNNING":
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            kept = {k: v for k, v in trial.system_attrs.items() if k in ("grid_id", "search_space")}
            waiting = optuna.trial.create_trial(
                state=optuna.trial.TrialState.WAITING,
                system_attrs={**kept, "fixed_params": trial.params},
                user_attrs={_AGAIN: trial.number},
            )
            self.study.add_trial(waiting)

    def _objective(self, trial: "Trial") -> float:
        """Run one trial and return its value."""
        start = time.monotonic()
        values = {p.name: p.suggest(trial) for p in self.sweep.parameters}
        run_dir = self.folder / f"trial-{trial.number:03d}"
        trial.set_user_attr(_VALUES, values)
        trial.set_user_attr(_RUN, str(run_dir))

        def give_up(number: int, value: float) -> bool:
            trial.report(value, number)
            return trial.should_prune()

        try:
            done = fit(
                self.arguments(values, run_dir.name),
                run_dir,
                self.folder / f"{run_dir.name}.log",
                metric=self.sweep.metric,
                report=give_up if self.sweep.early_stop else None,
            )
            value = metric_of_run(run_dir, self.sweep.metric)[0] if done else None
        except TrialFailed as error:
            self._close(trial, _KILLED if error.killed else "failed", start, str(error))
            raise
        self._close(trial, "stopped early" if value is None else "done", start)
        if value is None:
            raise self._optuna.TrialPruned
        return value

    def arguments(self, values: dict[str, Any], name: str) -> list[str]:
        """Return the arguments of ``tpl fit`` for one trial."""
        own = ["run.progress=false", "run.figures=false", "run.wandb=disabled"]
        drawn = [as_argument(key, value) for key, value in values.items()]
        place = [f"run.dir={self.folder}", f"run.name={name}"]
        return [*self.sweep.arguments, *own, *drawn, *self.overrides, *place]

    @staticmethod
    def _close(trial: "Trial", outcome: str, start: float, why: str = "") -> None:
        trial.set_user_attr(_SECONDS, round(time.monotonic() - start, 2))
        trial.set_user_attr(_WHY, why)
        trial.set_user_attr(_OUTCOME, outcome)

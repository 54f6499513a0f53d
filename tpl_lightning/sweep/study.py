"""A sweep run here: Optuna chooses, ``tpl fit`` runs, SQLite remembers."""

import fcntl
import itertools
import json
import math
import random
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tpl_lightning.errors import UserError
from tpl_lightning.files import write_atomically
from tpl_lightning.runs import hold_folder
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
_ATTEMPTS = 5  # draws that may have been tried before one is taken out of those that have not
_MOST_LISTED = 10_000  # combinations of values, up to which those that have been tried are told from the others
_LOCK = ".lock"


def _trial_lock(number: int) -> str:
    return f".trial-{number:03d}.lock"


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
        with self._storage(), self._alone():
            self._remember()
            self.study: Study = self._open()

    @contextmanager
    def _storage(self) -> Iterator[None]:
        """Say in one line that the study cannot be kept, on a full disk say.

        Raises:
            UserError: Instead of what SQLite, and what lies above it, raise.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, self._optuna.exceptions.StorageInternalError) as error:
            first = str(error.__cause__ or error).partition("\n")[0]
            raise UserError(
                f"{self.folder}: the sweep cannot be kept ({first}); free some space, or choose another run.dir."
            ) from error

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
        elif {path.name for path in self.folder.iterdir()} - {_LOCK}:
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
        samplers, seed = self._optuna.samplers, self._next_seed()
        return samplers.TPESampler(seed=seed) if self.sweep.method == "bayes" else samplers.RandomSampler(seed=seed)

    def _next_seed(self) -> int:
        drawn = len(self.study.get_trials(deepcopy=False)) - len(self._repeated())
        return (self.seed * _SAME_DRAWS + drawn) % 2**32

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
        """Run trials until there are ``count``, earlier ones and those of other processes included.

        Those that were killed run again. What has been tried is not tried once more: a fit gives the same each time.

        Args:
            count: Trials in all.
            after_each: Told of each trial when it has come to its end.

        Raises:
            UserError: If the first trials all fail.
        """
        with self._storage(), self._alone():
            self._take_up_killed()
        while (drawn := self._draw(count)) is not None:
            trial, values, lock = drawn
            try:
                with self._storage():
                    self._run_trial(trial, values)
            finally:
                lock.close()  # with its trial: whoever finds it free knows that nobody runs the trial
            rows = self.rows()
            after_each(next(row for row in rows if row["trial"] == trial.number))
            if len(rows) == _GIVE_UP_AFTER and not any(row["outcome"] == "done" for row in rows):
                raise UserError(f"{self.folder}: the first {len(rows)} trials failed; the last: {rows[-1]['why']}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock, for a moment; several processes may share a sweep."""
        with (self.folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _draw(self, count: int) -> "tuple[Trial, dict[str, Any], IO[str]] | None":
        """Draw the next trial and take its lock; None where there are enough, or all there is has been tried."""
        with self._storage(), self._alone():
            self._take_up_killed(by_others=True)
            running = [t for t in self.study.get_trials(deepcopy=False) if t.state.name == "RUNNING"]
            if len(self.rows()) + len(running) >= count:
                return None
            waiting = any(t.state.name == "WAITING" for t in self.study.get_trials(deepcopy=False))
            left = None if waiting else self._untried()
            if left is not None and not left:
                return None
            trial, values = self._ask(left)
            lock = hold_folder(self.folder, _trial_lock(trial.number))
            assert lock is not None  # a number is given once
            return trial, values, lock

    def _ask(self, left: list[dict[str, Any]] | None) -> "tuple[Trial, dict[str, Any]]":
        """Return the next trial and its values: what a killed one had, or new ones, out of those left if they end."""
        for attempt in range(_ATTEMPTS + 1):
            if left is not None and (self.sweep.method != "bayes" or attempt == _ATTEMPTS):
                chosen = random.Random(self._next_seed()).choice(left)
                self.study.enqueue_trial({p.name: p.encode(chosen[p.name]) for p in self.sweep.varied})
            self.study.sampler = self._sampler()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trial = self.study.ask()
                values = {p.name: p.suggest(trial) for p in self.sweep.parameters}
            if left is None or {p.name: values[p.name] for p in self.sweep.varied} in left:
                break
            trial.set_user_attr(_AGAIN, trial.number)  # counted nowhere
            self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        trial.set_user_attr(_VALUES, values)
        trial.set_user_attr(_RUN, str(self.folder / f"trial-{trial.number:03d}"))
        return trial, values

    def _untried(self) -> list[dict[str, Any]] | None:
        """Return all values that no trial has had; None where there is no end to them."""
        varied = self.sweep.varied
        if math.prod(p.count for p in varied) > _MOST_LISTED:
            return None
        repeated = self._repeated()
        trials = [t for t in self.study.get_trials(deepcopy=False) if t.number not in repeated]
        tried = [t.user_attrs.get(_VALUES, {}) for t in trials]
        known = {json.dumps([values.get(p.name) for p in varied]) for values in tried}
        every = itertools.product(*[p.grid() for p in varied])
        left = [values for values in every if json.dumps(list(values)) not in known]
        return [dict(zip((p.name for p in varied), values, strict=True)) for values in left]

    def _take_up_killed(self, *, by_others: bool = False) -> None:
        """Queue the trials that began and came to no end once more, if nobody runs them any longer.

        Args:
            by_others: Only those whose whole sweep has ended; a trial that was killed by itself, for want of memory
                say, is not tried at once again.
        """
        optuna, repeated = self._optuna, self._repeated()
        for trial in self.study.get_trials(deepcopy=False):
            came_to_an_end = trial.user_attrs.get(_OUTCOME, _KILLED) != _KILLED
            if came_to_an_end or trial.number in repeated or trial.state.name == "WAITING":
                continue
            if by_others and trial.state.name != "RUNNING":
                continue
            if trial.state.name == "RUNNING":
                lock = hold_folder(self.folder, _trial_lock(trial.number))
                if lock is None:
                    continue
                lock.close()
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            waiting = optuna.trial.create_trial(
                state=optuna.trial.TrialState.WAITING,
                system_attrs={"fixed_params": trial.params},
                user_attrs={_AGAIN: trial.number},
            )
            self.study.add_trial(waiting)

    def _run_trial(self, trial: "Trial", values: dict[str, Any]) -> None:
        """Run one trial and note what came of it."""
        start, state = time.monotonic(), self._optuna.trial.TrialState
        run_dir = self.folder / f"trial-{trial.number:03d}"

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
            self.study.tell(trial, state=state.FAIL)
            return
        self._close(trial, "stopped early" if value is None else "done", start)
        self.study.tell(trial, value, state=state.PRUNED if value is None else state.COMPLETE)

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

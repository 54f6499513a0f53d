"""A sweep run here: Optuna chooses, ``tpl fit`` runs, SQLite remembers."""

import fcntl
import itertools
import json
import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tpl_lightning.errors import UserError
from tpl_lightning.files import write_atomically
from tpl_lightning.runs import hold_folder
from tpl_lightning.sweep.definition import Sweep
from tpl_lightning.sweep.results import DONE, STOPPED, Results, Row
from tpl_lightning.sweep.space import as_argument
from tpl_lightning.sweep.trial import TrialFailed, fit, metric_of_run

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial

# What is noted of a trial beside what Optuna knows of it.
_VALUES, _OUTCOME, _WHY = "values", "outcome", "why"
_AGAIN = "again"  # number of the killed trial that a trial repeats
_KILLED = "killed"
_OUTCOMES = {"COMPLETE": DONE, "PRUNED": STOPPED, "FAIL": "failed"}
_GIVE_UP_AFTER = 3  # trials that all fail from the start on
_SAME_DRAWS = 1_000_003
_MOST_LISTED = 10_000  # combinations of values, up to which those that have been tried are told from the others
_LOCK = ".lock"


class LocalSweep:
    """Runs a sweep in a folder, from where it stands.

    A trial that was killed, alone or with its whole sweep, is repeated by another of the same values. Who runs a trial
    holds a lock of its number, which the system frees when the process dies: several processes may share a sweep.

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

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock, for a moment."""
        with (self.folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

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
        return optuna.create_study(
            storage=f"sqlite:///{(self.folder / 'study.db').resolve()}",
            study_name=self.folder.name,
            direction="maximize" if self.sweep.maximize else "minimize",
            load_if_exists=True,
            pruner=pruner,
        )

    def _trials(self) -> "list[FrozenTrial]":
        """Return the trials that count: not those that are, or will be, repeated by another."""
        trials = self.study.get_trials(deepcopy=False)
        repeated = {trial.user_attrs.get(_AGAIN) for trial in trials}
        return [trial for trial in trials if trial.number not in repeated]

    def results(self) -> Results:
        """Return what is known of the trials that came to an end, in order."""
        return Results(self.sweep, [self._row(trial) for trial in self._trials() if trial.state.is_finished()])

    def _run_dir(self, number: int) -> Path:
        return self.folder / f"trial-{number:03d}"

    def _row(self, trial: "FrozenTrial") -> Row:
        notes, outcome = trial.user_attrs, _OUTCOMES[trial.state.name]
        last = trial.intermediate_values.get(trial.last_step) if trial.last_step else None
        return Row(
            trial=trial.number,
            outcome=_KILLED if notes.get(_OUTCOME) == _KILLED else outcome,
            value=trial.value if outcome == DONE else last,
            seconds=None if trial.duration is None else round(trial.duration.total_seconds(), 2),
            parameters=notes.get(_VALUES, {}),
            run=str(self._run_dir(trial.number)),
            why=notes.get(_WHY, ""),
        )

    def run(self, count: int, after_each: Callable[[Row], None]) -> None:
        """Run trials until there are ``count``, earlier ones and those of other processes included.

        Those that were killed run again. What has been tried is not tried once more: a fit gives the same each time.

        Args:
            count: Trials in all.
            after_each: Told of each trial when it has come to its end.

        Raises:
            UserError: If the first trials all fail.
        """
        with self._storage():
            with self._alone():
                self._queue_killed()
            while (drawn := self._draw(count)) is not None:
                trial, lock = drawn
                with lock:
                    self._run_trial(trial)
                rows = self.results().rows
                after_each(next(row for row in rows if row.trial == trial.number))
                if len(rows) == _GIVE_UP_AFTER and not any(row.outcome == DONE for row in rows):
                    raise UserError(f"{self.folder}: the first {len(rows)} trials failed; the last: {rows[-1].why}")

    def _hold(self, number: int) -> IO[str] | None:
        return hold_folder(self.folder, f".trial-{number:03d}.lock")

    def _queue_killed(self, *, by_others: bool = False) -> None:
        """Queue the trials that began and came to no end once more, if nobody runs them any longer.

        Args:
            by_others: Only those whose whole sweep has ended; a trial that was killed by itself, for want of memory
                say, is not tried at once again.
        """
        for trial in self._trials():
            if trial.state.name == "RUNNING":
                lock = self._hold(trial.number)
                if lock is None:
                    continue
                lock.close()
                self.study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
            elif by_others or trial.user_attrs.get(_OUTCOME) != _KILLED:
                continue
            self.study.enqueue_trial(trial.params, user_attrs={_AGAIN: trial.number})

    def _draw(self, count: int) -> "tuple[Trial, IO[str]] | None":
        """Draw the next trial and take its lock; None where there are enough, or all there is has been tried."""
        with self._alone():
            self._queue_killed(by_others=True)
            states = [trial.state.name for trial in self._trials()]
            if len(states) - states.count("WAITING") >= count:
                return None
            left = None if "WAITING" in states else self._untried()
            if left is not None and not left:
                return None
            trial = self._ask(left)
            lock = self._hold(trial.number)
            assert lock is not None  # a number is given once
            return trial, lock

    def _untried(self) -> list[dict[str, Any]] | None:
        """Return all values that no trial has had; None where there is no end to them."""
        names = [p.name for p in self.sweep.varied]
        if math.prod(p.count for p in self.sweep.varied) > _MOST_LISTED:
            return None
        tried = [trial.user_attrs.get(_VALUES, {}) for trial in self._trials()]
        known = {json.dumps([values.get(name) for name in names]) for values in tried}
        every = itertools.product(*(p.grid() for p in self.sweep.varied))
        return [dict(zip(names, values, strict=True)) for values in every if json.dumps(values) not in known]

    def _ask(self, left: list[dict[str, Any]] | None) -> "Trial":
        """Return the next trial, with its values noted: what a killed one had, or new ones, of those left if they end.

        The draw is seeded by the number of those before it, so that what is drawn outlives an interruption.
        """
        samplers, seed = self._optuna.samplers, (self.seed * _SAME_DRAWS + len(self._trials())) % 2**32
        is_bayes = self.sweep.method == "bayes"
        self.study.sampler = samplers.TPESampler(seed=seed) if is_bayes else samplers.RandomSampler(seed=seed)
        chosen = random.Random(seed).choice(left) if left else None
        if chosen is not None and not is_bayes:
            self._enqueue(chosen)
        trial, values = self._sample()
        if left and {p.name: values[p.name] for p in self.sweep.varied} not in left:  # TPE knows no end
            trial.set_user_attr(_AGAIN, trial.number)  # counted nowhere
            self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            self._enqueue(chosen or {})
            trial, values = self._sample()
        trial.set_user_attr(_VALUES, values)
        return trial

    def _enqueue(self, values: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns of keys that are not in its own form, which these are
            self.study.enqueue_trial({p.name: p.encode(values[p.name]) for p in self.sweep.varied})

    def _sample(self) -> "tuple[Trial, dict[str, Any]]":
        trial = self.study.ask()
        return trial, {p.name: p.suggest(trial) for p in self.sweep.parameters}

    def _run_trial(self, trial: "Trial") -> None:
        """Run one trial and note what came of it."""
        state, run_dir = self._optuna.trial.TrialState, self._run_dir(trial.number)

        def give_up(number: int, value: float) -> bool:
            trial.report(value, number)
            return trial.should_prune()

        try:
            done = fit(
                self.arguments(trial.user_attrs[_VALUES], run_dir.name),
                run_dir,
                run_dir.with_suffix(".log"),
                metric=self.sweep.metric,
                report=give_up if self.sweep.early_stop else None,
            )
            value = metric_of_run(run_dir, self.sweep.metric) if done else None
        except TrialFailed as error:
            trial.set_user_attr(_WHY, str(error))
            if error.killed:
                trial.set_user_attr(_OUTCOME, _KILLED)
            self.study.tell(trial, state=state.FAIL)
            return
        self.study.tell(trial, value, state=state.PRUNED if value is None else state.COMPLETE)

    def arguments(self, values: dict[str, Any], name: str) -> list[str]:
        """Return the arguments of ``tpl fit`` for one trial."""
        own = ["run.progress=false", "run.figures=false", "run.wandb=disabled"]
        drawn = [as_argument(key, value) for key, value in values.items()]
        place = [f"run.dir={self.folder}", f"run.name={name}"]
        return [*self.sweep.arguments, *own, *drawn, *self.overrides, *place]

"""A sweep run here: Optuna chooses, ``tpl fit`` runs, SQLite remembers."""

import fcntl
import itertools
import json
import math
import random
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
    from optuna.trial import FrozenTrial

# What is noted of a trial beside what Optuna knows of it.
_OUTCOME, _WHY = "outcome", "why"
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
    (Optuna's heartbeat takes a process that is halted for dead, and one that has just died for alive.)

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
        self._space = {p.name: p.distribution for p in sweep.varied}
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
        pruners, stop = self._optuna.pruners, self.sweep.early_stop
        return self._optuna.create_study(
            storage=f"sqlite:///{(self.folder / 'study.db').resolve()}",
            study_name=self.folder.name,
            direction="maximize" if self.sweep.maximize else "minimize",
            load_if_exists=True,
            pruner=pruners.SuccessiveHalvingPruner(stop.min_iter, stop.eta) if stop else pruners.NopPruner(),
        )

    def _trials(self) -> "list[FrozenTrial]":
        """Return the trials that count: not those that are, or will be, repeated by another."""
        trials = self.study.get_trials(deepcopy=False)
        repeated = {trial.user_attrs.get(_AGAIN) for trial in trials}
        return [trial for trial in trials if trial.number not in repeated]

    def results(self) -> Results:
        """Return what is known of the trials that came to an end, in order."""
        return Results(self.sweep, [self._row(trial) for trial in self._trials() if trial.state.is_finished()])

    def _row(self, trial: "FrozenTrial") -> Row:
        last = trial.intermediate_values.get(trial.last_step) if trial.last_step else None
        return Row(
            trial=trial.number,
            outcome=trial.user_attrs.get(_OUTCOME, _OUTCOMES[trial.state.name]),
            value=trial.value if trial.state.name == "COMPLETE" else last,
            seconds=None if trial.duration is None else round(trial.duration.total_seconds(), 2),
            parameters=self._values(trial.params),
            run=str(self._run_dir(trial.number)),
            why=trial.user_attrs.get(_WHY, ""),
        )

    def _values(self, codes: dict[str, Any]) -> dict[str, Any]:
        """Return the value of each parameter, by Optuna's codes of those that vary."""
        known = [p for p in self.sweep.parameters if p.name in codes or p.name not in self._space]
        return {p.name: p.value(codes[p.name]) if p.name in codes else p.choices[0] for p in known}

    def _run_dir(self, number: int) -> Path:
        return self.folder / f"trial-{number:03d}"

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
                self._queue_killed(alone=True)
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

    def _queue_killed(self, *, alone: bool) -> None:
        """Queue the trials once more that were killed with their whole sweep: they are said to run, and nobody does it.

        Args:
            alone: Those too that were killed by themselves, for want of memory say.
        """
        for trial in self._trials():
            if trial.state.name == "RUNNING" and (lock := self._hold(trial.number)) is not None:
                lock.close()
                self.study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
            elif not (alone and trial.user_attrs.get(_OUTCOME) == _KILLED):
                continue
            self.study.enqueue_trial(trial.params, user_attrs={_AGAIN: trial.number})

    def _draw(self, count: int) -> "tuple[Trial, IO[str]] | None":
        """Draw the next trial and take its lock; None where there are enough, or all there is has been tried."""
        with self._alone():
            self._queue_killed(alone=False)  # the others would be killed again
            trial = self._ask(count)
            if trial is None:
                return None
            lock = self._hold(trial.number)
            assert lock is not None  # a number is given once
            return trial, lock

    def _ask(self, count: int) -> "Trial | None":
        """Return the next trial: of the values of a killed one, or of new ones, of those left if they end.

        The draw is seeded by the number of those before it, so that what is drawn outlives an interruption.
        """
        trials = self._trials()
        waiting = sum(trial.state.name == "WAITING" for trial in trials)
        if len(trials) - waiting >= count:
            return None
        seed, is_bayes = (self.seed * _SAME_DRAWS + len(trials)) % 2**32, self.sweep.method == "bayes"
        samplers = self._optuna.samplers
        self.study.sampler = samplers.TPESampler(seed=seed) if is_bayes else samplers.RandomSampler(seed=seed)
        left = None if waiting else self._untried([trial.params for trial in trials])
        if left is None:
            return self.study.ask(self._space)
        if not left:
            return None
        if is_bayes:
            trial = self.study.ask(self._space)
            if trial.params in left:
                return trial
            trial.set_user_attr(_AGAIN, trial.number)  # TPE draws things twice; this one is counted nowhere
            self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        self.study.enqueue_trial(random.Random(seed).choice(left))
        return self.study.ask(self._space)

    def _untried(self, tried: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """Return the codes of all values that no trial has had; None where there is no end to them."""
        codes = [p.codes for p in self.sweep.varied]
        ends = [one for one in codes if one is not None]
        if len(ends) < len(codes) or math.prod(map(len, ends)) > _MOST_LISTED:
            return None
        every = (dict(zip(self._space, values, strict=True)) for values in itertools.product(*ends))
        return [values for values in every if values not in tried]

    def _run_trial(self, trial: "Trial") -> None:
        """Run one trial and note what came of it."""
        state, run_dir = self._optuna.trial.TrialState, self._run_dir(trial.number)

        def give_up(number: int, value: float) -> bool:
            trial.report(value, number)
            return trial.should_prune()

        try:
            done = fit(
                self.arguments(trial.params, run_dir.name),
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
        else:
            self.study.tell(trial, value, state=state.PRUNED if value is None else state.COMPLETE)

    def arguments(self, codes: dict[str, Any], name: str) -> list[str]:
        """Return the arguments of ``tpl fit`` for one trial."""
        own = ["run.progress=false", "run.figures=false", "run.wandb=disabled"]
        drawn = [as_argument(key, value) for key, value in self._values(codes).items()]
        place = [f"run.dir={self.folder}", f"run.name={name}"]
        return [*self.sweep.arguments, *own, *drawn, *self.overrides, *place]

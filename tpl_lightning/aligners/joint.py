"""Joint alignment without a network, as an aligner of its own and as the refinement of any other."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tpl_lightning.aligners.base import (
    Aligner,
    Features,
    LengthAligner,
    StoredAligner,
    check_videos,
    make_catalogue,
)
from tpl_lightning.aligners.detail import ENDS_ARE_OPEN, FINE_GRID, detail_pays, ends_differ, joint_options
from tpl_lightning.aligners.frames import FrameReader
from tpl_lightning.aligners.guides import label_channels, labelled_bounds
from tpl_lightning.aligners.prior_choice import STRENGTHS, PriorChoice, held_out_scores, labels_choose, select_prior
from tpl_lightning.config import Config, config_to_dict
from tpl_lightning.data import KEPT_BYTES, Preprocessor, VideoSet
from tpl_lightning.evaluation import Alignment, faced_positions, prototype_grid, voted_labels
from tpl_lightning.files import check_same_cache, load_state, save_state, training_checkpoint
from tpl_lightning.functional import compute_device, is_rank_zero, on_rank_zero, resample
from tpl_lightning.functional.warps import between, coverage, prototype_times, video_times
from tpl_lightning.groupwise import (
    FINE_CELLS,
    JointModel,
    JointStart,
    chunks,
    enough_of_each,
    mean_rest,
    warps_from_positions,
)

__all__ = ["JointAligner", "wants_detail", "wants_open_ends"]

_GRID_LIMITS = (128, 160)  # warps of few cells are fitted to signals smoothed to at most 160 points
_LONG = 200  # frames of a prototype from which on detail is tried
_FEW = 400  # videos; detail takes some 20 ms for each
_TRIED, _TRIED_ACTIONS = 8, 5  # videos of an action and actions on which it is tried
_WORTH_TELLING = 2  # times the prior that is set
_WAITS = 0.09  # of a prototype, at an end on average: with less rest, clips do not wait
_TOGETHER = 64  # videos whose times are warped in one call
_RESAMPLED = 16  # videos whose frames are read at prototype times in one call
_CHUNK = 512  # new videos in memory at once


def _spread(videos: VideoSet, most: int) -> VideoSet:
    """Return videos that are enough for a joint fit, at most so many: as many of each action, spread evenly over it."""
    each = enough_of_each(len(videos.actions), most)
    rows = [np.flatnonzero(videos.action == action) for action in videos.actions]
    chosen = [r[np.linspace(0, len(r) - 1, min(each, len(r))).round().astype(int)] for r in rows]
    return videos if sum(map(len, chosen)) == len(videos) else videos.select(np.sort(np.concatenate(chosen)))


def _first_videos(train: VideoSet) -> VideoSet:
    """Return the videos on which options are tried: the first of some actions."""
    chosen = [np.flatnonzero(train.action == a)[:_TRIED] for a in train.actions[:_TRIED_ACTIONS]]
    return train.select(np.sort(np.concatenate(chosen)))


def _open_lengths(train: VideoSet, theta: Tensor) -> list[int]:
    """Return the prototype length of each action: the median of what videos would last if they showed all of it."""
    ends = theta[:, -2:].cpu().double().numpy()
    whole = (train.lengths - 1) / (ends[:, 1] - ends[:, 0])
    return [max(round(float(np.median(whole[train.action == a]))) + 1, 2) for a in train.actions]


def _prototype_lengths(catalogue: dict[str, Any]) -> dict[str, int]:
    return dict(zip(catalogue["actions"], catalogue["prototype_lengths"], strict=True))


class JointAligner(StoredAligner):
    """Warps fitted directly to the ICAE in feature space, with a prior (see ``groupwise.fit``).

    Args:
        config: The configuration.
        run_dir: Folder for the checkpoint.
        base: Fitted first; its warps are where the fit starts. None: starts at linear rescaling.
    """

    def __init__(self, config: Config, run_dir: Path, *, base: Aligner | None = None) -> None:
        """Keep the options."""
        self.config, self.run_dir, self.base = config, run_dir, base
        self.state: dict[str, Any] | None = None
        self.device = compute_device(config.direct.device)

    @property
    def checkpoint(self) -> Path:
        """File of what was learned; beside the base's own where there is one."""
        return self.run_dir / "checkpoints" / ("last.ckpt" if self.base is None else "refinement.ckpt")

    @classmethod
    def from_checkpoint(cls, path: Path, config: Config, *, base: Aligner | None = None) -> "JointAligner":
        """Load a fitted aligner.

        Raises:
            UserError: If the file is missing or no checkpoint of this kind.
        """
        aligner = cls(config, path.parent.parent, base=base)
        aligner.state = load_state(path, "joint", device=aligner.device)
        if isinstance(base, LengthAligner):
            base.prototype_length = aligner.state.get("base_lengths", {})
        return aligner

    def unrefined(self) -> Aligner | None:
        """Return the base."""
        return self.base

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Align the training videos with one another and store the prototypes."""
        if self._resumed(train):
            return
        if self.base is not None:
            self.base.fit(train, val)
        preprocessor = self._fit_features(train)
        catalogue = make_catalogue(train, preprocessor.num_channels)
        some = _spread(train, self.config.direct.max_videos)
        frames = FrameReader(preprocessor, KEPT_BYTES)
        choice, model, theta, size = self._fit_on_rank_zero(some, frames, catalogue)
        if model.options.ends:
            catalogue["prototype_lengths"] = _open_lengths(some, theta)
        self.state = {
            "hyper_parameters": {"config": config_to_dict(self.config), "catalogue": catalogue},
            "preprocessor": preprocessor.state(),
            "joint": model.state(),
            "grid": size,
            "fingerprint": train.cache.fingerprint(),
            "train_id": [str(v) for v in some.video_id],
            "train_theta": theta,
            "select": choice.scores,
            "strength": choice.strength,
        }
        if isinstance(self.base, LengthAligner):
            self.state["base_lengths"] = self.base.prototype_length
        if is_rank_zero():
            self._store_prototypes(train, frames)
            save_state(self.state, self.checkpoint)

    def _fit_on_rank_zero(
        self, train: VideoSet, frames: FrameReader, catalogue: dict[str, Any]
    ) -> tuple[PriorChoice, JointModel, Tensor, int]:
        """Return the choice of the prior, the joint fit, theta (N, d) and the grid's size; one rank finds them."""

        def fit() -> tuple[PriorChoice, dict[str, Any], Tensor, int]:
            fine = self._needs_detail(train, frames, catalogue)
            ends = self._needs_open_ends(train, frames, catalogue)
            start, features = self._start(train, frames, catalogue, fine=fine, ends=ends)
            choice, model, theta = self._fit_chosen(start, train, catalogue)
            if ends and not math.isinf(model.stiffness):
                model, theta = self._without_rests(start, model, theta, train)
            return choice, model.state(), theta.cpu(), features.shape[1]

        choice, state, theta, size = on_rank_zero(fit)
        return choice, JointModel.from_state(state, device=self.device), theta.to(self.device), size

    def _resumed(self, train: VideoSet) -> bool:
        """Take what a resumed run has learned already, if that is all there is to learn."""
        if self.config.resume is None or self.base is not None or not self.checkpoint.is_file():
            return False
        if training_checkpoint(self.checkpoint) is not None:
            return False
        self.state = load_state(self.checkpoint, "joint", device=self.device)
        check_same_cache(self.state["fingerprint"], train.cache.fingerprint(), self.checkpoint)
        return True

    def align(self, videos: VideoSet) -> Alignment:
        """Fit the warp of each video to the stored prototypes; training videos keep the warps of the joint fit."""
        theta = self._warps(videos, FrameReader(self.features()))
        return Alignment.from_rows(
            video_id=videos.video_id,
            action=videos.action,
            split=videos.split,
            positions=self._warped(prototype_times, theta, videos.lengths),
            sources=self._sources(videos, theta),
        )

    def _warps(self, videos: VideoSet, frames: FrameReader) -> Tensor:
        """Return theta (N, d), see :meth:`align`."""
        state = self._fitted()
        catalogue = state["hyper_parameters"]["catalogue"]
        check_videos(videos, catalogue)
        model = JointModel.from_state(state["joint"], device=self.device)
        theta = torch.zeros(len(videos), state["train_theta"].shape[1])
        keep = videos.cache.fingerprint() == state["fingerprint"]
        known = {v: i for i, v in enumerate(state["train_id"])} if keep else {}
        rows = np.array([known.get(str(v), -1) for v in videos.video_id])
        theta[rows >= 0] = state["train_theta"].cpu()[rows[rows >= 0]]
        new = np.flatnonzero(rows < 0)
        for chunk in chunks(len(new), _CHUNK):
            chosen = new[chunk]
            part = videos.select(chosen)
            features = frames.on_grid(part, state["grid"]).to(self.device)
            theta[chosen] = model.align(model.space(features), self._codes(part, catalogue))[0].cpu()
        return theta

    def _start(
        self, train: VideoSet, frames: FrameReader, catalogue: dict[str, Any], *, fine: bool, ends: bool
    ) -> tuple[JointStart, Tensor]:
        """Return where the joint fit starts, and the features (N, G, C) on the shared grid."""
        low, high = _GRID_LIMITS
        size = FINE_GRID if fine else min(max(max(catalogue["prototype_lengths"]), low), high)
        features = frames.on_grid(train, size).to(self.device)
        labels = label_channels(train, size, self.config.direct.labels, device=self.device)
        return self._start_on_grid(features, train, catalogue, fine=fine, ends=ends, labels=labels), features

    def _start_on_grid(
        self,
        features: Tensor,
        train: VideoSet,
        catalogue: dict[str, Any],
        *,
        fine: bool,
        ends: bool = False,
        adapt: bool = True,
        labels: Tensor | None = None,
    ) -> JointStart:
        """Return where the joint fit of features (N, G, C) starts: at the warps of the base where there is one."""
        self._cells = FINE_CELLS if fine else self._configured_cells()
        options = joint_options(self.config.direct, num_cells=self._cells, fine=fine)
        options = replace(options, ends=ends)
        return JointStart.find(
            features,
            self._codes(train, catalogue),
            num_actions=len(catalogue["actions"]),
            options=options if adapt else replace(options, adapt=0.0),
            theta=self._base_warps(train, features.shape[1], ends=ends),
            labels=labels,
        )

    def _fit_chosen(
        self, start: JointStart, train: VideoSet, catalogue: dict[str, Any]
    ) -> tuple[PriorChoice, JointModel, Tensor]:
        """Return the joint fit; labels of training videos choose how strong its prior is, where they may and can."""
        fits: dict[float, tuple[JointModel, Tensor]] = {}
        points = np.array([_prototype_lengths(catalogue)[str(a)] for a in train.action])

        def score(strength: float) -> np.ndarray:
            fits[strength] = start.fit(strength)
            return self._held_out_scores(fits[strength][1].cpu(), points, train)

        if self.config.direct.labels > 0 or not labels_choose(self.config.select, train):
            return PriorChoice(1.0, {}), *start.fit()
        choice = select_prior(STRENGTHS, score)
        return choice, *fits[choice.strength]

    def _without_rests(
        self, start: JointStart, model: JointModel, theta: Tensor, train: VideoSet
    ) -> tuple[JointModel, Tensor]:
        """Let actions begin and end where things move on their prototypes, or where labels do, if these may choose.

        Whether a figure that waits belongs to the action, no features tell: a hold that is cut short looks like it.
        """
        bounds = start.moving_ends(theta)
        if mean_rest(bounds) < _WAITS:
            bounds = theta.new_tensor([0.0, 1.0]).expand_as(bounds)
        if labels_choose(self.config.select, train):
            positions = self._warped(prototype_times, theta.cpu(), train.lengths)
            labelled = labelled_bounds(positions, train, start.action.cpu().numpy(), num_actions=start.num_actions)
            bounds = torch.where(labelled.isnan(), bounds.cpu(), labelled.to(bounds.cpu())).to(bounds)
        return replace(model, bounds=bounds), between(theta, bounds[start.action])

    def _held_out_scores(self, theta: Tensor, points: np.ndarray, train: VideoSet) -> np.ndarray:
        """Return what ``prior_choice.held_out_scores`` does, for warps theta (N, d) on prototypes of so many points."""
        sources = self._warped(video_times, theta, points)
        positions = self._warped(prototype_times, theta, train.lengths)
        faced = [faced_positions(p, s) for p, s in zip(positions, sources, strict=True)]
        return held_out_scores(faced, sources, train)

    def _needs_detail(self, train: VideoSet, frames: FrameReader, catalogue: dict[str, Any]) -> bool:
        """Tell whether warps are to be in full detail: for long recordings, see ``aligners.detail``."""
        detail = self.config.direct.detail
        if detail != "auto":
            return detail == "fine"
        if np.median(catalogue["prototype_lengths"]) < _LONG or len(train) > _FEW:
            return False
        some = _first_videos(train)
        features = frames.on_grid(some, FINE_GRID).to(self.device)
        action, count = self._codes(some, catalogue), len(catalogue["actions"])
        grid = torch.linspace(0, 1, features.shape[1], device=self.device)

        def fit(half: Tensor, fine: bool) -> Tensor:
            # The prior of few videos is not adapted: a weaker one flatters warps too coarse for what is there.
            theta = self._start_on_grid(half, some, catalogue, fine=fine, adapt=False).fit()[1]
            return video_times(theta, grid, num_cells=self._cells)

        return detail_pays(features, action, fit, num_actions=count)

    def _needs_open_ends(self, train: VideoSet, frames: FrameReader, catalogue: dict[str, Any]) -> bool:
        """Tell whether ends are to be open: where a fit with open ends moves them clearly, see ``warp.ends``."""
        if self.config.warp.ends != "auto":
            return self.config.warp.ends == "open"
        some = _first_videos(train)
        features = frames.on_grid(some, _GRID_LIMITS[0]).to(self.device)
        return ends_differ(self._start_on_grid(features, some, catalogue, fine=False, ends=True))

    def _fit_features(self, train: VideoSet) -> Features:
        """Return what makes the features that are compared."""
        return Preprocessor.fit(train, self.config.data)

    def _load_features(self, state: dict[str, Any]) -> Features:
        """Rebuild it from its state."""
        return Preprocessor.from_state(state)

    def features(self) -> Features:
        """Return what makes the features in which frames are compared."""
        return self._load_features(self._fitted()["preprocessor"])

    def prototype_labels(self) -> dict[str, np.ndarray]:
        """Return the stored labels A^ (L,) of each action's prototype [8], -1 where no video voted."""
        return {a: labels.cpu().numpy() for a, labels in self._fitted()["prototype_labels"].items()}

    def prototypes(self) -> dict[str, np.ndarray]:
        """Return the stored prototype U^ (L, channels) of each action [7]."""
        return {a: values.cpu().numpy() for a, values in self._fitted()["prototypes"].items()}

    def diagnosis(self) -> dict[str, float]:
        """Return that of the base."""
        return {} if self.base is None else self.base.diagnosis()

    def notes(self) -> list[str]:
        """Tell of warps in detail and of a prior that grew, and what the base tells."""
        found = [] if self.base is None else self.base.notes()
        if self.config.direct.detail == "auto" and self._num_cells() >= FINE_CELLS:
            found.append("Warps are in full detail: channels that had no say in them agree better (direct.detail).")
        if self.config.warp.ends == "auto" and self._fitted()["joint"]["options"].get("ends"):
            found.append(ENDS_ARE_OPEN)
        if self.config.direct.labels > 0:
            found.append(
                "Labels of training videos had a say in their warps (direct.labels): CBC and the spread of key events "
                "tell little of how well videos without labels are aligned, PLP does."
            )
        state = self._fitted()
        if state.get("select"):
            found.append(PriorChoice(state["strength"], state["select"]).note())
        grown = state["joint"].get("stiffness", 1.0) / state.get("strength", 1.0)
        if grown >= _WORTH_TELLING:
            found.append(
                "The videos are nearly in step, or the features tell little of their tempo: the prior that holds warps "
                f"back is {grown:.0f} times as set (direct.adapt=0: as set)."
            )
        return found

    def _fitted(self) -> dict[str, Any]:
        if self.state is None:
            raise RuntimeError("Expected a fitted aligner; call fit or from_checkpoint first.")
        return self.state

    def _num_cells(self) -> int:
        """Return the cells of the fitted warps."""
        return self._cells if self.state is None else int(self.state["joint"]["options"]["num_cells"])

    def _configured_cells(self) -> int:
        cells = self.config.warp.num_cells
        return max(cells) if isinstance(cells, list) else cells

    def _codes(self, videos: VideoSet, catalogue: dict[str, Any]) -> Tensor:
        code = {a: i for i, a in enumerate(catalogue["actions"])}
        return torch.tensor([code[str(a)] for a in videos.action], device=self.device)

    def _base_warps(self, videos: VideoSet, size: int, *, ends: bool) -> Tensor | None:
        """Return the base's warps as theta (N, d) of this fit's family; None: there is no base."""
        if self.base is None:
            return None
        found = self.base.align(videos)
        grid = np.linspace(0, 1, size)
        rows = [np.interp(grid, prototype_grid(n), found.position(i)) for i, n in enumerate(found.lengths.tolist())]
        position = torch.from_numpy(np.stack(rows)).float().to(self.device)
        return warps_from_positions(position, num_cells=self._cells, ends=ends)

    def _sources(self, videos: VideoSet, theta: Tensor) -> list[np.ndarray]:
        """Return T^theta at the prototype points of each video, (L,)."""
        lengths = _prototype_lengths(self._fitted()["hyper_parameters"]["catalogue"])
        return self._warped(video_times, theta, np.array([lengths[str(a)] for a in videos.action]))

    def _warped(self, way: Callable[..., Tensor], theta: Tensor, sizes: np.ndarray) -> list[np.ndarray]:
        """Return the times of a way (``prototype_times``, ``video_times``) at so many even times (N,) of each video."""
        found: list[np.ndarray] = [np.empty(0)] * len(sizes)
        order = np.argsort(sizes, kind="stable")  # of similar lengths together: little padding
        for chunk in chunks(len(order), _TOGETHER):
            rows = order[chunk]
            grids = [torch.from_numpy(prototype_grid(size)) for size in sizes[rows].tolist()]
            points = pad_sequence(grids, batch_first=True, padding_value=1.0)
            times = way(theta[rows], points, num_cells=self._num_cells()).numpy()
            for row, values in zip(rows.tolist(), times, strict=True):
                found[row] = values[: sizes[row]]
        return found

    def _store_prototypes(self, train: VideoSet, reader: FrameReader) -> None:
        """Add prototypes [7] and their labels [8] to the state."""
        state = self._fitted()
        sources = self._sources(train, self._warps(train, reader))
        labels = voted_labels(sources, train)
        state["prototypes"] = {}
        for action in train.actions:
            total, count, mine = torch.zeros(()), torch.zeros(()), np.flatnonzero(train.action == action)
            for chunk in chunks(len(mine), _RESAMPLED):
                rows = mine[chunk]
                frames = pad_sequence(reader(train, rows), batch_first=True)
                times = torch.stack([torch.from_numpy(sources[i]) for i in rows.tolist()])
                cover = coverage(times)
                total = total + (resample(frames, times, torch.from_numpy(train.lengths[rows])) * cover).sum(0)
                count = count + cover.sum(0)
            state["prototypes"][action] = total / count
        state["prototype_labels"] = {a: torch.from_numpy(np.asarray(labels[a])) for a in train.actions}


def wants_open_ends(train: VideoSet, preprocessor: Features, config: Config) -> bool:
    """Tell whether the ends of training videos are to be open, as the direct fit decides."""
    catalogue = make_catalogue(train, preprocessor.num_channels)
    return JointAligner(config, Path())._needs_open_ends(train, FrameReader(preprocessor, KEPT_BYTES), catalogue)


def wants_detail(train: VideoSet, preprocessor: Features, config: Config) -> bool:
    """Tell whether the warps of training videos are to be in full detail, as the direct fit decides."""
    catalogue = make_catalogue(train, preprocessor.num_channels)
    return JointAligner(config, Path())._needs_detail(train, FrameReader(preprocessor, KEPT_BYTES), catalogue)

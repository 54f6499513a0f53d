"""DBA and SoftDBA: the prototype is a barycenter under dynamic time warping, frames follow the path to it.

DBA: Petitjean, Ketterlin, Gancarski, "A global averaging method for dynamic time warping", Pattern Recognition 2011.
SoftDBA: Cuturi, Blondel, "Soft-DTW: a differentiable loss function for time-series", ICML 2017. Both by tslearn.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

from tpl_lightning.aligners.base import StateAligner
from tpl_lightning.aligners.decisions import needs_open_ends
from tpl_lightning.aligners.frames import FrameReader
from tpl_lightning.aligners.metadata import check_videos, dataset_metadata, stored_metadata
from tpl_lightning.aligners.open_paths import open_barycenter, open_path_positions, open_path_weights
from tpl_lightning.aligners.training_videos import TrainingVideos
from tpl_lightning.config import Config, config_to_dict
from tpl_lightning.data import KEPT_BYTES, Preprocessor, VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment, voted_labels
from tpl_lightning.functional import frame_times, resample
from tpl_lightning.tracking import WandbRun

try:
    from tslearn.barycenters import dtw_barycenter_averaging, softdtw_barycenter
    from tslearn.metrics import dtw_path, soft_dtw_alignment
except ImportError as error:
    raise UserError(
        'method=dba|softdba: expected the package tslearn; pip install "tpl_lightning[bench]" or take method=direct.'
    ) from error

_ALL_CORES = -1


def path_weights(prototype: np.ndarray, video: np.ndarray, gamma: float | None) -> np.ndarray:
    """Return which frames face which prototype points, (L, L_i), at least 0.

    Args:
        prototype: (L, K).
        video: (L_i, K).
        gamma: None: 1 along the optimal DTW path, 0 elsewhere. Otherwise the probability that a path drawn from
            the soft-DTW distribution, p(path) ~ exp(-cost / gamma), goes through each pair.
    """
    if gamma is not None:
        return np.asarray(soft_dtw_alignment(prototype, video, gamma=gamma)[0])
    path = np.asarray(dtw_path(prototype, video)[0])
    weights = np.zeros((len(prototype), len(video)))
    weights[path[:, 0], path[:, 1]] = 1.0
    return weights


def path_positions(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read both time maps off a path: the mean place on the other timeline of what each frame, or point, faces.

    Convention: times are in [0, 1]. The first value is indexed by video frames and lies on the prototype timeline
    (the place of T^-theta), the second is indexed by prototype points and lies in the video (the place of T^theta).
    Where several points face the first frame it sits in their middle. Neither map decreases.

    Args:
        weights: (L, L_i) from :func:`path_weights`.

    Returns:
        Positions (L_i,) of the frames and sources (L,) of the prototype points.
    """
    points, frames = (np.arange(n) / max(n - 1, 1) for n in weights.shape)
    positions = points @ weights / weights.sum(0)
    sources = weights @ frames / weights.sum(1)
    sources[0], sources[-1] = 0.0, 1.0  # ends meet: later, or earlier, would say that the video idles
    # Rounding, and with soft paths rare reversals of a fraction of a frame.
    return np.maximum.accumulate(positions).clip(0, 1), np.maximum.accumulate(sources).clip(0, 1)


class DtwAligner(StateAligner):
    """A DTW barycenter for each action; every video, seen or new, follows its own path to it.

    The barycenter has the median training length and starts from the mean of the linearly rescaled videos.
    SoftDBA reads positions off the expected path of soft-DTW: on real clips it scores higher than the single best
    path to the same barycenter, the more so the larger gamma is.

    Args:
        config: The configuration; ``method`` is ``dba`` or ``softdba``.
        run_dir: Folder for the checkpoint.
        wandb_run: Not used: nothing is trained.
    """

    kind = "barycenters"

    def __init__(self, config: Config, run_dir: Path, wandb_run: WandbRun | None = None) -> None:
        """Keep the options."""
        super().__init__(config, run_dir, wandb_run)
        self.gamma = config.dtw.gamma if config.method == "softdba" else None
        self.ends = False

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Compute the barycenter of each action and label it."""
        preprocessor = Preprocessor.fit(train, self.config.data)
        metadata = dataset_metadata(train, preprocessor.num_channels)
        self.ends = needs_open_ends(TrainingVideos(train, FrameReader(preprocessor, KEPT_BYTES), self.config, metadata))
        videos: dict[str, list[np.ndarray]] = {a: [] for a in metadata["actions"]}
        for i, action in enumerate(train.action):
            videos[str(action)].append(preprocessor(train.read(i)).astype(np.float64))
        # tslearn's loops are compiled and let go of the interpreter, so threads are enough.
        inner = _ALL_CORES if len(videos) == 1 else None
        lengths = metadata["prototype_lengths"]
        found = Parallel(n_jobs=_ALL_CORES, prefer="threads")(
            delayed(self._barycenter)(parts, length, inner)
            for parts, length in zip(videos.values(), lengths, strict=True)
        )
        self.state = {
            "hyper_parameters": {"config": config_to_dict(self.config), "metadata": metadata},
            "preprocessor": preprocessor.state(),
            "ends": self.ends,
            "barycenters": {a: torch.from_numpy(b) for a, b in zip(videos, found, strict=True)},
        }
        alignment = self.align(train)
        labels = voted_labels([alignment.source(i) for i in range(len(train))], train)
        self.state["prototype_labels"] = {a: torch.from_numpy(np.asarray(v)) for a, v in labels.items()}
        self.save()

    def align(self, videos: VideoSet) -> Alignment:
        """Follow the path of each video to its action's barycenter."""
        state = self.fitted()
        check_videos(videos, stored_metadata(state))
        preprocessor = Preprocessor.from_state(state["preprocessor"])
        barycenters = {a: b.numpy() for a, b in state["barycenters"].items()}

        gamma = self.gamma if self.config.dtw.expected_path else None
        ends = state.get("ends", False)

        def place(action: str, video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            prototype, frames = barycenters[action], video.astype(np.float64)
            if ends:
                return open_path_positions(open_path_weights(prototype, frames, gamma))
            return path_positions(path_weights(prototype, frames, gamma))

        rows = Parallel(n_jobs=_ALL_CORES, prefer="threads")(
            delayed(place)(str(action), preprocessor(videos.read(i))) for i, action in enumerate(videos.action)
        )
        return Alignment.of_videos(videos, [p for p, _ in rows], [s for _, s in rows])

    def prototypes(self) -> dict[str, np.ndarray]:
        """Return the stored barycenter (L, channels) of each action."""
        return {a: values.numpy() for a, values in self.fitted()["barycenters"].items()}

    def _barycenter(self, videos: list[np.ndarray], length: int, jobs: int | None) -> np.ndarray:
        options: dict[str, Any] = {"max_iter": self.config.dtw.max_iter, "n_jobs": jobs}
        start = _linear_mean(videos, length)
        if self.ends:
            return open_barycenter(videos, start, gamma=self.gamma, max_iter=self.config.dtw.max_iter)
        if self.gamma is None:
            return np.asarray(dtw_barycenter_averaging(videos, init_barycenter=start, **options))
        return np.asarray(softdtw_barycenter(videos, gamma=self.gamma, init=start, **options))


def _linear_mean(videos: list[np.ndarray], length: int) -> np.ndarray:
    """Return the mean of the videos, each stretched to ``length`` points."""
    times = frame_times(torch.tensor([length]), length, torch.float64)
    stretched = [resample(torch.from_numpy(x)[None], times, torch.tensor([len(x)]))[0] for x in videos]
    return torch.stack(stretched).mean(0).numpy()

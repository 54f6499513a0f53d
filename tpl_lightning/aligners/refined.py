"""Refinement: the direct fit, started from the warps of any other aligner."""

from pathlib import Path

import numpy as np

from tpl_lightning.aligners.base import Aligner, Features, StoredAligner
from tpl_lightning.aligners.by_length import LengthAligner
from tpl_lightning.aligners.direct import DirectAligner
from tpl_lightning.config import Config
from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation import Alignment


class RefinedAligner(StoredAligner):
    """An aligner and the direct fit that starts from its warps; kept beside the base's own checkpoint.

    Args:
        base: The aligner whose warps are refined; fitted first.
        config: The configuration.
        run_dir: Folder for the checkpoints.

    Example:
        >>> from tpl_lightning.aligners import build_aligner
        >>> from tpl_lightning.config import load_config
        >>> aligner = build_aligner(load_config(["method=linear", "refine=true"]), Path("runs/mine"))
        >>> type(aligner).__name__, type(aligner.base).__name__
        ('RefinedAligner', 'LinearAligner')

    Attributes:
        base: As given.
        direct: The fit that refines.
    """

    def __init__(self, base: Aligner, config: Config, run_dir: Path) -> None:
        """Keep both."""
        super().__init__(config, run_dir)
        self.base = base
        self.direct = DirectAligner(config, run_dir, checkpoint="refinement.ckpt")

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Fit the base, then the warps from where it leaves them."""
        self.base.fit(train, val)
        self.direct.fit_from(self.base, train)
        if isinstance(self.base, LengthAligner):  # it has no checkpoint of its own
            assert self.direct.state is not None
            self.direct.state["base_lengths"] = self.base.prototype_length
        self.direct.save()

    def load_refinement(self) -> None:
        """Take what the checkpoint of the refinement holds; the base is loaded.

        Raises:
            UserError: If the file is missing or no checkpoint of this kind.
        """
        self.direct.load(self.direct.checkpoint)
        assert self.direct.state is not None
        if isinstance(self.base, LengthAligner):
            self.base.prototype_length = self.direct.state.get("base_lengths", {})

    def align(self, videos: VideoSet) -> Alignment:
        """Fit the warp of each video to the stored prototypes."""
        return self.direct.align(videos)

    def features(self) -> Features:
        """Return what makes the features in which frames are compared."""
        return self.direct.features()

    def prototype_labels(self) -> dict[str, np.ndarray]:
        """Return the stored labels A^ (L,) of each action's prototype [8], -1 where no video voted."""
        return self.direct.prototype_labels()

    def prototypes(self) -> dict[str, np.ndarray]:
        """Return the stored prototype U^ (L, channels) of each action [7]."""
        return self.direct.prototypes()

    def diagnosis(self) -> dict[str, float]:
        """Return that of the base."""
        return self.base.diagnosis()

    def notes(self) -> list[str]:
        """Return those of both, each once."""
        return list(dict.fromkeys([*self.base.notes(), *self.direct.notes()]))

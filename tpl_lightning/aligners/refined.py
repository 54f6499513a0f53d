"""Refinement: the direct fit, started from the warps of any other aligner."""

from pathlib import Path

from tpl_lightning.aligners.base import Aligner
from tpl_lightning.aligners.by_length import LengthAligner
from tpl_lightning.aligners.direct import DirectAligner
from tpl_lightning.config import Config
from tpl_lightning.data import VideoSet


class RefinedAligner(DirectAligner):
    """The direct fit that starts from the warps of an aligner; kept beside that one's own checkpoint.

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
    """

    def __init__(self, base: Aligner, config: Config, run_dir: Path) -> None:
        """Keep the base."""
        super().__init__(config, run_dir, checkpoint="refinement.ckpt")
        self.base = base

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Fit the base, then the warps from where it leaves them."""
        self.base.fit(train, val)
        self.fit_from(self.base, train)
        if isinstance(self.base, LengthAligner):  # it has no checkpoint of its own
            self.fitted()["base_lengths"] = self.base.prototype_length
        self.save()

    def load(self, path: Path) -> None:
        """Take what the checkpoint of the refinement holds; the base is loaded.

        Raises:
            UserError: If the file is missing or no checkpoint of this kind.
        """
        super().load(path)
        if isinstance(self.base, LengthAligner):
            self.base.prototype_length = self.fitted().get("base_lengths", {})

    def diagnosis(self) -> dict[str, float]:
        """Return that of the base."""
        return self.base.diagnosis()

    def notes(self) -> list[str]:
        """Return those of both, each once."""
        return list(dict.fromkeys([*self.base.notes(), *super().notes()]))

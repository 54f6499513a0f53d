"""TPL and TPL+: D-MTAE trained by Lightning, one forward pass per video to align."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import seed_everything

from tpl_lightning.aligners.base import StoredAligner
from tpl_lightning.aligners.decisions import ENDS_ARE_OPEN, needs_detail, needs_open_ends
from tpl_lightning.aligners.frames import FrameReader
from tpl_lightning.aligners.metadata import check_videos, dataset_metadata, stored_metadata
from tpl_lightning.aligners.prior_choice import (
    STRENGTHS,
    PriorChoice,
    held_out_scores,
    labels_choose,
    select_prior,
)
from tpl_lightning.aligners.training_videos import TrainingVideos
from tpl_lightning.config import Config, config_to_dict
from tpl_lightning.data import KEPT_BYTES, Batch, EmbeddingDataModule, Preprocessor, Splits, VideoSet
from tpl_lightning.errors import FileError, UserError, first_line
from tpl_lightning.evaluation import Alignment
from tpl_lightning.files import read_checkpoint
from tpl_lightning.functional import compute_device
from tpl_lightning.lit import (
    AlignmentModule,
    DTANModule,
    PathTPLModule,
    TPLModule,
    in_words,
    training_callbacks,
    with_epochs,
)
from tpl_lightning.lit import train as train_module
from tpl_lightning.tracking import WandbRun


class TPLAligner(StoredAligner):
    """Temporal Prototype Learning, as in the paper or with an aligner that sees the prototype (``model.aligner``).

    DTAN too, which predicts warps from the embeddings themselves: it is trained, stored and applied alike.

    Args:
        config: The configuration.
        run_dir: Folder for the checkpoint and the CSV log.
        wandb_run: Where the training is logged; None: nowhere.

    Example:
        >>> from tpl_lightning.config import load_config
        >>> aligner = TPLAligner(load_config(["method=tpl"]), Path("runs/mine"))
        >>> aligner.module_class.__name__
        'TPLModule'
    """

    def __init__(self, config: Config, run_dir: Path, wandb_run: WandbRun | None = None) -> None:
        """Keep the options; nothing is built before ``fit``."""
        super().__init__(config, run_dir, wandb_run)
        self.module: AlignmentModule | None = None

    @property
    def choice(self) -> PriorChoice | None:
        """Return how strong labels chose the prior to be, if they were asked."""
        found = self.module.choice if isinstance(self.module, PathTPLModule) else None
        return None if found is None else PriorChoice(**found)

    @property
    def module_class(self) -> type[AlignmentModule]:
        """Return the class of the module."""
        if self.config.method == "dtan":
            return DTANModule
        return PathTPLModule if self.config.model.aligner == "path" else TPLModule

    @classmethod
    def from_checkpoint(cls, path: Path, config: Config) -> "TPLAligner":
        """Load a fitted aligner.

        Raises:
            UserError: If the file is missing or no checkpoint of this framework.
        """
        checkpoint = read_checkpoint(path)
        if "matcher" in checkpoint:
            raise UserError(
                f"{path}: of a version whose TPL+ was a matching network, which this one cannot run; "
                "fit again. Its own videos can still be synced and viewed."
            )
        stored = checkpoint["hyper_parameters"]["config"]
        aligner = cls(config, path.parent.parent)
        try:
            module = aligner.module_class.load_from_checkpoint(
                path, map_location="cpu", weights_only=True, config=stored, metadata=stored_metadata(checkpoint)
            )
        except Exception as error:  # torch raises many unrelated classes on a foreign file
            raise FileError(f"{path}: not a readable checkpoint ({first_line(error)}); fit the run again.") from error
        aligner.module = module.eval().to(aligner._device())
        return aligner

    def build(self, splits: Splits) -> tuple[AlignmentModule, EmbeddingDataModule]:
        """Return the untrained module for the training videos, and the data that it is trained on."""
        train = splits.train
        config = self.config = with_epochs(self.config, len(train))
        seed_everything(config.seed, workers=True, verbose=False)
        preprocessor = Preprocessor.fit(train, config.data)
        metadata = dataset_metadata(train, preprocessor.num_channels, config.model.prototype_length)
        self._check_latent(metadata["num_channels"])
        if self.module_class is PathTPLModule:
            videos = TrainingVideos(train, FrameReader(preprocessor, KEPT_BYTES), config, metadata)
            metadata["detail"] = needs_detail(videos)
            metadata["ends"] = needs_open_ends(videos)
        module = self.module_class(config_to_dict(config), metadata)
        module.preprocessor_state = preprocessor.state()
        data = EmbeddingDataModule(
            splits, preprocessor, module.actions, config.data, config.seed, few_sizes=config.train.compile
        )
        self.module = module
        if isinstance(module, PathTPLModule) and labels_choose(config.select, train):
            module.select = partial(self._choose_prior, train)
        return module, data

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Train the network on all actions at once and build the prototypes."""
        module, data = self.build(Splits.of(train=train, val=val))
        train_module(
            module,
            self.config,
            self.run_dir,
            fingerprint=train.cache.fingerprint(),
            datamodule=data,
            callbacks=training_callbacks(module, self.run_dir / "checkpoints" / "last.ckpt"),
            wandb_run=self.wandb_run,
        )
        self.module = module.eval().to(self._device())

    def _choose_prior(self, train: VideoSet, settle: Callable[[float], None]) -> dict[str, Any]:
        """Let the labels of training videos choose how strong the prior is, see ``aligners.prior_choice``."""

        def score(strength: float) -> np.ndarray:
            settle(strength)
            found = self.align(train)
            rows = range(len(train))
            return held_out_scores([found.position(i) for i in rows], [found.source(i) for i in rows], train)

        choice = select_prior(STRENGTHS, score)
        settle(choice.strength)
        return asdict(choice)

    def _check_latent(self, channels: int) -> None:
        """Refuse a linear encoder to more channels than there are."""
        model = self.config.model
        if model.encoder == "linear" and model.latent_dim is not None and model.latent_dim > channels:
            raise UserError(
                f"Expected `model.latent_dim` to be at most {channels}, the channels of the features, with "
                f"model.encoder=linear, but got {model.latent_dim}; set it lower, or data.pca higher."
            )

    def prototype_labels(self) -> dict[str, np.ndarray]:
        """Return the stored labels A^ (L,) of each action's prototype [8], -1 where no video voted."""
        module = self._fitted()
        labels, lengths = module.prototype_labels.cpu().numpy(), module.prototype_lengths.tolist()
        return {a: labels[i, : lengths[i]] for i, a in enumerate(module.actions)}

    def prototypes(self) -> dict[str, np.ndarray]:
        """Return the stored prototype U^ (L, channels) of each action [7]."""
        module = self._fitted()
        values, lengths = module.prototypes.cpu().numpy(), module.prototype_lengths.tolist()
        return {a: values[i, : lengths[i]] for i, a in enumerate(module.actions)}

    def diagnosis(self) -> dict[str, float]:
        """Return what a look at the trained network has found, see ``lit.diagnosis``; empty after loading."""
        return self.module.diagnosis if isinstance(self.module, TPLModule) else {}

    def notes(self) -> list[str]:
        """Say in words where the network ignores timing."""
        chosen = [f"One pass: {self.choice.note()}"] if self.choice is not None and self.choice.scores else []
        is_linear = self.choice is not None and math.isinf(self.choice.strength)  # which ignores timing, as it is meant
        words = [] if is_linear else in_words(self.diagnosis(), aligner=self.config.model.aligner)
        is_open = self.config.warp.ends == "auto" and self._fitted().metadata.get("ends")
        return [*words, *chosen, *([ENDS_ARE_OPEN] if is_open else [])]

    def latents(self, videos: VideoSet) -> list[np.ndarray]:
        """Return the latent sequence Z_i (L_i, latent_dim) of each video."""
        return [
            z[:n]
            for out, batch in self._outputs(videos)
            for z, n in zip(out.latent.cpu().numpy(), batch.lengths.tolist(), strict=True)
        ]

    def align(self, videos: VideoSet) -> Alignment:
        """Predict the warp of each video in one forward pass."""
        positions: list[np.ndarray] = []
        sources: list[np.ndarray] = []
        for output, batch in self._outputs(videos):
            prototype = self._fitted().prototype_lengths[batch.action].tolist()
            position, source = output.position.cpu().numpy(), output.source_position.cpu().numpy()
            positions += [position[i, :n] for i, n in enumerate(batch.lengths.tolist())]
            sources += [source[i, :n] for i, n in enumerate(prototype)]
        return Alignment.of_videos(videos, positions, sources)

    def _device(self) -> torch.device:
        """Return where videos are aligned: where they were trained on, if it is there."""
        return compute_device("cpu" if self.config.trainer.get("accelerator") == "cpu" else "auto")

    def _fitted(self) -> AlignmentModule:
        if self.module is None:
            raise RuntimeError("Expected a fitted aligner; call fit or from_checkpoint first.")
        return self.module

    @torch.inference_mode()
    def _outputs(self, videos: VideoSet) -> Iterator[tuple[Any, Batch]]:
        """Yield the network's output for the videos, in their order."""
        module = self._fitted()
        check_videos(videos, module.metadata)
        preprocessor = Preprocessor.from_state(module.preprocessor_state)
        data = EmbeddingDataModule(
            Splits.of(test=videos),
            preprocessor,
            module.actions,
            self.config.data,
            self.config.seed,
            few_sizes=self.config.train.compile,
        )
        for batch in data.batches(data.loader(videos), module):
            yield module(batch), batch

"""Diagnosis of a network that predicts warps, without labels: at each validation and at the end of the training."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from tpl_lightning.data import Batch, EmbeddingDataset, PackedBatch
from tpl_lightning.functional import sample_rows
from tpl_lightning.functional.scores import clock_share, left_over, relative_icae
from tpl_lightning.functional.warps import cpab_warp, random_theta
from tpl_lightning.groupwise import barycenters
from tpl_lightning.lit.module import TPLModule, warped_batch

_VIDEOS = 64  # of a split that are looked at
_GRID = 128  # points at which they are compared
_STRENGTH = 0.5  # of the known warps: root mean square slope of the velocity
_SEED = 0  # of the known warps, the same at every look
_IGNORED = 0.8  # of a known warp left over, from which on an aligner ignores timing
_CLOCK = 0.9  # of the variance of Z that is a cubic of time
_IN_STEP, _APART = 0.1, 3.0  # ICAE under identity warps: an encoder has memorised videos that others lie far from


class Look(NamedTuple):
    """What is looked at of some videos of a split, on the grid; the same on all ranks.

    Convention: ``times`` map prototype time to video time, the other three video time to prototype or input time.
    """

    latent: Tensor
    """(N, G, D) what the aligner sees."""
    times: Tensor
    """(N, G) T^theta."""
    position: Tensor
    """(N, G) T^-theta."""
    warped_position: Tensor
    """(N, G) T^-theta of the video warped by a known warp."""
    warp: Tensor
    """(N, G) that warp."""
    action: Tensor
    """(N,)."""


def look(module: TPLModule, batches: Iterator[Batch], count: int) -> Look:
    """Run the network on some videos of a split, as they are and under a known warp.

    Args:
        module: In evaluation mode.
        batches: The videos, in order.
        count: Videos of the split.
    """
    grid = torch.linspace(0, 1, _GRID, device=module.device)
    generator = torch.Generator().manual_seed(_SEED)
    known = random_theta(count, strength=_STRENGTH, like=torch.zeros(()), generator=generator).to(module.device)
    parts: list[tuple[Tensor, ...]] = []
    for batch in batches:
        theta = known[batch.video_index]
        output, again = module(batch), module(warped_batch(batch, theta))
        warped = module.model.warp
        parts.append(
            (
                module.compared(batch, output, _GRID),
                warped(output.theta, grid),
                warped(output.theta, grid, inverse=True),
                warped(again.theta, grid, inverse=True),
                cpab_warp(theta, grid),
                batch.action,
            )
        )
    return Look(*(torch.cat(part) for part in zip(*parts, strict=True)))


def spread_batches(dataset: EmbeddingDataset, size: int) -> Iterator[PackedBatch]:
    """Yield every one of a few videos, evenly spread: so few that each rank looks at all of them."""
    rows = torch.arange(0, len(dataset), max(-(-len(dataset) // _VIDEOS), 1))
    for some in rows.split(size):
        yield dataset.__getitems__(some.tolist())


def diagnose(train: Look, val: Look | None, *, num_actions: int) -> dict[str, float]:
    """Return the figures of ``functional.scores.diagnosis``; training videos make the prototypes.

    Returns:
        ``icae``, ``icae_identity``, ``left_over`` and ``clock`` with ``_train`` or ``_val`` behind.
    """
    found: dict[str, float] = {}
    for name in ("icae", "icae_identity"):
        mean: Tensor | None = None
        for split, videos in (("train", train), ("val", val)):
            if videos is None:
                continue
            grid = torch.linspace(0, 1, _GRID, device=videos.latent.device).expand(len(videos.latent), -1)
            times, position = (videos.times, videos.position) if name == "icae" else (grid, grid)
            aligned = sample_rows(videos.latent, times)
            if mean is None:
                prototype, mean = barycenters(aligned, videos.action, num_actions=num_actions)
            else:
                prototype = mean[videos.action]
            found[f"{name}_{split}"] = float(relative_icae(videos.latent, position, prototype))
    for split, videos in (("train", train), ("val", val)):
        if videos is not None:
            found[f"left_over_{split}"] = float(left_over(videos.position, videos.warped_position, videos.warp))
            found[f"clock_{split}"] = float(clock_share(videos.latent, videos.action))
    return found


def in_words(found: dict[str, float], *, aligner: str) -> list[str]:
    """Return warnings where the figures show that an aligner ignores timing or an encoder cheats.

    Args:
        found: Of :func:`diagnose`.
        aligner: ``model.aligner``.
    """
    said = []
    left = found.get("left_over_val", found.get("left_over_train", 0.0))
    if left > _IGNORED:
        way_out = "" if aligner == "path" else "; model.aligner=path sees the prototype"
        said.append(
            f"The aligner ignores timing: of a known warp of its input {left:.0%} is left over. Its warps say little "
            f"of when things happen{way_out}."
        )
    clock = found.get("clock_val", found.get("clock_train", 0.0))
    if clock > _CLOCK:
        said.append(
            f"The latent is a clock: {clock:.0%} of its variance is a cubic of time, the same for all videos. It tells "
            "how far a video has run, not what it shows; model.padding=replicate and train.random_warp hinder that."
        )
    identity, new = found.get("icae_identity_train", 1.0), found.get("icae_identity_val", 0.0)
    if identity < _IN_STEP and new > _APART * identity:
        said.append(
            "The encoder has memorised the training videos: without any warp they explain one another "
            f"(ICAE {identity:.3f} of the variance), new videos do not ({new:.3f})."
        )
    return said


class Diagnosis(Callback):
    """Logs :func:`diagnose` under ``diagnosis/`` at every validation, and keeps it in the module at the end."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at a network that is resumed after its last epoch, for which no end comes."""
        assert isinstance(pl_module, TPLModule)
        if pl_module.is_finished:
            self.on_train_end(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look, and log; the ranks look together, so they agree."""
        if not trainer.sanity_checking:
            found = self._look(trainer, pl_module)
            pl_module.log_dict({f"diagnosis/{key}": value for key, value in found.items()}, rank_zero_only=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what has become of it, with the prototypes that are stored."""
        was_training = pl_module.training
        pl_module.eval()
        self._look(trainer, pl_module)
        pl_module.train(was_training)

    @torch.no_grad()
    def _look(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        assert isinstance(pl_module, TPLModule)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        train, *val = [
            look(pl_module, data.batches(spread_batches(videos, data.data.batch_size), pl_module), len(videos))
            for videos in (data.train, data.val)
            if len(videos)
        ]
        pl_module.diagnosis = diagnose(train, val[0] if val else None, num_actions=len(pl_module.actions))
        return pl_module.diagnosis

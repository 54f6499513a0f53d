"""Diagnosis of a network that predicts warps, without labels: at each validation and at the end of the training."""

from collections.abc import Iterator
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from tpl_lightning.data.batch import Batch
from tpl_lightning.functional.cpab import cpab_warp
from tpl_lightning.functional.diagnosis import clock_share, left_over, relative_icae
from tpl_lightning.functional.prototypes import group_mean, leave_one_out_mean
from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.lit.module import TPLModule, randomly_warped

__all__ = ["Diagnosis", "diagnose", "in_words"]

_VIDEOS = 64  # of a split that are looked at
_GRID = 128  # points at which they are compared
_STRENGTH = 0.5  # of the known warps: root mean square slope of the velocity
_SEED = 0  # of the known warps, the same at every look
_IGNORED = 0.8  # of a known warp left over, from which on an aligner ignores timing
_CLOCK = 0.9  # of the variance of Z that is a cubic of time
_IN_STEP, _APART = 0.1, 3.0  # ICAE under identity warps: an encoder has memorised videos that others lie far from


def diagnose(module: TPLModule, train: Iterator[Batch], val: Iterator[Batch]) -> dict[str, float]:
    """Return the figures of ``functional.diagnosis`` on training and validation videos.

    Args:
        module: In evaluation mode.
        train: Batches of training videos, which make the prototypes.
        val: Batches of new ones; empty where there are none.

    Returns:
        ``icae``, ``icae_identity``, ``left_over`` and ``clock`` with ``_train`` or ``_val`` behind.
    """
    found: dict[str, float] = {}
    means: dict[str, Tensor] = {}
    grid = torch.linspace(0, 1, _GRID, device=module.device)
    for split, batches in (("train", train), ("val", val)):
        videos = _look(module, batches)
        if videos is None:
            continue
        latent, times, position, warped, warp, action = videos
        for name, at in (("icae", times), ("icae_identity", grid.expand(len(latent), -1))):
            aligned = sample_rows(latent, at)
            every = torch.ones(aligned.shape[:2], dtype=torch.bool, device=aligned.device)
            if split == "train":
                means[name] = group_mean(aligned, action, every, num_actions=len(module.actions))
                prototype = leave_one_out_mean(aligned, means[name], action, every)
            else:
                prototype = means[name][action]
            at_video = position if name == "icae" else at
            found[f"{name}_{split}"] = float(relative_icae(latent, at_video, prototype))
        found[f"left_over_{split}"] = float(left_over(position, warped, warp))
        found[f"clock_{split}"] = float(clock_share(latent, action))
    return found


def _look(module: TPLModule, batches: Iterator[Batch]) -> tuple[Tensor, ...] | None:
    """Return latents, T, T^-1, T^-1 of the warped video, the known warp, and actions of some videos, on the grid."""
    grid = torch.linspace(0, 1, _GRID, device=module.device)
    parts: list[tuple[Tensor, ...]] = []
    for batch in batches:
        with torch.random.fork_rng(devices=[module.device] if module.device.type == "cuda" else []):
            torch.manual_seed(_SEED)
            other, theta = randomly_warped(batch, strength=_STRENGTH)
        output, again = module(batch), module(other)
        warp_grid = module.model.warp_grid
        parts.append(
            (
                module.compared(batch, output, _GRID),
                warp_grid(output.theta, grid),
                warp_grid(output.theta, grid, inverse=True),
                warp_grid(again.theta, grid, inverse=True),
                cpab_warp(theta, grid),
                batch.action,
            )
        )
        if sum(len(part[-1]) for part in parts) >= _VIDEOS:
            break
    return tuple(torch.cat(part) for part in zip(*parts, strict=True)) if parts else None


def in_words(found: dict[str, float]) -> list[str]:
    """Return warnings where the figures show that an aligner ignores timing or an encoder cheats."""
    said = []
    left = found.get("left_over_val", found.get("left_over_train", 0.0))
    if left > _IGNORED:
        said.append(
            f"The aligner ignores timing: of a known warp of its input {left:.0%} is left over. Its warps say little "
            "of when things happen; model.aligner=path sees the prototype."
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

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look, and log; every rank looks at its own videos."""
        if not trainer.sanity_checking:
            found = self._look(trainer, pl_module)
            pl_module.log_dict({f"diagnosis/{key}": value for key, value in found.items()}, sync_dist=True)

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
        loaders = data.val_dataloader()
        train, *val = (data.batches(loader, pl_module) for loader in loaders)
        pl_module.diagnosis = diagnose(pl_module, train, val[0] if val else iter(()))
        return pl_module.diagnosis

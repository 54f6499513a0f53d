"""D-MTAE whose aligner sees the prototype, as a LightningModule."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from tpl_lightning.data import Batch
from tpl_lightning.functional import gather_rows, global_mean, resample_to_size, sample_rows
from tpl_lightning.functional.losses import video_errors
from tpl_lightning.functional.warps import cpab_warp, random_theta
from tpl_lightning.groupwise import barycenters, centred_ends, precision_factor
from tpl_lightning.lit.bank import WarpBank
from tpl_lightning.lit.module import (
    AlignmentModule,
    Losses,
    TPLModule,
    network_sizes,
    reconstruction_of,
    warped_batch,
)
from tpl_lightning.nn import COARSE, DETAIL, DMTAEOutput, LinearEncoder, PathDMTAE, PathOptions, PerAction

__all__ = ["PathTPLModule"]

Batches: TypeAlias = Callable[[], Iterator[Batch]]
"""Makes an iterator over the training videos, those of this rank."""

_CHUNK = 64  # videos aligned at once
_ROUNDS = 2  # passes over the training videos in which warps settle
_OPEN_ROUNDS = 6  # with open ends: prototypes grow to where the first videos begin
_ASKED = 360  # videos that are asked for their tempo; more change nothing
_STIFFER = 10.0  # times the prior of paths for each time that of the direct fit grows, on clips in step
_COARSE = 0.75  # of the training, for which long recordings are aligned coarsely


class Encoded(NamedTuple):
    """The videos of the bank that this rank holds, encoded with weights that stay as they are while it aligns them."""

    video_index: Tensor
    """(n,) number of each training video."""
    action: Tensor
    """(n,)."""
    latent: Tensor
    """(n, G, D) on the shared grid."""

    def of_all_ranks(self) -> tuple[Tensor, Tensor]:
        """Return the latents (N, G, D) and actions (N,) of all ranks, in the order of the videos."""
        order = gather_rows(self.video_index).argsort()
        return gather_rows(self.latent)[order], gather_rows(self.action)[order]


def _warped_times(theta: Tensor, times: Tensor) -> Tensor:
    """Return T^theta of video times (B, G); those beyond a video stay as far beyond it."""
    inside = times.clamp(0, 1)
    return cpab_warp(theta, inside) + (times - inside)


def _chunks(*parts: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield some rows of each at a time, which bounds the memory; nothing of no rows."""
    return zip(*(part.split(_CHUNK) for part in parts), strict=True)


class PathTPLModule(TPLModule):
    """TPL with ``model.aligner=path``.

    A step compares each video with the prototype that the bank holds (``lit.bank``), aligns it, and has the loss of the
    paper: L_ICAE against the mean of what this step has aligned, and L_rec. The axes of comparison are measured anew
    after 1, 2, 4, 8 ... steps. Long recordings are aligned coarsely for most of the training, then in detail.

    Args:
        config: The configuration as nested dictionaries of primitives (``config_to_dict``).
        metadata: See :class:`~tpl_lightning.lit.module.AlignmentModule`; ``detail``: whether warps are in full detail;
            ``ends``: whether ends are open.
    """

    latents_on_prototype = False
    model: PathDMTAE  # type: ignore[assignment]
    running_icae: Tensor
    prior: Tensor

    def __init__(self, config: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Build the network."""
        model, sizes = config["model"], network_sizes(config["model"], metadata)
        cells = config["warp"]["num_cells"]
        own = {"num_cells": max(cells) if isinstance(cells, list) else cells, "derivative": model["derivative"]}
        self.final = replace(COARSE, **own)
        if metadata.get("detail"):
            self.final = replace(DETAIL, derivative=min(DETAIL.derivative, model["derivative"]))
        self.coarse = replace(COARSE, **own, grid=self.final.grid)
        network = PathDMTAE(
            metadata["num_channels"],
            path=self.final,
            derivative=self.final.derivative,
            projection=model["projection"],
            recurrences=config["warp"]["recurrences"],
            backend=config["warp"]["backend"],
            **sizes,
        )
        AlignmentModule.__init__(
            self, config, metadata, latent_channels=network.space.features, latent_points=self.final.grid
        )
        network.aligner.ends = bool(metadata.get("ends"))
        self.model = network
        self.register_buffer("running_icae", torch.ones(()))
        self.register_buffer("prior", torch.ones(()))
        self.select: Callable[[Callable[[float], None]], dict[str, Any]] | None = None
        """Asked at the end which strength of the prior to settle with; None: the usual one."""
        self.choice: dict[str, Any] | None = None
        """What that chose, and why."""
        self._start()
        self.bank: WarpBank | None = None

    def forward(self, batch: Batch) -> DMTAEOutput:
        """Align a batch with the stored prototypes, each video by itself."""
        output: DMTAEOutput = self.model(
            batch.embeddings,
            batch.lengths,
            self.prototype_lengths[batch.action],
            batch.points,
            batch.action,
            prototype=self.model.space(self.latent_prototypes)[batch.action],
            running_icae=self.running_icae,
        )
        return output

    def compared(self, batch: Batch, output: DMTAEOutput, size: int) -> Tensor:
        """Return what the aligner compares, on a grid of so many points, (B, size, K)."""
        features = self.model.space(self.model.features(output.latent, batch.lengths))
        return sample_rows(features, torch.linspace(0, 1, size, device=features.device).expand(len(features), -1))

    # The bank

    def on_fit_start(self) -> None:
        """Fill the bank with the training videos under linear rescaling; a resumed run has its own, or needs none."""
        if self.is_finished:  # resumed after its last epoch: what it has learned stays as it is
            return
        if self.bank is None:
            self._begin(self._training_batches)
        else:
            self.bank = WarpBank.from_state(self.bank.state(), device=self.device)

    def _training_batches(self) -> Iterator[Batch]:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        yield from data.batches(data.prototype_dataloader(), self)

    @torch.no_grad()
    def _begin(self, batches: Batches) -> None:
        """Make the bank, and align its videos roughly, so that the axes that tell the time can be measured."""
        parts = [(b.action[b.video_index >= 0], b.video_index[b.video_index >= 0]) for b in batches()]
        action, index = (gather_rows(torch.cat(part)) for part in zip(*parts, strict=True))
        self._use(self.coarse)
        self.bank = WarpBank.of(
            action[index.argsort()],
            most=self.config["direct"]["max_videos"],
            num_actions=len(self.actions),
            grid=self.final.grid,
            features=self.model.space.features,
            dtype=self.latent_prototypes.dtype,
            is_open=self.model.aligner.ends,
        )
        self._start_encoder(batches)
        encoded = self._encode(batches)
        self._calibrate(encoded)
        self.model.space.is_plain = True
        self._settle(encoded)
        self.model.space.is_plain = False
        self._renew()
        self._hold_back(1.0, self._tempo_factor(encoded))

    def _tempo_factor(self, encoded: Encoded) -> float:
        """Return how many times stronger the prior ought to be as tempos hardly differ (``direct.empirical_bayes``)."""
        if self.config["direct"]["empirical_bayes"] == 0:
            return 1.0
        latent, action = encoded.of_all_ranks()
        rows = torch.linspace(0, len(action) - 1, min(len(action), _ASKED), device=action.device).round().long()
        signal = self.model.space(self.model.space.beside(latent[rows], self.model.path.sigma))
        return precision_factor(signal, action[rows], num_actions=len(self.actions))

    def _hold_back(self, strength: float, factor: float) -> None:
        """Set the prior: the strength that labels chose, times what tempos ask for."""
        self.model.prior = strength * (1 + _STIFFER * (factor - 1))
        self.prior.fill_(self.model.prior)

    def _encode(self, batches: Batches, *, raw: bool = False) -> Encoded:
        """Return the videos of the bank on the shared grid, as latents, or as they are."""
        assert self.bank is not None
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for batch in batches():
            batch = batch.some(self.bank.rows(batch.video_index) >= 0)
            known = self.bank.rows(batch.video_index) >= 0
            values = batch.embeddings if raw else self.model.encode(batch.embeddings, batch.lengths, batch.action)
            on_grid = resample_to_size(values, batch.lengths, self.final.grid)
            found.append((batch.video_index[known], batch.action[known], on_grid[known]))
        return Encoded(*(torch.cat(part) for part in zip(*found, strict=True)))

    def _start_encoder(self, batches: Batches) -> None:
        """Start a linear encoder to fewer channels at the principal components of the training videos."""
        encoder = self.model.encoder
        parts = list(encoder.networks) if isinstance(encoder, PerAction) else [encoder]
        if not isinstance(parts[0], LinearEncoder) or parts[0].map.out_features == parts[0].map.in_features:
            return
        frames, action = self._encode(batches, raw=True).of_all_ranks()
        for number, part in enumerate(parts):
            assert isinstance(part, LinearEncoder)
            part.start_at(frames if len(parts) == 1 else frames[action == number])

    @torch.no_grad()
    def _calibrate(self, encoded: Encoded) -> None:
        """Measure the scale of time derivatives, then put the videos into the bank by their last warps."""
        assert self.bank is not None
        space, sigma = self.model.space, self.model.path.sigma
        space.calibrate(encoded.of_all_ranks()[0], sigma)
        times = self.bank.last_times(encoded.video_index)
        aligned = [sample_rows(space.beside(z, sigma), t) for z, t in _chunks(encoded.latent, times)]
        self.bank.put(encoded.video_index, torch.cat(aligned), times)
        self._renew()

    @torch.no_grad()
    def _settle(self, encoded: Encoded) -> None:
        """Align all videos with one another, as warps take to settle; the weights stay as they are."""
        assert self.bank is not None
        loo, sigma, space = self.config["loss"]["leave_one_out"], self.model.path.sigma, self.model.space
        for _ in range(_OPEN_ROUNDS if self.model.aligner.ends else _ROUNDS):
            found, mean = [], space(self.bank.prototypes())
            for index, action, latent in _chunks(*encoded):
                features = space.beside(latent, sigma)
                target = self.bank.barycenters(mean, space(self.bank.last(index)), index, action, leave_one_out=loo)
                found.append(self.model.find_theta(space(features), target, self.running_icae))
            warps = self._centred(torch.cat(found), encoded)
            aligned, times = [], self.model.grid_times(warps.unsqueeze(1))
            for latent, when in _chunks(encoded.latent, times):
                aligned.append(sample_rows(space.beside(latent, sigma), when))
            self.bank.put(encoded.video_index, torch.cat(aligned), times)
            self._renew()

    def _centred(self, theta: Tensor, encoded: Encoded) -> Tensor:
        """Return theta (n, d) whose open ends are those of prototypes that begin and end where videos do."""
        if not self.model.aligner.ends:
            return theta
        ends = centred_ends(gather_rows(theta[:, -2:]), gather_rows(encoded.action))
        own = torch.isin(gather_rows(encoded.video_index), encoded.video_index)  # a video is on one rank
        return torch.cat([theta[:, :-2], ends[own]], 1)

    @torch.no_grad()
    def _renew(self) -> None:
        """Measure the axes of comparison and the running ICAE on the bank."""
        assert self.bank is not None
        bank, space = self.bank, self.model.space
        if not space.is_plain:
            space.renew(
                bank.aligned,
                bank.action,
                num_actions=len(self.actions),
                shrinkage=self.model.path.shrinkage,
                cover=bank.cover(),
            )
        compared, cover = space(bank.aligned), bank.cover()
        others = barycenters(compared, bank.action, num_actions=len(self.actions), cover=cover)[0]
        error = others.sub_(compared).square_().sum(-1)
        self.running_icae.copy_(error.mean() if cover is None else (error * cover[..., 0]).sum() / cover.sum())

    def _use(self, path: PathOptions) -> None:
        self.model.use(path)
        self.model.space.derivative = path.derivative

    # Training

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Go over to full detail when it is time; renew the axes after 1, 2, 4, 8 ... steps."""
        step = self.trainer.global_step
        if self.model.path != self.final and step >= _COARSE * self.trainer.estimated_stepping_batches:
            self._use(self.final)
            self._calibrate(self._encode(self._training_batches))
        elif step > 0 and step & (step - 1) == 0:
            self._renew()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return L_TPL [5] of a batch, and put into the bank what it aligned."""
        strength, loo = self.config["train"]["random_warp"], self.config["loss"]["leave_one_out"]
        bank, model = self.bank, self.model
        assert bank is not None
        last = bank.last_times(batch.video_index)
        warp = random_theta(len(batch.lengths), strength=strength, like=batch.embeddings) if strength > 0 else None
        if warp is not None:
            batch = warped_batch(batch, warp)
            last = _warped_times(-warp, last)  # T of U ∘ W is W^-1 ∘ T of U
        latent = model.encode(batch.embeddings, batch.lengths, batch.action)
        features = model.features(latent, batch.lengths)
        which = batch.video_index, batch.action
        bank.put(batch.video_index, sample_rows(features.detach(), last), bank.last_times(batch.video_index))
        mean, compared = model.space(bank.prototypes()), model.space(features)
        before = sample_rows(compared.detach(), last)
        target = bank.barycenters(mean, before, *which, leave_one_out=loo)
        theta = model.find_theta(compared, target, self.running_icae).unsqueeze(1)
        times = model.grid_times(theta)
        # L_ICAE [3]: prototypes of this step, in each video's own time, against what was compared.
        aligned = sample_rows(compared, times)
        prototype = bank.barycenters(bank.moved(mean, aligned - before, *which), aligned, *which, leave_one_out=loo)
        expected = sample_rows(prototype, model.grid_times(theta, inverse=True))
        size = torch.full_like(batch.lengths, compared.shape[1])
        icae = global_mean(video_errors(compared, expected, size))
        hidden = model.decode(latent, theta, batch.lengths, batch.action)
        stored = times.detach() if warp is None else _warped_times(warp, times.detach())
        bank.put(batch.video_index, sample_rows(features.detach(), times.detach()), stored)
        return self.total_loss(Losses(icae, reconstruction_of(model, hidden, batch)))

    # Prototypes

    def on_validation_epoch_start(self) -> None:
        """Validate with the prototypes of the bank."""
        if self.bank is not None:
            self.latent_prototypes.copy_(self.bank.prototypes())

    @torch.no_grad()
    def finish_prototypes(self, batches: Batches) -> None:
        """Let warps and prototypes settle under the weights as they are now, and store the prototypes."""
        if self.bank is None:
            self._begin(batches)
        assert self.bank is not None
        self._use(self.final)
        encoded = self._encode(batches)
        self._calibrate(encoded)
        factor, start = self._tempo_factor(encoded), self.bank.state()

        def settle(strength: float = 1.0) -> None:
            self.bank = WarpBank.from_state(
                {k: v.clone() if isinstance(v, Tensor) else v for k, v in start.items()}, device=self.device
            )
            self._renew()
            self._hold_back(strength, factor)
            self._settle(encoded)
            self.latent_prototypes.copy_(self.bank.prototypes())

        settle()
        if self.select is not None:
            self.choice = self.select(settle)

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the choice of the prior, and the bank of a training that has not ended."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["choice"] = self.choice
        if self.bank is not None and not self.is_finished:
            checkpoint["bank"] = self.bank.state()
            checkpoint["is_coarse"] = self.model.path != self.final

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them from there."""
        super().on_load_checkpoint(checkpoint)
        self.choice = checkpoint.get("choice")
        self.model.prior = float(checkpoint["state_dict"]["prior"])
        if "bank" in checkpoint:
            self.bank = WarpBank.from_state(checkpoint["bank"])
            if checkpoint["is_coarse"]:
                self._use(self.coarse)

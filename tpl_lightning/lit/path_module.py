"""D-MTAE whose aligner sees the prototype, as a LightningModule."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.data import Batch
from tpl_lightning.functional import gather_rows, global_mean, sample_rows
from tpl_lightning.functional.losses import video_errors
from tpl_lightning.functional.warps import cpab_warp, random_theta
from tpl_lightning.groupwise import precision_factor
from tpl_lightning.lit.bank import WarpBank
from tpl_lightning.lit.module import (
    AlignmentModule,
    Losses,
    TPLModule,
    network_sizes,
    reconstruction_of,
    warped_batch,
)
from tpl_lightning.lit.settling import (
    Batches,
    EncodedVideos,
    calibrate,
    encode_videos,
    renew_axes,
    settle,
    start_encoder,
)
from tpl_lightning.nn import COARSE, DETAIL, DMTAEOutput, PathDMTAE

_ASKED = 360  # videos that are asked for their tempo; more change nothing
_STIFFER = 10.0  # times the prior of paths for each time that of the direct fit grows, on clips in step
_COARSE = 0.75  # of the training, for which long recordings are aligned coarsely


def _warped_times(theta: Tensor, times: Tensor) -> Tensor:
    """Return T^theta of video times (B, G); those beyond a video stay as far beyond it."""
    inside = times.clamp(0, 1)
    return cpab_warp(theta, inside) + (times - inside)


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

    def __init__(self, config: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Build the network."""
        model, sizes = config["model"], network_sizes(config["model"], metadata)
        cells = config["warp"]["num_cells"]
        ends, derivative = bool(metadata.get("ends")), model["derivative"]
        num_cells = max(cells) if isinstance(cells, list) else cells
        coarse = replace(COARSE, num_cells=num_cells, derivative=derivative, ends=ends)
        detail = replace(DETAIL, derivative=min(DETAIL.derivative, derivative), ends=ends)
        self.final = detail if metadata.get("detail") else coarse
        self.coarse = replace(coarse, grid=self.final.grid)
        network = PathDMTAE(
            metadata["num_channels"],
            path=self.final,
            projection=model["projection"],
            recurrences=config["warp"]["recurrences"],
            backend=config["warp"]["backend"],
            **sizes,
        )
        AlignmentModule.__init__(
            self, config, metadata, latent_channels=network.space.features, latent_points=self.final.grid
        )
        self.model = network
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
            self.fill_bank(self._training_batches)
        else:
            self.bank = WarpBank.from_state(self.bank.state(), device=self.device)

    def _training_batches(self) -> Iterator[Batch]:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        yield from data.batches(data.prototype_dataloader(), self)

    @torch.no_grad()
    def fill_bank(self, batches: Batches) -> None:
        """Make the bank, and align its videos roughly, so that the axes that tell the time can be measured.

        Args:
            batches: Makes an iterator over the training videos, those of this rank.
        """
        parts = [(b.action[b.video_index >= 0], b.video_index[b.video_index >= 0]) for b in batches()]
        action, index = (gather_rows(torch.cat(part)) for part in zip(*parts, strict=True))
        model = self.model
        model.use(self.coarse)
        bank = self.bank = WarpBank.of(
            action[index.argsort()],
            most=self.config["direct"]["max_videos"],
            num_actions=len(self.actions),
            grid=self.final.grid,
            features=model.space.features,
            dtype=self.latent_prototypes.dtype,
            is_open=model.path.ends,
        )
        start_encoder(model, bank, batches)
        encoded = encode_videos(model, bank, batches)
        calibrate(model, bank, encoded)
        model.space.is_plain = True
        self._settle(encoded)
        model.space.is_plain = False
        renew_axes(model, bank)
        self._hold_back(1.0, self._tempo_factor(encoded))

    def _settle(self, encoded: EncodedVideos) -> None:
        assert self.bank is not None
        settle(self.model, self.bank, encoded, leave_one_out=self.config["loss"]["leave_one_out"])

    def _tempo_factor(self, encoded: EncodedVideos) -> float:
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

    # Training

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Go over to full detail when it is time; renew the axes after 1, 2, 4, 8 ... steps."""
        step = self.trainer.global_step
        if self.model.path != self.final and step >= _COARSE * self.trainer.estimated_stepping_batches:
            self.model.use(self.final)
            assert self.bank is not None
            encoded = encode_videos(self.model, self.bank, self._training_batches)
            calibrate(self.model, self.bank, encoded)
        elif step > 0 and step & (step - 1) == 0:
            assert self.bank is not None
            renew_axes(self.model, self.bank)

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
        theta = model.find_theta(compared, target).unsqueeze(1)
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
            self.fill_bank(batches)
        assert self.bank is not None
        self.model.use(self.final)
        encoded = encode_videos(self.model, self.bank, batches)
        calibrate(self.model, self.bank, encoded)
        factor, start = self._tempo_factor(encoded), self.bank.state()

        def settle_with(strength: float = 1.0) -> None:
            self.bank = WarpBank.from_state(
                {k: v.clone() if isinstance(v, Tensor) else v for k, v in start.items()}, device=self.device
            )
            renew_axes(self.model, self.bank)
            self._hold_back(strength, factor)
            self._settle(encoded)
            self.latent_prototypes.copy_(self.bank.prototypes())

        settle_with()
        if self.select is not None:
            self.choice = self.select(settle_with)

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the prior and why it was chosen, and the bank of a training that has not ended."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["choice"], checkpoint["prior"] = self.choice, self.model.prior
        if self.bank is not None and not self.is_finished:
            checkpoint["bank"] = self.bank.state()
            checkpoint["is_coarse"] = self.model.path != self.final

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them from there."""
        super().on_load_checkpoint(checkpoint)
        weights = checkpoint["state_dict"]
        if "prior" in weights:  # of before 0.3
            checkpoint["prior"] = float(weights.pop("prior"))
            weights["model.running_icae"] = weights.pop("running_icae")
        self.choice, self.model.prior = checkpoint.get("choice"), checkpoint["prior"]
        if "bank" in checkpoint:
            self.bank = WarpBank.from_state(checkpoint["bank"])
            if checkpoint["is_coarse"]:
                self.model.use(self.coarse)

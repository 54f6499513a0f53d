"""The LightningModules: a network that predicts warps, and D-MTAE as in the paper, trained for all actions at once."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from lightning import LightningModule
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor

from tpl_lightning.data import COMPILED_STEP, Batch
from tpl_lightning.functional import (
    frame_times,
    group_mean,
    leave_one_out_mean,
    length_mask,
    resample,
    resample_to_size,
)
from tpl_lightning.functional.losses import icae_loss, mean_of_total, reconstruction_error, tpl_loss
from tpl_lightning.functional.warps import cpab_warp, random_theta
from tpl_lightning.metrics import AlignmentScore, CycleBackConsistency, KeyEventSpread, PhaseLabelPropagation
from tpl_lightning.nn import DMTAE, Autoencoder, DMTAEOutput, WarpNetwork


class Losses(NamedTuple):
    """The terms of L_TPL for one batch, each a scalar."""

    icae: Tensor
    reconstruction: Tensor


def warp_options(config: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the warps that a network predicts, whose ends are fixed."""
    return {key: value for key, value in config["warp"].items() if key != "ends"}


class AlignmentModule(LightningModule):
    """Base of the modules whose network predicts warps; derived classes build ``model`` and define ``training_step``.

    One network serves all actions; each action has its own prototype and prototype length. Everything that
    aligning a new video needs is in the checkpoint: weights, prototypes with their labels, preprocessing.

    Args:
        config: The configuration as nested dictionaries of primitives (``config_to_dict``).
        metadata: Primitives that describe the training set: ``actions`` (sorted), ``prototype_lengths``
            (one per action), ``phase_names``, ``num_channels``, ``dataset``, ``extractor``, ``data_source``.
        latent_channels: Channels of what the network aligns; None: as the embeddings have.
        latent_points: Points of the latent prototypes; None: of the longest prototype.
    """

    latents_on_prototype = True
    """Whether latent prototypes are means of ``aligned_latent`` at the prototype points; else ``finish_prototypes``
    makes them."""
    model: WarpNetwork
    prototypes: Tensor
    latent_prototypes: Tensor
    prototype_labels: Tensor
    prototype_lengths: Tensor

    def __init__(
        self,
        config: dict[str, Any],
        metadata: dict[str, Any],
        *,
        latent_channels: int | None = None,
        latent_points: int | None = None,
    ) -> None:
        """Make the (empty) prototypes and the metrics."""
        super().__init__()
        self.save_hyperparameters({"config": config, "metadata": metadata})
        self.config, self.metadata = config, metadata
        self.actions: list[str] = metadata["actions"]
        self.preprocessor_state: dict[str, Any] = {}
        self.is_finished = False  # until the prototypes are built
        lengths = torch.tensor(metadata["prototype_lengths"])
        count, longest = len(self.actions), int(lengths.max())
        self.register_buffer("prototype_lengths", lengths)
        self.register_buffer("prototypes", torch.zeros(count, longest, metadata["num_channels"]))
        latent = (latent_points or longest, latent_channels or metadata["num_channels"])
        self.register_buffer("latent_prototypes", torch.zeros(count, *latent))
        self.register_buffer("prototype_labels", torch.full((count, longest), -1))
        self._make_metrics(count, longest)

    def _make_metrics(self, num_actions: int, max_length: int) -> None:
        phases = max([len(names) for names in self.metadata["phase_names"].values()] + [1])
        size = {"num_actions": num_actions, "num_phases": phases, "max_length": max_length}
        self.train_cbc = CycleBackConsistency(**size)
        self.val_plp, self.test_plp = PhaseLabelPropagation(**size), PhaseLabelPropagation(**size)
        self.val_spread = KeyEventSpread(num_actions=num_actions, num_phases=phases)
        self.test_spread = KeyEventSpread(num_actions=num_actions, num_phases=phases)
        self.train_score = AlignmentScore(
            num_actions=num_actions, max_length=max_length, num_channels=self.metadata["num_channels"]
        )

    def forward(self, batch: Batch) -> Any:
        """Run the network on one batch."""
        return self.model(batch.embeddings, batch.lengths, self.prototype_lengths[batch.action], batch.points)

    def finish_prototypes(self, batches: Callable[[], Iterator[Batch]]) -> None:
        """Settle what a trained module aligns by, before prototypes are built; passes over the training videos."""

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Note the longest prototype while the batch is on the host; few sizes for a network that is compiled."""
        lengths = self.metadata["prototype_lengths"]
        points = max(lengths[number] for number in batch.action.tolist())
        if self.config["train"]["compile"]:
            points = min(points + -points % COMPILED_STEP, self.prototypes.shape[1])
        return batch._replace(points=points)

    def batch_prototypes(self, aligned: Tensor, action: Tensor) -> Tensor:
        """Return the prototypes (A, longest, D) of this batch (of all ranks) from what is aligned, (B, P, D)."""
        mask = length_mask(self.prototype_lengths[action], aligned.shape[1])
        return group_mean(aligned, action, mask, num_actions=len(self.actions), longest=self.prototypes.shape[1])

    def log_losses(self, losses: dict[str, Tensor]) -> None:
        """Log the terms of a training step under ``train/``: their mean over the steps of an epoch."""
        self.log_dict(
            {f"train/{name}": value for name, value in losses.items()},
            on_step=False,
            on_epoch=True,
            batch_size=1,  # the mean over ranks is that of the joint batch already, however unequal their counts are
            sync_dist=True,
        )

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score: loader 0 holds the training videos (they label the prototypes), loader 1 new ones."""
        output = self(batch)
        lengths = self.prototype_lengths[batch.action]
        if dataloader_idx == 0:
            votes = (batch.labels, batch.lengths, batch.action, output.source_position, lengths)
            self.train_cbc.update(output.position, *votes)
            self.val_plp.update_prototype(*votes)
            warps = (output.source_position, batch.lengths, batch.action, lengths)
            self.train_score.update(batch.embeddings, *warps, batch.video_index >= 0)
        else:
            self.val_plp.update(output.position, batch.labels, batch.lengths, batch.action, lengths)
        self.val_spread.update(output.position, batch.labels, batch.lengths, batch.action)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of all videos together, and start anew."""
        scores = {"train/cbc": self.train_cbc, "val/plp": self.val_plp, "val/event_spread": self.val_spread}
        self._log_scores({**scores, "quality/score": self.train_score})

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score new videos against the stored prototypes."""
        output = self(batch)
        lengths = self.prototype_lengths[batch.action]
        if not self.test_plp.update_called:
            self.test_plp.set_prototype_labels(self.prototype_labels)
        self.test_plp.update(output.position, batch.labels, batch.lengths, batch.action, lengths)
        self.test_spread.update(output.position, batch.labels, batch.lengths, batch.action)

    def on_test_epoch_end(self) -> None:
        """Log the scores of all test videos together."""
        self._log_scores({"test/plp": self.test_plp, "test/event_spread": self.test_spread})

    def _log_scores(self, metrics: dict[str, Any]) -> None:
        # Values, not metric objects: a NaN (nothing labelled) is left out instead of breaking a monitor,
        # and compute() already agrees over the ranks.
        for name, metric in metrics.items():
            value = metric.compute()
            if not torch.isnan(value):
                self.log(name, value.float(), rank_zero_only=False)
            metric.reset()

    def configure_optimizers(self) -> Any:
        """AdamW with a cosine schedule over the epochs."""
        train = self.config["train"]
        # Mixed precision clips gradients between their unscaling and the step; a fused step wants to do both itself.
        fused = not isinstance(self.trainer.precision_plugin, MixedPrecision)
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=train["lr"], weight_decay=train["weight_decay"], fused=fused
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=train["max_epochs"])
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the preprocessing beside the weights, and whether there is no more to learn."""
        checkpoint["preprocessor"], checkpoint["finished"] = self.preprocessor_state, self.is_finished

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them from the checkpoint."""
        self.preprocessor_state, self.is_finished = checkpoint["preprocessor"], checkpoint["finished"]


def reconstruction_of(model: Autoencoder, hidden: Tensor, batch: Batch) -> Tensor:
    """Return L_rec [4] of a batch from the hidden channels (B, T, H) of the decoder at the frames."""
    total = hidden.new_zeros(())
    for rows, last in model.last_maps(batch.action):
        part = hidden[rows]
        if len(part):
            embeddings, lengths = batch.embeddings[rows], batch.lengths[rows]
            total = total + reconstruction_error(part, last.weight, last.bias, embeddings, lengths)
    return mean_of_total(total, len(hidden))


def warped_batch(batch: Batch, theta: Tensor) -> Batch:
    """Return a batch whose videos are warped, U_i ∘ T^theta_i; theta (B, d)."""
    times = cpab_warp(theta, frame_times(batch.lengths, batch.embeddings.shape[1]), num_cells=theta.shape[1] + 1)
    warped = resample(batch.embeddings, times, batch.lengths)
    return batch._replace(embeddings=warped * length_mask(batch.lengths, warped.shape[1]).unsqueeze(-1))


class TPLModule(AlignmentModule):
    """Temporal Prototype Learning (Naaman, Shapira Weber, Freifeld, ICCV 2025) as a LightningModule.

    Args:
        config: The configuration as nested dictionaries of primitives (``config_to_dict``).
        metadata: See :class:`AlignmentModule`.
    """

    model: DMTAE

    def __init__(self, config: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Build D-MTAE."""
        sizes = network_sizes(config["model"], metadata)
        super().__init__(config, metadata, latent_channels=sizes["latent_dim"])
        filters = {key: config["model"][key] for key in ("aligner_filters", "aligner_depth")}
        self.model = DMTAE(metadata["num_channels"], **sizes, **filters, **warp_options(config))
        self._start()

    def _start(self) -> None:
        """Set what callbacks fill."""
        self.icae_weight = 0.0  # lambda_t, of IcaeWeightAnnealing
        self.diagnosis: dict[str, float] = {}  # of the last look (``lit.diagnosis``)

    def forward(self, batch: Batch) -> DMTAEOutput:
        """Run the network on one batch."""
        lengths = self.prototype_lengths[batch.action]
        output: DMTAEOutput = self.model(batch.embeddings, batch.lengths, lengths, batch.points, batch.action)
        return output

    def compared(self, batch: Batch, output: DMTAEOutput, size: int) -> Tensor:
        """Return what the aligner looks at, on a grid of so many points that all videos share, (B, size, D)."""
        return resample_to_size(output.latent, batch.lengths, size)

    def losses(self, batch: Batch, output: DMTAEOutput) -> Losses:
        """Return L_ICAE [3] against the prototypes of this batch (of all ranks), and L_rec [4]."""
        lengths = self.prototype_lengths[batch.action]
        prototype, which = self.batch_prototypes(output.aligned_latent, batch.action), batch.action
        if self.config["loss"]["leave_one_out"]:
            mask = length_mask(lengths, output.aligned_latent.shape[1])
            prototype = leave_one_out_mean(output.aligned_latent, prototype, batch.action, mask)
            which = torch.arange(len(batch.action), device=batch.action.device)
        icae = icae_loss(output.latent, output.position, prototype, which, batch.lengths, lengths)
        return Losses(icae, reconstruction_of(self.model, output.hidden, batch))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return L_TPL [5] of a batch."""
        strength = self.config["train"]["random_warp"]
        if strength > 0:
            batch = warped_batch(batch, random_theta(len(batch.lengths), strength=strength, like=batch.embeddings))
        return self.total_loss(self.losses(batch, self(batch)))

    def total_loss(self, losses: Losses) -> Tensor:
        """Return and log L_TPL [5] with the weight of this epoch."""
        loss = tpl_loss(losses.icae, losses.reconstruction, self.icae_weight, self.config["loss"]["reconstruction"])
        self.log_losses({"loss": loss, "icae": losses.icae, "reconstruction": losses.reconstruction})
        return loss


def network_sizes(model: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an autoencoder from those of a run."""
    keys = ("encoder", "latent_norm", "hidden", "kernel_size", "padding", "dropout", "per_action")
    sizes = {key: model[key] for key in keys}
    latent_dim = model["latent_dim"] or metadata["num_channels"]
    return {**sizes, "latent_dim": latent_dim, "num_actions": len(metadata["actions"])}

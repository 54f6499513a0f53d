"""Training of embedding heads on pairs of videos of the same action: TCC and LAV."""

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from tpl_lightning.data import Batch
from tpl_lightning.functional import resample
from tpl_lightning.functional.losses import contrastive_idm, cycle_back_regression, soft_dtw
from tpl_lightning.nn import EmbeddingHead


def same_action_pairs(action: Tensor) -> Tensor:
    """Return all ordered pairs (P, 2) of different videos of the same action."""
    same = action.unsqueeze(0) == action.unsqueeze(1)
    same.fill_diagonal_(False)
    return same.nonzero()


class HeadModule(LightningModule):
    """An :class:`EmbeddingHead` trained by temporal cycle consistency (tcc) or contrastive soft-DTW (lav).

    In each step every video gives ``head.num_frames`` frames, one at a random time of each of as many equal parts.

    Args:
        config: The configuration as nested dictionaries of primitives.
        num_channels: Channels of the preprocessed embeddings.
    """

    def __init__(self, config: dict[str, Any], num_channels: int) -> None:
        """Build the head."""
        super().__init__()
        self.method, self.options, self.train_options = config["method"], config["head"], config["train"]
        size = {key: self.options[key] for key in ("channels", "hidden", "kernel_size", "dropout")}
        self.network = EmbeddingHead(num_channels, **size)

    def sample(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return embeddings (B, N, K) at random times, and the times (B, N), rising."""
        embedded = self.network(batch.embeddings, batch.lengths)
        count = self.options["num_frames"]
        place = torch.rand(len(embedded), count, device=embedded.device, dtype=embedded.dtype)
        times = (torch.arange(count, device=embedded.device) + place) / count
        return resample(embedded, times, batch.lengths), times

    def objective(self, embedded: Tensor, times: Tensor, action: Tensor) -> Tensor:
        """Return the loss of sampled videos (B, N, K) at their times (B, N); 0 where no action has two of them."""
        pairs = same_action_pairs(action)
        if len(pairs) == 0:
            return embedded.sum() * 0.0
        options = self.options
        limit = options["max_pairs"]
        if len(pairs) > limit:
            pairs = pairs[torch.randperm(len(pairs), device=pairs.device)[:limit]]
        query, other = embedded[pairs[:, 0]], embedded[pairs[:, 1]]
        if self.method == "tcc":
            return cycle_back_regression(
                query,
                other,
                times[pairs[:, 0]],
                temperature=options["temperature"],
                variance_weight=options["variance_weight"],
            ).mean()
        alignment = soft_dtw(torch.cdist(query, other).square(), options["gamma"]) / (2 * embedded.shape[1])
        spread = contrastive_idm(embedded, times, window=options["window"], margin=options["margin"])
        return alignment.mean() + options["contrast"] * spread.mean()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        embedded, times = self.sample(batch)
        with torch.autocast(embedded.device.type, enabled=False):
            loss = self.objective(embedded, times, batch.action)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.lengths), sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW with a cosine schedule over the epochs."""
        options = self.options
        decay = self.train_options["weight_decay"]
        optimizer = torch.optim.AdamW(self.parameters(), lr=options["lr"], weight_decay=decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=options["epochs"])
        return {"optimizer": optimizer, "lr_scheduler": schedule}

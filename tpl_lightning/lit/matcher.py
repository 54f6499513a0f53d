"""Training of the prototype matcher on randomly warped videos, whose warps are known."""

from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tpl_lightning.functional.cpab import cell_slopes, cpab_warp, num_parameters
from tpl_lightning.functional.joint import targets
from tpl_lightning.functional.joint_model import JointModel
from tpl_lightning.functional.smoothing import sample_rows, smoothed, stage_size
from tpl_lightning.nn.matcher import PrototypeMatcher, cost_volume

__all__ = ["MatcherModule", "Teacher", "random_theta"]

_NOISE_SIGMA = 0.05  # of the noise that is added, as a share of the video: what disturbs real features is slow


class Teacher(NamedTuple):
    """Training videos with the warps of a joint fit."""

    signal: Tensor
    """(N, G, K) in the space of comparison."""
    position: Tensor
    """(N, G) T^-theta on the grid."""
    prototype: Tensor
    """(N, G, K) the mean of the *others* of the same action: a video is never compared with itself."""
    mean: Tensor
    """(A, G, K) the mean of all videos of an action: what new videos are compared with."""

    @classmethod
    def from_fit(cls, model: JointModel, features: Tensor, theta: Tensor, action: Tensor, *, most: int) -> "Teacher":
        """Prepare what the network learns from, on a grid of at most ``most`` points."""
        cells = model.options.num_cells
        signal = model.space(features)
        if most < signal.shape[1]:
            signal = smoothed(signal, 0.5 / most, most)
        grid = torch.linspace(0, 1, signal.shape[1], device=signal.device)
        aligned = sample_rows(signal, cpab_warp(theta, grid, num_cells=cells))
        plain = replace(model.options, level_freedom=0.0, leave_one_out=True)
        others, mean = targets(aligned, action, num_actions=len(model.prototypes[0]), options=plain)
        return cls(signal, cpab_warp(-theta, grid, num_cells=cells), others, mean)


def random_theta(count: int, *, num_cells: int, strength: Tensor, like: Tensor) -> Tensor:
    """Draw theta (count, d) from the Gaussian whose energy is the mean square slope, times ``strength`` (count, 1)."""
    size = num_parameters(num_cells)
    eye = torch.eye(size, device=like.device)
    slopes = cell_slopes(eye, num_cells=num_cells)
    precision = slopes @ slopes.T / num_cells + 1e-3 * eye
    factor = torch.linalg.cholesky(torch.linalg.inv(precision))
    return strength * (torch.randn(count, size, device=like.device) @ factor.T)


class MatcherModule(LightningModule):
    """Teaches :class:`PrototypeMatcher` to name warps.

    Each sample is a training video warped by a random W, beside the prototype of the others of its action, warped by
    a random V: the answer V^-1 o T^-theta o W is known from the joint fit. So a handful of videos gives as many
    samples as are wanted, and the network is equivariant to warps by training.

    Args:
        config: The configuration as nested dictionaries of primitives.
        teacher: Training videos; not stored in checkpoints.
        num_cells: Cells of the warps.
    """

    def __init__(self, config: dict[str, Any], teacher: Teacher, num_cells: int) -> None:
        """Build the network."""
        super().__init__()
        self.options, self.train_options = config["matcher"], config["train"]
        self.level_freedom = config["direct"]["level_freedom"]
        self.num_cells = num_cells
        size = {key: self.options[key] for key in ("size", "width", "depth")}
        self.network = PrototypeMatcher(**size, num_cells=num_cells)
        self.teacher = teacher

    def train_dataloader(self) -> DataLoader[Any]:
        """Count the steps of an epoch; the videos are drawn in the step, so that its seed decides all of it."""
        steps = torch.arange(self.options["steps_per_epoch"])
        return DataLoader(cast(Dataset[Any], steps), batch_size=None)

    def _warped(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a random sample per video: signal, prototype (B, G, K), and the answer (B, G)."""
        strength, cells = self.options["strength"], self.num_cells
        samples = self.teacher.signal, self.teacher.position, self.teacher.prototype
        signal, position, prototype = (part[index.to(part.device)].to(self.device) for part in samples)
        grid = torch.linspace(0, 1, signal.shape[1], device=self.device)
        amount = strength * torch.rand(2, len(index), 1, device=self.device)
        video = cpab_warp(
            random_theta(len(index), num_cells=cells, strength=amount[0], like=signal), grid, num_cells=cells
        )
        theta = random_theta(len(index), num_cells=cells, strength=amount[1] / 2, like=signal)
        warped = sample_rows(signal, video)
        answer = sample_rows(position.unsqueeze(-1), video).squeeze(-1)
        answer = cpab_warp(-theta, answer, num_cells=cells)
        moved = sample_rows(prototype, cpab_warp(theta, grid, num_cells=cells))
        noise = self._slow_noise(warped, grid)
        level = self.options["noise"] * torch.rand(len(index), 1, 1, device=self.device)
        return warped + level * noise, moved, answer

    def _slow_noise(self, like: Tensor, grid: Tensor) -> Tensor:
        """Return noise of variance 1, of the shape of ``like`` (B, G, K); drawn at as many points as it can tell."""
        size = stage_size(_NOISE_SIGMA, len(grid))
        few = smoothed(like.new_empty(len(like), size, like.shape[2]).normal_(), _NOISE_SIGMA, size)
        return sample_rows(few / few.square().sum(-1).mean().sqrt(), grid.expand(len(like), -1))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Return the squared error of the predicted positions (in percent of the timeline), and of the soft path."""
        index = torch.randint(len(self.teacher.signal), (self.options["batch_size"],), device=self.device)
        signal, prototype, answer = self._warped(index)
        theta, path = self.network(self.cost(signal, prototype))
        grid = torch.linspace(0, 1, signal.shape[1], device=self.device)
        error = cpab_warp(-theta, grid, num_cells=self.num_cells) - answer
        at_rows = sample_rows(answer.unsqueeze(-1), self.network.grid.expand(len(answer), -1)).squeeze(-1)
        slopes = cell_slopes(theta.float(), num_cells=self.num_cells)
        loss = 100 * error.square().mean() + 50 * (path - at_rows).square().mean() + 1e-4 * slopes.square().mean()
        values = {"train/loss": loss, "train/position_error": error.abs().mean()}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(answer), sync_dist=True)
        return loss

    def cost(self, signal: Tensor, prototype: Tensor) -> Tensor:
        """Return the cost volume that the network sees."""
        return cost_volume(signal, prototype, size=self.options["size"], level_freedom=self.level_freedom)

    def configure_optimizers(self) -> Any:
        """AdamW with one cycle of the learning rate."""
        rate, options = self.options["lr"], self.options
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=rate, weight_decay=self.train_options["weight_decay"]
        )
        steps = options["epochs"] * options["steps_per_epoch"]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2 * rate, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

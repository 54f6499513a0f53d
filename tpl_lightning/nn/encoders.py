"""What makes latents of embeddings beside the TCN: a linear map, and one network for each action."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tpl_lightning.functional import Float, Int, length_mask


class LinearEncoder(nn.Module):
    """z_t = W u_t, from the identity; with fewer channels than embeddings have, from their principal components.

    Embeddings that went through a PCA have their components in order, so the first rows of the identity are these;
    for others see :meth:`start_at`.

    Args:
        in_channels: C.
        out_channels: D, at most C.

    Raises:
        ValueError: If D is larger than C.

    Example:
        >>> LinearEncoder(6, 2)(torch.zeros(1, 9, 6), torch.tensor([9])).shape
        torch.Size([1, 9, 2])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Start at the identity."""
        super().__init__()
        if out_channels > in_channels:
            raise ValueError(
                f"Expected `out_channels` <= {in_channels} (channels of the input), but got {out_channels}."
            )
        self.map = nn.Linear(in_channels, out_channels, bias=False)
        with torch.no_grad():
            self.map.weight.copy_(torch.eye(out_channels, in_channels))

    @torch.no_grad()
    def start_at(self, embeddings: Tensor) -> None:
        """Start at the principal components of embeddings (N, G, C), each video's mean removed."""
        centred = (embeddings - embeddings.mean(1, keepdim=True)).flatten(0, 1).double()
        axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, : self.map.out_features]
        sign = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()  # either sign is an eigenvector
        self.map.weight.copy_((axes * sign).T)

    def forward(self, x: Float[Tensor, "B T C"], lengths: Int[Tensor, "B"]) -> Float[Tensor, "B T D"]:
        """Map (B, T, C) with ``lengths`` (B,) to (B, T, D), 0 beyond the lengths."""
        out: Tensor = self.map(x)
        return out.mul_(length_mask(lengths, x.shape[1]).unsqueeze(-1))


class PerAction(nn.Module):
    """One network for each action; a video goes through that of its own.

    Networks of actions that a batch lacks take part with a zero, so that all parameters have a gradient on every rank.

    Args:
        networks: One for each action, in the order of their numbers.

    Example:
        >>> model = PerAction([LinearEncoder(6, 2) for _ in range(3)])
        >>> model(torch.zeros(2, 9, 6), torch.tensor([9, 9]), action=torch.tensor([0, 2])).shape
        torch.Size([2, 9, 2])
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """Keep them."""
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def rows(self, action: Tensor) -> list[Tensor]:
        """Return the numbers of the videos of each action, for ``action`` (B,)."""
        return [(action == number).nonzero().squeeze(1) for number in range(len(self.networks))]

    def forward(
        self, x: Float[Tensor, "B T C"], lengths: Int[Tensor, "B"], *, action: Int[Tensor, "B"], **options: Any
    ) -> Float[Tensor, "B *axes"]:
        """Map each video (T, C) of (B, T, C) by the network of its action, to (B, T, D) or, by aligners, (B, d)."""
        found: Tensor | None = None
        idle = x.new_zeros(())
        for network, rows in zip(self.networks, self.rows(action), strict=True):
            if len(rows) == 0:
                idle = idle + sum(parameter.sum() * 0 for parameter in network.parameters())
                continue
            part = network(x[rows], lengths[rows], **options)
            if found is None:
                found = part.new_zeros(len(x), *part.shape[1:])
            found = found.index_copy(0, rows, part)
        assert found is not None, "a batch without videos"
        return found + idle.to(found.dtype)

"""InceptionTime (Ismail Fawaz et al., DMKD 2020) for padded sequences: the network that predicts theta."""

import torch
from torch import Tensor, nn

from tpl_lightning.functional import Float, Int, length_mask
from tpl_lightning.nn.frame_conv import FrameConv, max_pool_frames

_KERNELS = (39, 19, 9)


class _Module(nn.Module):
    """Convolutions of three widths and a max pool, side by side.

    Args:
        channels: Of the input.
        filters: Of each of the four.
        rectified: Whether the input is nowhere below 0.
    """

    def __init__(self, channels: int, filters: int, *, rectified: bool) -> None:
        super().__init__()
        self.rectified = rectified
        self.bottleneck = FrameConv(channels, filters, 1, bias=False) if channels > 1 else nn.Identity()
        width = filters if channels > 1 else channels
        self.branches = nn.ModuleList(FrameConv(width, filters, k, bias=False) for k in _KERNELS)
        self.pooled = FrameConv(channels, filters, 1, bias=False)
        self.norm = nn.LayerNorm(4 * filters)  # over the channels of each frame

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, C) that is 0 beyond the mask -> (B, T, 4 filters), anything there."""
        narrow = self.bottleneck(x)
        parts = [*(branch(narrow) for branch in self.branches), self.pooled(self._maxima(x, mask))]
        return self.norm(torch.cat(parts, -1))

    def _maxima(self, x: Tensor, mask: Tensor) -> Tensor:
        """Padding must lose every maximum, or it would shine through at the last frame; zeros do after a ReLU."""
        if self.rectified:
            return max_pool_frames(x, 3)
        return max_pool_frames(x.masked_fill(~mask, torch.finfo(x.dtype).min), 3).masked_fill(~mask, 0.0)


class InceptionTime(nn.Module):
    """Inception modules with shortcuts, mean over the frames, a linear head that starts near 0.

    Differences to the original: the normalisation is over each frame's channels instead of over the batch, and
    padding is masked, so a video's result depends neither on the batch nor on padding; widths are odd (39, 19, 9
    for 40, 20, 10), so that a frame is the middle of each.

    Args:
        in_channels: Channels of the input.
        out_features: Numbers to predict.
        filters: Filters per branch; four branches to a module.
        depth: Modules; a shortcut bridges every third.

    Example:
        >>> InceptionTime(1, 15, filters=2, depth=3).eval()(torch.zeros(2, 30, 1), torch.tensor([30, 20])).shape
        torch.Size([2, 15])
    """

    def __init__(self, in_channels: int, out_features: int, *, filters: int = 16, depth: int = 6) -> None:
        """Build the modules."""
        super().__init__()
        width = 4 * filters
        self.blocks = nn.ModuleList(
            _Module(in_channels if i == 0 else width, filters, rectified=i > 0) for i in range(depth)
        )
        self.shortcuts = nn.ModuleList(
            nn.Sequential(FrameConv(in_channels if i == 0 else width, width, 1, bias=False), nn.LayerNorm(width))
            for i in range(depth // 3)
        )
        self.head = nn.Linear(width, out_features)
        # Almost 0, so that training starts from (nearly) the identity warp.
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Float[Tensor, "B T C"], lengths: Int[Tensor, "B"]) -> Float[Tensor, "B d"]:
        """Map (B, T, in_channels) with ``lengths`` (B,) to (B, out_features)."""
        mask = length_mask(lengths, x.shape[1]).unsqueeze(-1)
        x = x * mask
        bridge = x
        for i, module in enumerate(self.blocks):
            x = module(x, mask)
            if i % 3 == 2:
                x += self.shortcuts[i // 3](bridge)
            # Where the result of a ReLU is 0 so is its gradient: the mask, applied in place, needs no backward pass.
            x.detach().mul_(mask)
            x = torch.relu_(x)
            if i % 3 == 2:
                bridge = x
        return self.head(x.sum(1) / lengths.unsqueeze(1))

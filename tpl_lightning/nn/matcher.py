"""A network that reads a video's warp off its cost volume: the picture of distances between frames and prototype.

A network that sees only the video learns to recognise the clip rather than to measure its timing, above all from few
videos. The cost volume shows nothing of a clip but when it is like the prototype, so what is learned from some videos
and actions holds for others. Row t and column j of the picture are video time and prototype time; a warp is a path
through the valley of small distances, which 2-D convolutions find and complete where it is broken (as in stereo
matching: Kendall et al., "End-to-end learning of geometry and context for deep stereo regression", ICCV 2017).
"""

import torch
from torch import Tensor, nn

from tpl_lightning.functional.cpab import num_parameters
from tpl_lightning.functional.smoothing import smoothed

__all__ = ["PrototypeMatcher", "cost_volume"]

_SMOOTHING = (0.04, 0.0125)
"""Gaussian smoothing of the two pictures, as shares of the video: one that is clear, one that is sharp."""
_PICTURE_SCALE = 4.0
_PATH_SCALE = 8.0


def cost_volume(signal: Tensor, prototype: Tensor, *, size: int, level_freedom: float) -> Tensor:
    """Return the squared distances between video and prototype, at two degrees of smoothing.

    Convention: row t is video time t / (size - 1), column j prototype time j / (size - 1).

    Args:
        signal: (B, G, C) on the shared grid, total variance about 1.
        prototype: (B, G', C).
        size: Points M of each timeline.
        level_freedom: Share of each signal's mean that is taken off (see ``functional.joint``).

    Returns:
        (B, 2, M, M).
    """

    def prepared(values: Tensor, sigma: float) -> Tensor:
        smooth = smoothed(values, sigma, size)
        return smooth - level_freedom * smooth.mean(1, keepdim=True)

    pictures = [torch.cdist(prepared(signal, sigma), prepared(prototype, sigma)).square() for sigma in _SMOOTHING]
    return torch.stack(pictures, 1)


class PrototypeMatcher(nn.Module):
    """Cost volume (B, 2, M, M) to theta (B, d): convolutions, a soft path through the picture, a small head.

    Args:
        size: Points M of each timeline.
        width: Channels of the convolutions.
        depth: Convolution layers; dilations go 1, 2, 4, 1, ...
        num_cells: Cells of the warps.
    """

    grid: Tensor

    def __init__(self, *, size: int = 32, width: int = 8, depth: int = 3, num_cells: int = 16) -> None:
        """Build the layers; the first prediction is close to the identity."""
        super().__init__()
        layers: list[nn.Module] = []
        channels = len(_SMOOTHING) + 1
        for i in range(depth):
            dilation = 2 ** (i % 3)
            conv = nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation, padding_mode="replicate")
            layers += [conv, nn.GELU()]
            channels = width
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, 1, 1))
        self.sharpness = nn.Parameter(torch.ones(len(_SMOOTHING)))
        self.nearness = nn.Parameter(torch.zeros(()))
        self.head = nn.Sequential(
            nn.Linear(2 * size, 128),
            nn.GELU(),
            nn.Linear(128, 128),
            nn.GELU(),
            nn.Linear(128, num_parameters(num_cells)),
        )
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.bias)
        with torch.no_grad():
            last.weight.mul_(0.05)
        self.register_buffer("grid", torch.linspace(0, 1, size), persistent=False)

    def forward(self, cost: Tensor) -> tuple[Tensor, Tensor]:
        """Return theta (B, d), and the soft path (B, M): the expected prototype time at each video time."""
        lag = self.grid[:, None] - self.grid
        picture = torch.cat([cost, (_PICTURE_SCALE * lag).expand(len(cost), 1, -1, -1)], 1)
        # Convolutions of few channels take half the time where the channels lie side by side.
        picture = picture.contiguous(memory_format=torch.channels_last)
        nearness = -(lag / 0.3).square() * self.nearness.exp()
        distance = (cost * self.sharpness.view(1, -1, 1, 1)).sum(1)
        weight = (self.body(picture)[:, 0] - _PICTURE_SCALE * distance + nearness).softmax(-1)
        path = weight @ self.grid
        doubt = (weight * (self.grid - path.unsqueeze(-1)).square()).sum(-1).add(1e-8).sqrt()
        theta: Tensor = self.head(_PATH_SCALE * torch.cat([path - self.grid, doubt], 1))
        return theta, path

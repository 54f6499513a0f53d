"""Temporal convolutional network: the encoder and the decoder of D-MTAE."""

from typing import cast

import torch
from torch import Tensor, nn

from tpl_lightning.functional import Float, Int, length_mask
from tpl_lightning.nn.frame_conv import FrameConv


class _Layer(nn.Module):
    """x + W relu(norm(conv(x))): a dilated convolution with a shortcut.

    The normalisation is over the channels of each frame. A batch or instance norm would mix in padding and other
    videos, and a video's result must depend on neither.
    """

    def __init__(self, hidden: int, kernel_size: int, dilation: int, dropout: float, replicate: bool) -> None:
        super().__init__()
        self.conv = FrameConv(hidden, hidden, kernel_size, dilation=dilation, replicate=replicate)
        self.norm = nn.LayerNorm(hidden)
        self.act = nn.GELU()
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, H) -> (B, T, H); frames beyond the mask, (B T, 1), stay 0."""
        inner = self.drop(self.act(self.norm(self.conv(x, lengths))))
        # The product adds to the shortcut as it is made, and the rest is done in place: on a CPU the time goes into
        # touching fresh memory. As a matrix, because in-place changes of a view cost a copy of its gradient.
        total = torch.addmm(x.flatten(0, 1), inner.flatten(0, 1), self.out.weight.T)
        if self.out.bias is not None:
            total += self.out.bias
        return total.mul_(mask).view_as(x)


class TCN(nn.Module):
    """Three dilated convolution layers between two linear maps, each frame seeing both past and future.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        hidden: Channels inside.
        kernel_size: Frames, odd; layer l has dilation 2^l.
        dropout: Share of activations dropped in training.
        layers: Number of layers (the paper: 3).
        replicate: See :class:`~tpl_lightning.nn.frame_conv.FrameConv`.
        offset: False where what follows takes the mean away: without the biases that nothing depends on, whose
            gradients would be rounding errors that Adam turns into steps.

    Raises:
        ValueError: If ``kernel_size`` is even.

    Example:
        >>> TCN(6, 1, hidden=8, kernel_size=3).eval()(torch.zeros(1, 9, 6), torch.tensor([9])).shape
        torch.Size([1, 9, 1])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int,
        kernel_size: int,
        dropout: float = 0.0,
        layers: int = 3,
        replicate: bool = False,
        offset: bool = True,
    ) -> None:
        """Build the layers."""
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"Expected an odd `kernel_size`, so that a frame is its middle, but got {kernel_size}.")
        self.into = nn.Linear(in_channels, hidden)
        self.layers = nn.ModuleList(_Layer(hidden, kernel_size, 2**i, dropout, replicate) for i in range(layers))
        self.out = nn.Linear(hidden, out_channels)
        if not offset:
            for linear in (cast(_Layer, self.layers[-1]).out, self.out):
                linear.register_parameter("bias", None)

    def forward(
        self, x: Float[Tensor, "B T C"], lengths: Int[Tensor, "B"], *, last: bool = True
    ) -> Float[Tensor, "B T D"]:
        """Map (B, T, in_channels) with ``lengths`` (B,) to (B, T, out_channels), 0 beyond the lengths.

        Without the last linear map, ``out``, to what it gets: (B, T, hidden).
        """
        mask = length_mask(lengths, x.shape[1]).view(-1, 1)
        x = self.into(x.flatten(0, 1)).mul_(mask).unflatten(0, x.shape[:2])
        for layer in self.layers:
            x = layer(x, mask, lengths)
        return self.out(x) * mask.view(*x.shape[:2], 1) if last else x

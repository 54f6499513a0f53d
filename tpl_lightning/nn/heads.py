"""A head that turns cached embeddings into embeddings of timing, one per frame."""

from torch import Tensor, nn
from torch.nn.functional import normalize

from tpl_lightning.functional import Float, Int
from tpl_lightning.nn.tcn import TCN


class EmbeddingHead(nn.Module):
    """A TCN with outputs on the unit sphere: their scale is fixed, so that no loss can fall by shrinking them.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        hidden: Channels inside.
        kernel_size: Frames, odd; 1 looks at each frame alone.
        dropout: Share of activations dropped in training.

    Example:
        >>> EmbeddingHead(6, channels=4).eval()(torch.zeros(1, 9, 6), torch.tensor([9])).shape
        torch.Size([1, 9, 4])
    """

    def __init__(
        self, in_channels: int, *, channels: int = 32, hidden: int = 64, kernel_size: int = 3, dropout: float = 0.1
    ) -> None:
        """Build the layers."""
        super().__init__()
        self.body = TCN(in_channels, channels, hidden=hidden, kernel_size=kernel_size, dropout=dropout)

    def forward(self, x: Float[Tensor, "B T C"], lengths: Int[Tensor, "B"]) -> Float[Tensor, "B T K"]:
        """Map (B, T, in_channels) with ``lengths`` (B,) to (B, T, channels) of length 1, 0 beyond the lengths."""
        out: Tensor = self.body(x, lengths)
        out = out.float() if out.element_size() < 4 else out
        return normalize(out, dim=-1)

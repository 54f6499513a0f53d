"""Top-down pose networks see a box of the picture and answer with a heatmap per key point: cut out, and read off.

Both are as in training (unbiased data processing: Huang et al., CVPR 2020): the centres of the outermost pixels of a
cut, and those of its heatmap, lie on the edges of the box. What transformers does a picture at a time in NumPy is done
here for a batch, on the device.
"""

import torch
from torch import Tensor

_PADDING = 1.25  # of a box around a body, as in training
_SIGMA, _RADIUS = 0.8, 5  # of the filter in front of the logarithm, as transformers has them
_LEAST, _MOST = 1e-3, 50.0


def network_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return boxes (N, 4) around bodies as the network is shown them: padded, with its ratio of the sides.

    Args:
        boxes: (N, 4) of centre x, y, width and height, in pixels.
        height: Of the network's pictures.
        width: Of the network's pictures.

    Example:
        >>> network_boxes(torch.tensor([[50.0, 40.0, 8.0, 80.0]]), 256, 192).tolist()
        [[50.0, 40.0, 75.0, 100.0]]
    """
    ratio = width / height
    across = torch.maximum(boxes[:, 2], boxes[:, 3] * ratio) * _PADDING
    return torch.stack([boxes[:, 0], boxes[:, 1], across, across / ratio], 1)


def cut_out(pictures: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    """Return boxes (N, 4) from :func:`network_boxes` of pictures (N, 3, H, W), (N, 3, height, width); black outside."""
    size = boxes.new_tensor([pictures.shape[3] - 1, pictures.shape[2] - 1]).clamp(min=1)
    ramps = [torch.linspace(-0.5, 0.5, n, device=boxes.device) for n in (width, height)]
    across, down = (boxes[:, i : i + 1] + boxes[:, i + 2 : i + 3] * ramps[i] for i in (0, 1))
    across, down = (2 * across / size[0] - 1).unsqueeze(1), (2 * down / size[1] - 1).unsqueeze(2)
    grid = torch.stack(torch.broadcast_tensors(across, down), -1)
    return torch.nn.functional.grid_sample(pictures, grid, align_corners=True)


def read_heatmaps(heatmaps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return where each heatmap is highest and how high, (N, K, 2) in pixels of the picture and (N, K).

    The place is refined by a step of Newton's method on the logarithm of the smoothed map (DARK: Zhang et al., CVPR
    2020).

    Args:
        heatmaps: (N, K, h, w).
        boxes: (N, 4) from :func:`network_boxes`.
    """
    height, width = heatmaps.shape[-2:]
    score, index = heatmaps.flatten(2).max(-1)
    column, row = index % width, index // width
    # Neighbours outside are those at the edge; of the filter, mirrored, as SciPy has it.
    down, across = (_filter(size, heatmaps) for size in (height, width))
    level = (down @ heatmaps @ across.T).clamp(_LEAST, _MOST).log()

    def at(right: int, below: int) -> Tensor:
        place = (row + below).clamp(0, height - 1) * width + (column + right).clamp(0, width - 1)
        return level.flatten(2).gather(-1, place.unsqueeze(-1)).squeeze(-1)

    here = at(0, 0)
    slope = torch.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], -1) / 2
    xx, yy = at(1, 0) - 2 * here + at(-1, 0), at(0, 1) - 2 * here + at(0, -1)
    xy = 0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * here - at(-1, 0) - at(0, -1) + at(-1, -1))
    determinant = xx * yy - xy * xy
    step = torch.stack([yy * slope[..., 0] - xy * slope[..., 1], xx * slope[..., 1] - xy * slope[..., 0]], -1)
    is_top = (xx < 0) & (determinant > 0)
    step = torch.where(is_top.unsqueeze(-1), -step / determinant.clamp(min=1e-9).unsqueeze(-1), torch.zeros_like(step))
    place = torch.stack([column, row], -1) + step.clamp(-1, 1)
    span = place / place.new_tensor([width - 1, height - 1]) - 0.5
    return boxes[:, None, :2] + span * boxes[:, None, 2:], score


def _filter(size: int, like: Tensor) -> Tensor:
    """Return the matrix of a Gaussian filter of so many values, mirrored at their edges with the last value twice."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, device=like.device)
    kernel = torch.exp(-0.5 * (offsets.to(like.dtype) / _SIGMA) ** 2)
    index = (torch.arange(size, device=like.device).unsqueeze(1) + offsets) % (2 * size)
    index = torch.minimum(index, 2 * size - 1 - index)
    return like.new_zeros(size, size).scatter_add(1, index, (kernel / kernel.sum()).expand(size, -1))

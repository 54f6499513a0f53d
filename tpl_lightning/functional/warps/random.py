"""Random warps from the prior of the fits: mean square slope of the velocity field."""

import torch
from torch import Tensor

from tpl_lightning.functional import Float
from tpl_lightning.functional.warps.cpab import cell_slopes, num_parameters


def random_theta(
    count: int,
    *,
    num_cells: int = 16,
    strength: float,
    like: Float[Tensor, "..."],
    generator: torch.Generator | None = None,
) -> Float[Tensor, "{count} {num_cells}-1"]:
    """Draw theta (count, d) from the Gaussian whose energy is the mean square slope, theta' S S' theta / K.

    Args:
        count: Warps.
        num_cells: Cells K.
        strength: Root mean square of the slopes a_c, about; 0: identities.
        like: Tells type and device.
        generator: Of the random numbers, on that device.

    Example:
        >>> random_theta(2, strength=0.0, like=torch.zeros(())).abs().max()
        tensor(0.)
    """
    size = num_parameters(num_cells)
    eye = torch.eye(size, dtype=torch.float64, device=like.device)
    slopes = cell_slopes(eye, num_cells=num_cells)
    # A warp has as many free numbers as slopes but one, so each slope has variance 1, nearly.
    factor = torch.linalg.cholesky(torch.linalg.inv(slopes @ slopes.T))
    noise = torch.randn(count, size, dtype=torch.float64, device=like.device, generator=generator)
    return (strength * noise @ factor.T).to(like.dtype)

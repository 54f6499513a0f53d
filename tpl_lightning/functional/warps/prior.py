r"""A smoothness prior on velocity fields, theta ~ N(0, Sigma): its covariance, its energy, and warps drawn from it.

Freifeld, Hauberg, Batmanghelich, Fisher, PAMI 2017, put a Gaussian on fields that are affine in each cell
and project it to the continuous ones. As a regulariser of learned warps it is used by Skafte Detlefsen, Freifeld,
Hauberg, "Deep diffeomorphic transformer networks", CVPR 2018, and for time series by Shapira Weber et al.,
"Diffeomorphic temporal alignment nets", NeurIPS 2019. The covariance is the one of difw (``Cpab.covariance_cpa``,
Martinez et al. 2022, basis "svd"), in the coordinates used here:

- In cell c, v(x) = a_c x + b_c. Slopes and intercepts are independent of each other, and each has the covariance
  C_{cd} = variance exp(-\|m_c - m_d\| / (2 length_scale^2)), with m_c = (c + 1/2) / K the centre of the cell. (difw
  calls this kernel squared exponential, but its distance is not squared; so slopes change from cell to cell like an
  Ornstein-Uhlenbeck process, and C is well conditioned. difw's ``output_variance`` is the square root of ``variance``.)
- With A (2 K, d) the basis of continuous fields, theta -> (a_0, b_0, a_1, ...), the least-squares projection is
  theta = A^+ (a, b), so Sigma = A^+ diag(C, C) A^+^T. Fields with v(0) = v(1) = 0 are a choice of A.

theta_k is the velocity at the k-th free knot in cells per unit of time. The velocities theta_k / K of one prior
hardly depend on the number of cells. As intercepts are taken at x = 0, velocities vary a little less towards 1 than
towards 0.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.functional import Float
from tpl_lightning.functional.warps.tessellation import num_parameters, velocity_basis

LENGTH_SCALE = 0.5
VARIANCE = 0.25


def _affine_basis(num_cells: int, zero_boundary: bool) -> np.ndarray:
    """Return A (2 K, d): slope and intercept of each cell in turn, for each coordinate of theta."""
    knots = velocity_basis(num_cells, zero_boundary=zero_boundary).numpy()
    slope = np.diff(knots, axis=1) * num_cells
    intercept = knots[:, :-1] - slope * np.arange(num_cells) / num_cells
    return np.stack([slope, intercept], axis=-1).reshape(len(knots), -1).T


@lru_cache(maxsize=64)
def _covariance(num_cells: int, length_scale: float, zero_boundary: bool) -> np.ndarray:
    """Return Sigma (d, d) for ``variance`` 1, float64."""
    if not (isfinite(length_scale) and length_scale > 0):
        raise ValueError(f"Expected `length_scale` > 0, but got {length_scale}.")
    centre = (np.arange(num_cells) + 0.5) / num_cells
    kernel = np.exp(-np.abs(centre[:, None] - centre) / (2 * length_scale**2))
    projection = np.linalg.pinv(_affine_basis(num_cells, zero_boundary)).reshape(-1, num_cells, 2)
    return np.einsum("icp,cd,jdp->ij", projection, kernel, projection, optimize=True)


@lru_cache(maxsize=64)
def _factor(num_cells: int, length_scale: float, zero_boundary: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower triangular S with S S^T = Sigma, and S^-1."""
    try:
        root = np.linalg.cholesky(_covariance(num_cells, length_scale, zero_boundary))
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"Expected a `length_scale` that tells cells apart, but at {length_scale} all are one; give at most 100."
        ) from error
    return root, np.linalg.inv(root)


def _check_variance(variance: float) -> None:
    if not (isfinite(variance) and variance > 0):
        raise ValueError(f"Expected `variance` > 0, but got {variance}.")


def cpa_covariance(
    num_cells: int = 16,
    *,
    length_scale: float = LENGTH_SCALE,
    variance: float = VARIANCE,
    zero_boundary: bool = True,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return Sigma = A^+ diag(C, C) A^+^T, the covariance of theta under the smoothness prior; see the module.

    Args:
        num_cells: Equal cells K of [0, 1], at least 2.
        length_scale: The larger, the smoother: slopes at times x and y have correlation exp(-|x - y| / (2 l^2)).
        variance: Variance of the slope dv/dx (per unit of time) of a cell before cells are joined. The standard
            deviation of log(dT/dx) is about half its root, that of T(x) - x in the middle about a sixth.
        zero_boundary: Whether the velocity at 0 and 1 is 0 (d = K - 1) or free (d = K + 1).
        dtype: Floating-point type of the result.
        device: Device of the result.

    Returns:
        (d, d), symmetric and positive definite.

    Raises:
        ValueError: If a number is out of range.
    """
    num_parameters(num_cells)  # checks the range
    _check_variance(variance)
    return torch.as_tensor(_covariance(num_cells, length_scale, zero_boundary) * variance, dtype=dtype, device=device)


def prior_energy(
    theta: Float[Tensor, "B *R d"],
    *,
    num_cells: int | Sequence[int] = 16,
    length_scale: float = LENGTH_SCALE,
    variance: float = VARIANCE,
    zero_boundary: bool = True,
) -> Float[Tensor, "B"]:
    """Return theta^T Sigma^-1 theta, twice the negative log density of the prior up to a constant.

    The regulariser of DTAN (Shapira Weber et al. 2019). Warps drawn from the prior have d on average.
    Differentiable in ``theta`` any number of times.

    Args:
        theta: (B, d), or (B, R, d) for compositions of R warps, whose energies add up.
        num_cells: Equal cells K of every warp, or of each of the R; of a coarser warp the first numbers count.
        length_scale: See :func:`cpa_covariance`.
        variance: See :func:`cpa_covariance`.
        zero_boundary: See :func:`cpa_covariance`.

    Returns:
        (B,), at least 0; float64 if ``theta`` is, else float32.

    Raises:
        ValueError: If the shapes do not fit, or a number is out of range.

    Example:
        >>> prior_energy(torch.zeros(2, 15)).tolist()
        [0.0, 0.0]
    """
    _check_variance(variance)
    levels = [num_cells] * (theta.shape[1] if theta.dim() == 3 else 1) if isinstance(num_cells, int) else [*num_cells]
    sizes = [num_parameters(cells, zero_boundary=zero_boundary) for cells in levels]
    warps = theta.unsqueeze(1) if theta.dim() == 2 else theta
    if warps.dim() != 3 or warps.shape[1] != len(levels) or warps.shape[2] != max(sizes, default=-1):
        raise ValueError(
            f"Expected `theta` of shape (B, {max(sizes, default=0)}), or (B, {len(levels)}, ...) for a composition, "
            f"for num_cells={num_cells}, but got {tuple(theta.shape)}."
        )
    dtype = torch.float64 if theta.dtype == torch.float64 else torch.float32
    energy = torch.zeros(len(theta), dtype=dtype, device=theta.device)
    with torch.autocast(theta.device.type, enabled=False):  # bfloat16 would lose the small directions of Sigma
        for warp, cells, size in zip(warps.to(dtype).unbind(1), levels, sizes, strict=True):
            inverse = _factor(cells, length_scale, zero_boundary)[1] / variance**0.5
            whitened = warp[:, :size] @ torch.as_tensor(inverse.T, dtype=dtype, device=theta.device)
            energy = energy + whitened.square().sum(1)
    return energy


def sample_warps(
    count: int,
    num_cells: int | Sequence[int] = 16,
    *,
    length_scale: float = LENGTH_SCALE,
    variance: float = VARIANCE,
    zero_boundary: bool = True,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{count} *R d"]:
    """Draw theta ~ N(0, Sigma), for augmentation and for tests.

    Convention: ``functional.warps.cpab.cpab_warp(theta, points)`` is a random warp of [0, 1], ``warp_time`` a random
    composition; as theta and -theta are equally likely, T^theta and its inverse are.

    Args:
        count: Warps B.
        num_cells: Equal cells K, or a list of R for a composition of independent warps.
        length_scale: See :func:`cpa_covariance`.
        variance: See :func:`cpa_covariance`.
        zero_boundary: See :func:`cpa_covariance`.
        generator: Source of randomness, on any device; the same state gives the same warps, whatever ``device``.
        dtype: Floating-point type of the result.
        device: Device of the result; by default that of the generator, else the CPU.

    Returns:
        (B, d), or (B, R, d) for a list, d for the largest number of cells, coarser warps followed by zeros.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> sample_warps(3, 8, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 7])
    """
    _check_variance(variance)
    source = generator.device if generator is not None else torch.device("cpu")
    levels = [num_cells] if isinstance(num_cells, int) else list(num_cells)
    sizes = [num_parameters(cells, zero_boundary=zero_boundary) for cells in levels]
    working = torch.float32 if source.type == "mps" else torch.float64
    theta = torch.zeros(count, len(levels), max(sizes), dtype=working, device=source)
    for level, (cells, size) in enumerate(zip(levels, sizes, strict=True)):
        root = _factor(cells, length_scale, zero_boundary)[0] * variance**0.5
        noise = torch.randn(count, size, generator=generator, dtype=working, device=source)
        theta[:, level, :size] = noise @ torch.as_tensor(root.T, dtype=working, device=source)
    theta = theta.squeeze(1) if isinstance(num_cells, int) else theta
    return theta.to(device=source if device is None else device, dtype=dtype)

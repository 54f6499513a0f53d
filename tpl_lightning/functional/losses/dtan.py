"""The losses of DTAN, on the prototype timeline: variance within an action, and a prior on the warps.

Shapira Weber, Eyal, Skafte Detlefsen, Shriki, Freifeld, "Diffeomorphic temporal alignment nets", NeurIPS 2019,
equations 6 to 9. The prior is :func:`tpl_lightning.functional.warps.prior.prior_energy`; the third objective of DTAN
here, ICAE, is :func:`tpl_lightning.functional.losses.tpl.icae_loss`.
"""

from torch import Tensor

from tpl_lightning.functional import Float, Int, global_mean
from tpl_lightning.functional.losses.tpl import video_errors


def wcss_loss(
    aligned: Float[Tensor, "B P C"],
    prototype: Float[Tensor, "A longest C"],
    action: Int[Tensor, "B"],
    prototype_length: Int[Tensor, "B"],
) -> Float[Tensor, ""]:
    """Return the within-class sum of squares, mean_i (1 / L) sum_j || U_i(T^theta_i(j / (L - 1))) - U^[j] ||^2.

    The prototype is the mean of the aligned videos, so this is their variance, summed over channels and averaged over
    the prototype timeline. Nothing keeps a warp from leaving out the frames that do not fit: a prior must.

    Args:
        aligned: (B, P, C) videos on the prototype timeline of their action.
        prototype: (A, longest, C) U^ of each action; with gradient.
        action: (B,).
        prototype_length: (B,) points L of the prototype of each video's action.

    Returns:
        Scalar; under DDP see :func:`~tpl_lightning.functional.distributed.global_mean`.

    Example:
        >>> aligned = torch.tensor([0.0, 2.0]).view(2, 1, 1).expand(2, 3, 1)
        >>> action, points = torch.tensor([0, 0]), torch.tensor([3, 3])
        >>> wcss_loss(aligned, aligned.mean(0, keepdim=True), action, points).item()
        1.0
    """
    expected = prototype.index_select(0, action)[:, : aligned.shape[1]]
    return global_mean(video_errors(aligned, expected, prototype_length))

"""Temporal cycle consistency: Dwibedi, Aytar, Tompson, Sermanet, Zisserman, CVPR 2019."""

import torch
from torch import Tensor

from tpl_lightning.functional import Float


def cycle_back_regression(
    query: Float[Tensor, "P N K"],
    other: Float[Tensor, "P M K"],
    times: Float[Tensor, "P N"],
    *,
    temperature: float = 0.1,
    variance_weight: float = 0.001,
) -> Float[Tensor, "P"]:
    """Return the cycle-back regression loss with its variance term (section 3.2, equations 4 to 6).

    Frame i of the query finds its soft nearest neighbour in the other video, v~ = sum_j alpha_j v_j with alpha =
    softmax(-||u_i - v_j||^2 / temperature), which finds its way back to the query by beta = softmax(-||v~ - u_k||^2 /
    temperature). With mu and sigma^2 the mean and the variance of times under beta, the loss of the frame is

        (t_i - mu)^2 / sigma^2 + variance_weight * log sigma.

    Convention: ``times`` are the query's own, in [0, 1]; those of the other video do not matter. sigma^2 has the
    variance of a time known to one spacing, 1 / (12 N^2), added: no cycle is surer than that.

    Args:
        query: (P, N, K) embeddings of P videos.
        other: (P, M, K) embeddings of the video that each is compared with.
        times: (P, N).
        temperature: Above 0.
        variance_weight: At least 0.

    Returns:
        (P,) mean over the frames of the query.

    Example:
        >>> times = torch.linspace(0, 1, 5)[None]
        >>> walk, still = times[..., None] * 4, torch.zeros(1, 5, 1)
        >>> cycle_back_regression(walk, walk, times).item() < cycle_back_regression(walk, still, times).item()
        True
    """
    alpha = torch.softmax(-torch.cdist(query, other).square() / temperature, dim=-1)
    neighbour = alpha @ other
    beta = torch.softmax(-torch.cdist(neighbour, query).square() / temperature, dim=-1)
    mean = torch.einsum("pik,pk->pi", beta, times)
    spread = (times.unsqueeze(1) - mean.unsqueeze(2)).square()
    variance = (beta * spread).sum(-1) + 1 / (12 * times.shape[1] ** 2)
    return ((times - mean).square() / variance + 0.5 * variance_weight * variance.log()).mean(1)

"""Matching frames of other videos: exhaustive search, and lookup on the prototype timeline.

Naaman, Shapira Weber, Freifeld, Synchronization of Multiple Videos, ICCV 2025, section 5 (frame retrieval). With N
training videos of about L frames, searching for the match of every frame of a video compares O(N L^2) pairs of
embeddings. Once the training videos have been aligned, their frames can be listed by prototype time; a new video's
frames then only look theirs up, O(L).
"""

import importlib.util
from typing import Literal

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int
from tpl_lightning.functional.scores.phases import prototype_index

SearchBackend = Literal["auto", "faiss", "torch"]

BLOCK = 2**22  # distances held at once (16 MB in float32); bounds the memory, changes no figure


def nearest_rows(
    queries: Float[Tensor, "Q C"], rows: Float[Tensor, "F C"], *, backend: SearchBackend = "auto"
) -> Int[Tensor, "Q"]:
    """Return the row nearest to each query by exhaustive search, O(Q F C).

    Euclidean distance in float32. Where rounding makes two rows equally near, backends may choose differently.

    Args:
        queries: (Q, C).
        rows: (F, C), at least one.
        backend: "faiss" (its flat index; ``pip install faiss-cpu``), "torch", or "auto": faiss where it is installed
            and the data are in main memory.

    Returns:
        (Q,) int64 in [0, F).

    Example:
        >>> nearest_rows(torch.tensor([[0.9]]), torch.tensor([[0.0], [1.0], [2.0]]), backend="torch").tolist()
        [1]
    """
    if backend == "auto":
        on_cpu = queries.device.type == "cpu"
        backend = "faiss" if on_cpu and importlib.util.find_spec("faiss") is not None else "torch"
    # A common shift changes no distance, but a large mean would eat the digits of |x|^2 - 2 x y + |y|^2.
    mean = rows.float().mean(0)
    rows, queries = rows.float() - mean, queries.float() - mean
    if backend == "faiss":
        import faiss

        index = faiss.IndexFlatL2(rows.shape[1])
        index.add(rows.contiguous().numpy())
        return torch.from_numpy(index.search(queries.contiguous().numpy(), 1)[1][:, 0])
    offset = rows.square().sum(1) / 2  # |x - y|^2 / 2 without |x|^2
    blocks = queries.split(max(1, BLOCK // len(rows)))
    return torch.cat([torch.addmm(offset, block, rows.T, alpha=-1).argmin(1) for block in blocks])


def frames_on_prototype(source_position: Float[Tensor, "N L"], lengths: Int[Tensor, "N"]) -> Int[Tensor, "N L"]:
    """Return the frame of each video that faces each prototype point, round(T^theta(j / (L - 1)) (L_i - 1)).

    Computed once for the training videos of an action; :func:`lookup_matches` reads it.

    Convention: ``source_position`` is T^theta at the prototype points (prototype time -> video time); 0 is a video's
    first frame, 1 its last. Past 1, where a video has no frame, its last one stands in.

    Args:
        source_position: (N, L).
        lengths: (N,) frames of each video.

    Returns:
        (N, L) int64 in [0, L_i).

    Example:
        >>> frames_on_prototype(torch.tensor([[0.0, 0.6, 1.0]]), torch.tensor([11])).tolist()
        [[0, 6, 10]]
    """
    return prototype_index(source_position, lengths)


def typical_videos(aligned: Float[Tensor, "N L C"]) -> Int[Tensor, "L"]:
    """Return, for each prototype point, the video whose embedding is nearest to the mean of all.

    Where one match is wanted and not one in every video, this is the video to show.

    Args:
        aligned: (N, L, C) embeddings of the training videos on the prototype timeline.

    Returns:
        (L,) int64 in [0, N).

    Example:
        >>> typical_videos(torch.tensor([0.0, 1.0, 5.0]).view(3, 1, 1)).tolist()
        [1]
    """
    return (aligned - aligned.mean(0)).square().sum(-1).argmin(0)


def lookup_matches(position: Float[Tensor, "T"], frames: Int[Tensor, "*N L"]) -> Int[Tensor, "*N T"]:
    """Return the frame of each training video that matches each frame of a new video, O(L) a training video.

    Convention: ``position`` is the prototype time T^-theta(u / (L_i - 1)) of the new video's frames, in [0, 1]; the
    nearest of the L prototype points is taken, exact halves the even one.

    Args:
        position: (T,) prototype time of each frame.
        frames: (N, L) from :func:`frames_on_prototype`; or any (..., L) that was listed by prototype point.

    Returns:
        (..., T), values of ``frames``.

    Example:
        >>> lookup_matches(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[0, 6, 10]])).tolist()
        [[0, 6, 10]]
    """
    length = torch.tensor([frames.shape[-1]], device=position.device)
    return frames[..., prototype_index(position.unsqueeze(0), length)[0]]

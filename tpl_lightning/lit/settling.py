"""The training videos of a bank, aligned with one another while the weights of D-MTAE stay as they are."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from tpl_lightning.data import Batch
from tpl_lightning.functional import gather_rows, resample_to_size, sample_rows
from tpl_lightning.groupwise import barycenters, centred_ends
from tpl_lightning.lit.bank import WarpBank
from tpl_lightning.nn import LinearEncoder, PathDMTAE, PerAction

Batches: TypeAlias = Callable[[], Iterator[Batch]]
"""Makes an iterator over the training videos, those of this rank."""

CHUNK = 64  # videos aligned at once
_ROUNDS = 2  # passes over the training videos in which warps settle
_OPEN_ROUNDS = 6  # with open ends: prototypes grow to where the first videos begin


class EncodedVideos(NamedTuple):
    """The videos of the bank that this rank holds, on the shared grid."""

    video_index: Tensor
    """(n,) number of each training video."""
    action: Tensor
    """(n,)."""
    latent: Tensor
    """(n, G, D) on the shared grid."""

    def of_all_ranks(self) -> tuple[Tensor, Tensor]:
        """Return the latents (N, G, D) and actions (N,) of all ranks, in the order of the videos."""
        order = gather_rows(self.video_index).argsort()
        return gather_rows(self.latent)[order], gather_rows(self.action)[order]


def _chunks(*parts: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield some rows of each at a time, which bounds the memory; nothing of no rows."""
    return zip(*(part.split(CHUNK) for part in parts), strict=True)


def encode_videos(model: PathDMTAE, bank: WarpBank, batches: Batches, *, raw: bool = False) -> EncodedVideos:
    """Return the videos of the bank on the shared grid, as latents, or as they are (``raw``)."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch in batches():
        batch = batch.some(bank.rows(batch.video_index) >= 0)
        known = bank.rows(batch.video_index) >= 0
        values = batch.embeddings if raw else model.encode(batch.embeddings, batch.lengths, batch.action)
        on_grid = resample_to_size(values, batch.lengths, bank.times.shape[1])
        found.append((batch.video_index[known], batch.action[known], on_grid[known]))
    return EncodedVideos(*(torch.cat(part) for part in zip(*found, strict=True)))


def start_encoder(model: PathDMTAE, bank: WarpBank, batches: Batches) -> None:
    """Start a linear encoder to fewer channels at the principal components of the training videos."""
    parts = list(model.encoder.networks) if isinstance(model.encoder, PerAction) else [model.encoder]
    if not isinstance(parts[0], LinearEncoder) or parts[0].map.out_features == parts[0].map.in_features:
        return
    frames, action = encode_videos(model, bank, batches, raw=True).of_all_ranks()
    for number, part in enumerate(parts):
        assert isinstance(part, LinearEncoder)
        part.start_at(frames if len(parts) == 1 else frames[action == number])


@torch.no_grad()
def calibrate(model: PathDMTAE, bank: WarpBank, encoded: EncodedVideos) -> None:
    """Measure the scale of time derivatives, then put the videos into the bank by their last warps."""
    space, sigma = model.space, model.path.sigma
    space.calibrate(encoded.of_all_ranks()[0], sigma)
    _put(model, bank, encoded, bank.last_times(encoded.video_index))


@torch.no_grad()
def settle(model: PathDMTAE, bank: WarpBank, encoded: EncodedVideos, *, leave_one_out: bool) -> None:
    """Align all videos with the barycenters of the bank, and put them there, as often as warps take to settle."""
    space, sigma = model.space, model.path.sigma
    for _ in range(_OPEN_ROUNDS if model.path.ends else _ROUNDS):
        found, mean = [], space(bank.prototypes())
        for index, action, latent in _chunks(*encoded):
            features = space.beside(latent, sigma)
            own = space(bank.last(index))
            target = bank.barycenters(mean, own, index, action, leave_one_out=leave_one_out)
            found.append(model.find_theta(space(features), target))
        theta = torch.cat(found)
        if model.path.ends:
            theta = _centred(theta, encoded)
        _put(model, bank, encoded, model.grid_times(theta.unsqueeze(1)))


def _put(model: PathDMTAE, bank: WarpBank, encoded: EncodedVideos, times: Tensor) -> None:
    """Put the videos into the bank at times (n, G), and measure the axes anew."""
    space, sigma = model.space, model.path.sigma
    aligned = [sample_rows(space.beside(latent, sigma), t) for latent, t in _chunks(encoded.latent, times)]
    bank.put(encoded.video_index, torch.cat(aligned), times)
    renew_axes(model, bank)


def _centred(theta: Tensor, encoded: EncodedVideos) -> Tensor:
    """Return theta (n, d) whose open ends are those of prototypes that begin and end where videos do."""
    ends = centred_ends(gather_rows(theta[:, -2:]), gather_rows(encoded.action))
    own = torch.isin(gather_rows(encoded.video_index), encoded.video_index)  # a video is on one rank
    return torch.cat([theta[:, :-2], ends[own]], 1)


@torch.no_grad()
def renew_axes(model: PathDMTAE, bank: WarpBank) -> None:
    """Measure the axes of comparison and the running ICAE on the bank."""
    space, cover = model.space, bank.cover()
    if not space.is_plain:
        space.renew(
            bank.aligned, bank.action, num_actions=bank.num_actions, shrinkage=model.path.shrinkage, cover=cover
        )
    compared = space(bank.aligned)
    others = barycenters(compared, bank.action, num_actions=bank.num_actions, cover=cover)[0]
    error = others.sub_(compared).square_().sum(-1)
    model.running_icae.copy_(error.mean() if cover is None else (error * cover[..., 0]).sum() / cover.sum())

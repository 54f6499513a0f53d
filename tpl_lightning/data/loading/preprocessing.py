"""What is done to embeddings before a model sees them: centring, PCA, scaling. Fitted on training videos only.

Feature groups of several extractors get their shares of the energy first, so that none drowns another by many channels
or large numbers. What is fitted then sees one vector per frame.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.config import DataConfig
from tpl_lightning.data.loading.batch import Batch, PackedBatch
from tpl_lightning.data.loading.group_gains import group_gains
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional import length_mask

KEPT_BYTES = 2**29
"""Preprocessed frames that a fit keeps in memory rather than reads again."""

_READ = 24_576  # frames read to fit on; more would not move the result
_COUNTED = 8192  # of them in the covariance, evenly spread: neighbours say much the same


@dataclass(frozen=True)
class Preprocessor:
    """x -> (x - mean) V^T / scale, frame by frame.

    Of several feature groups, V = V' diag(g) holds the gain g of each channel too.

    Attributes:
        center: Whether each video's own mean is removed (what a clip looks like, not when); else there is no
            centring but the training mean ahead of a PCA.
        mean: (C,) training mean, used where ``center`` is off.
        components: (K, C) principal components V of the training frames, or None; of several feature groups without a
            PCA diag(g).
        scale: Number by which all values are divided; None: each video is brought to total variance 1.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> videos = VideoSet(ArrayCache([np.eye(4), 2 * np.eye(4)], action=["jump", "jump"]))
        >>> fitted = Preprocessor.fit(videos, DataConfig(pca=2))
        >>> fitted.num_channels, fitted(videos.read(0)).shape
        (2, (4, 2))
    """

    center: bool
    mean: Tensor
    components: Tensor | None
    scale: float | None

    @property
    def num_channels(self) -> int:
        """Return the channels of the result."""
        return len(self.mean) if self.components is None else len(self.components)

    @classmethod
    def fit(cls, train: VideoSet, data: DataConfig) -> "Preprocessor":
        """Fit on training videos, reading each once; memory is O(C^2), not O(frames).

        Of large sets some 25,000 frames are read, of videos evenly spread, and of these some 8,000 counted,
        evenly spread over each video.

        With ``data.scale`` "set" the result has total variance 1 over the training frames: the sum over the channels
        of the mean square deviation from each video's mean (from the common mean without ``data.center``).

        Raises:
            UserError: If the embeddings or a feature group do not vary, or the weights do not fit the groups.
        """
        from scipy.linalg import eigh  # slow to import

        total = int(train.lengths.sum())
        count = len(train) if total <= _READ else max(int(len(train) * _READ / total), 1)
        chosen = np.linspace(0, len(train) - 1, count).round().astype(int)
        frames, mean, covariance, square = _moments(train, chosen, stride=-(-min(total, _READ) // _COUNTED), data=data)
        gain = group_gains(train, chosen, covariance.diagonal(), square, data.group_weights)
        components = None if gain is None else np.diag(gain)
        if gain is not None:
            covariance = gain[:, None] * covariance * gain
        variance = float(np.trace(covariance))
        if data.pca is not None:
            channels, kept = len(mean), min(data.pca, len(mean), frames)
            variances, vectors = eigh(covariance, subset_by_index=[channels - kept, channels - 1])
            components, variance = vectors.T[::-1], float(variances.sum())
            # The sign of an eigenvector is free; fixed here, so that machines agree.
            largest = np.abs(components).argmax(axis=1, keepdims=True)
            components = components * np.sign(np.take_along_axis(components, largest, axis=1))
            components = components if gain is None else components * gain
        return cls(
            center=data.center,
            mean=torch.from_numpy(mean).float(),
            components=None if components is None else torch.from_numpy(components).float(),
            scale={"set": float(np.sqrt(variance)), "video": None, "none": 1.0}[data.scale],
        )

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the preprocessed video, (L, C) -> (L, ``num_channels``), float32."""
        frames = torch.from_numpy(np.ascontiguousarray(embeddings, dtype=np.float32))
        features: np.ndarray = self.packed(frames, [len(frames)]).numpy()
        return features

    def packed(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """Return preprocessed videos, one behind the other, (F, C) -> (F, ``num_channels``), float32."""
        values = self._projected(frames)
        values = values.clone() if values is frames else values
        for video in values.split(lengths):
            self._normalise(video.unsqueeze(0), torch.tensor([len(video)], device=frames.device))
        return values

    @torch.no_grad()
    def padded(self, packed: PackedBatch) -> Batch:
        """Return a batch padded, its embeddings (B, T, ``num_channels``) preprocessed in float32."""
        rows = packed.places()
        with torch.autocast(rows.device.type, enabled=False):
            # Projected before padding, which would be multiplied, too.
            frames = packed.frames if packed.is_ready else self._projected(packed.frames)
            embeddings = frames.index_select(0, rows.flatten()).float().view(*rows.shape, -1)
            if not packed.is_ready:
                self._normalise(embeddings, packed.lengths)
        return Batch(
            embeddings=embeddings,
            lengths=packed.lengths,
            labels=packed.labels[rows].long(),
            action=packed.action,
            video_index=packed.video_index,
            points=packed.points,
        )

    def _projected(self, frames: Tensor) -> Tensor:
        """Return frames (F, C) on the components: before centring, as there are fewer channels afterwards."""
        return frames if self.components is None else frames.float() @ self.components.T

    def _normalise(self, values: Tensor, lengths: Tensor) -> None:
        """Centre and scale projected videos (B, T, K) of so many frames, float32, in place; padding stays 0.

        Touching fresh memory costs more than the arithmetic.
        """
        count, mask = lengths.view(-1, 1, 1), length_mask(lengths, values.shape[1]).unsqueeze(-1).float()
        if self.center:
            values.addcmul_(mask, values.sum(1, keepdim=True) / count, value=-1)
        elif self.components is not None:
            values.addcmul_(mask, self.components @ self.mean, value=-1)
        if self.scale is None:
            deviation = torch.addcmul(values, mask, values.sum(1, keepdim=True) / count, value=-1)
            norm = torch.linalg.vector_norm(deviation, dim=(1, 2), keepdim=True)
            values.div_((norm / count.sqrt()).clamp_(min=1e-6))
        elif self.scale != 1:
            values.div_(self.scale)

    def to(self, device: torch.device) -> "Preprocessor":
        """Return it on a device."""
        if self.mean.device == device:
            return self
        components = None if self.components is None else self.components.to(device)
        return replace(self, mean=self.mean.to(device), components=components)

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint can hold."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Preprocessor":
        """Rebuild from :meth:`state`, on the CPU."""
        return cls(**state).to(torch.device("cpu"))


def _moments(
    train: VideoSet, chosen: np.ndarray, stride: int, data: DataConfig
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Return how many frames were counted, their mean (C,), covariance (C, C) and mean square before centring (C,).

    Args:
        train: The training videos.
        chosen: Positions of those that are read.
        stride: Every so many frames of a video are counted.
        data: Whether videos are centred.
    """
    channels, frames = train.num_channels, 0
    total, second, square = np.zeros(channels), np.zeros((channels, channels)), np.zeros(channels)
    for videos in train.in_blocks(chosen):
        values = train.read_block(videos).split(train.lengths[videos].tolist())
        counted = [x[i % stride :: stride] for i, x in zip(videos.tolist(), values, strict=True)]
        square += sum(x.square().sum(0, dtype=torch.float64) for x in counted).numpy()
        if data.center:  # of all frames: a mean of few takes variance away
            counted = [x - own.mean(0) for x, own in zip(counted, values, strict=True)]
        # Centred values lose nothing in single precision, in which the product takes half the time.
        block = torch.cat(counted).to(torch.float32 if data.center else torch.float64)
        total += block.sum(0, dtype=torch.float64).numpy()
        second += (block.T @ block).numpy()
        frames += len(block)
    mean = total / frames
    return frames, mean, second / frames - np.outer(mean, mean), square / frames

"""The pose of a person as features: key points by ViTPose (Xu et al., NeurIPS 2022), then ``features.limbs``.

ViTPose wants a box around the person. No second network finds it: the first look is at the whole picture, the next ones
at the box around what was seen there, and from then on at where the person was last. So the person who fills most of
the picture is followed. Runs of frames are looked at together; boxes are found for some of them and interpolated in
between.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from tpl_lightning.errors import UserError
from tpl_lightning.features.frames import frame_batches
from tpl_lightning.features.heatmaps import cut_out, network_boxes, read_heatmaps
from tpl_lightning.features.limbs import COCO_POINTS, LEAST_CONFIDENCE, NUM_FEATURES, limb_features
from tpl_lightning.features.pretrained import Checkpoint, PretrainedExtractor, scaling
from tpl_lightning.video import shrink_to

_LONGEST = 768  # pixels of a frame's longer side
_RUN = 64  # frames whose boxes are found together; no result depends on the batch size
_STRIDE = 8  # of those frames that are looked at to find them
_LOOKS = 3  # at most, at the whole picture and then at ever better boxes
_SETTLED = 0.05  # of its size, by which a box may still move
_FEWEST = 4  # confident key points of a person
_MARGIN = 1.15  # of a box around key points, which end before the body does
_ROOM = 1.3  # of the last box, for where the person may be next
_FAR = 3.0  # times the usual distance from the middle: a point of somebody else


class PoseExtractor(PretrainedExtractor):
    """Features of one person's pose; see the head of this module and :func:`limb_features`.

    Args:
        checkpoint: A ViTPose model with the 17 key points of COCO.
        **options: As of :class:`PretrainedExtractor`.

    Raises:
        UserError: If the model has other key points.
    """

    frames_at_once = _RUN

    def __init__(self, checkpoint: Checkpoint, **options: Any) -> None:
        """Take the network."""
        super().__init__(checkpoint, "pose", **options)

    def _measure(self) -> int:
        """Take the size and scale of the network's pictures; return the channels of an embedding."""
        config, size = self.network.config, self.processor.to_dict()["size"]
        if getattr(config, "num_labels", None) != len(COCO_POINTS):
            raise UserError(
                f"Expected a pose model of the {len(COCO_POINTS)} key points of COCO, but {self.model_name} has "
                f"{getattr(config, 'num_labels', 'none')}; use extractor=pose, or another ViTPose model of persons."
            )
        self.picture_size = int(size["height"]), int(size["width"])
        self.mean, self.deviation = (
            torch.from_numpy(values).view(3, 1, 1).to(self.device) for values in scaling(self.processor)
        )
        self._has_experts = getattr(config.backbone_config, "num_experts", 1) > 1
        return NUM_FEATURES

    def decode_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height at which frames are best decoded: a person may be a small part of them."""
        return shrink_to(_LONGEST)(width, height)

    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Embed RGB frames of one clip, (T, H, W, 3) or an iterable of (H, W, 3), uint8; (T, C), float32."""
        return limb_features(*self.keypoints(frames))

    def keypoints(self, frames: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the person's key points (T, 17, 2) in pixels of the frames, and how sure they are (T, 17)."""
        last = None
        found = [(np.zeros((0, len(COCO_POINTS), 2)), np.zeros((0, len(COCO_POINTS))))]
        for run in frame_batches(frames, _RUN):
            pictures = _stacked(run)
            boxes = self._boxes(pictures, last)
            found.append(self.look(pictures, boxes))
            own = body_boxes(*found[-1])
            seen = np.flatnonzero(np.isfinite(own[:, 0]))
            last = own[seen[-1]] if len(seen) else None
        return np.concatenate([places for places, _ in found]), np.concatenate([sure for _, sure in found])

    def _boxes(self, pictures: torch.Tensor, last: np.ndarray | None) -> np.ndarray:
        """Return a box (T, 4) around the person in each of some pictures in a row.

        Args:
            pictures: (T, 3, H, W).
            last: The box in the picture before; None: nobody has been seen yet.
        """
        count, (height, width) = len(pictures), pictures.shape[2:]
        some = np.unique([*range(0, count, _STRIDE), count - 1])
        whole = np.array([(width - 1) / 2, (height - 1) / 2, width, height], dtype=np.float64)
        boxes = np.tile(whole if last is None else last * [1, 1, _ROOM, _ROOM], (len(some), 1))
        is_seen = np.zeros(len(some), dtype=bool)
        for _ in range(_LOOKS):
            found = body_boxes(*self.look(pictures[some], boxes))
            is_seen = np.isfinite(found[:, 0])
            if not is_seen.any():  # lost; look everywhere
                boxes[:] = whole
                continue
            found[~is_seen] = whole
            moved = np.abs(found - boxes)[is_seen] / found[is_seen][:, 2:].max(axis=1, keepdims=True)
            boxes = found
            if moved.max() < _SETTLED:
                break
        if not is_seen.any():
            return np.tile(whole, (count, 1))
        return np.stack([np.interp(np.arange(count), some[is_seen], side) for side in boxes[is_seen].T], axis=1)

    def look(self, pictures: torch.Tensor, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return key points (N, 17, 2) in pixels of pictures (N, 3, H, W), each seen in a box, and their scores."""
        size = self.picture_size
        places, scores = [], []
        with torch.inference_mode():
            for first in range(0, len(pictures), self.batch_size):
                part = slice(first, first + self.batch_size)
                shown = network_boxes(torch.from_numpy(boxes[part]).float(), *size).to(self.device)
                cuts = cut_out(pictures[part].to(self.device).float(), shown, *size)
                pixels = ((cuts - self.mean) / self.deviation).to(self.dtype)
                # Of a mixture of experts the first is that of COCO.
                expert = {"dataset_index": torch.zeros(len(pixels), dtype=torch.long, device=self.device)}
                output = self.network(pixel_values=pixels, **(expert if self._has_experts else {}))
                place, score = read_heatmaps(output.heatmaps.float(), shown)
                places.append(place.double().cpu().numpy())
                scores.append(score.double().cpu().numpy())
        return np.concatenate(places), np.concatenate(scores)


def _stacked(frames: list[np.ndarray]) -> torch.Tensor:
    """Return pictures (T, 3, H, W), uint8.

    Raises:
        UserError: If they are not of one size.
    """
    for frame in frames:
        if frame.shape != frames[0].shape:
            raise UserError(f"Expected frames of one shape, but got {frames[0].shape} and {frame.shape}.")
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def body_boxes(places: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Return the box (T, 4) of centre, width and height around confident key points; NaN where there are too few.

    Points far from the others, which may be somebody else's, are left out.

    Args:
        places: (T, K, 2).
        sure: (T, K).
    """
    boxes = np.full((len(places), 4), np.nan)
    for row, (points, scores) in enumerate(zip(places, sure, strict=True)):
        points = points[scores >= LEAST_CONFIDENCE]
        if len(points) < _FEWEST:
            continue
        distance = np.abs(points - np.median(points, axis=0)).max(axis=1)
        points = points[distance <= _FAR * np.median(distance)]
        low, high = points.min(axis=0), points.max(axis=0)
        size = np.maximum(_MARGIN * (high - low), 1.0)
        boxes[row] = [*(low + high) / 2, *size]
    return boxes

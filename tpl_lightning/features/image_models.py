"""Embeddings by image models in the format of Hugging Face transformers: DINOv2, CLIP, SigLIP, ViT and others.

Vision transformers give the normalised class token of the last layer (DINOv2: Oquab et al., TMLR 2024), models with a
text tower give the image embedding that they compare with text (CLIP: Radford et al., ICML 2021; OpenCLIP: Cherti et
al., CVPR 2023), convolutional ones the pooled last layer.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from tpl_lightning.errors import UserError, first_line
from tpl_lightning.features.frames import frame_batches
from tpl_lightning.features.pretrained import Checkpoint, PretrainedExtractor, scaling

logger = logging.getLogger(__name__)

_PROBE_TOLERANCE = 0.05  # mean absolute difference of normalised pixels; what another resizing filter makes is below


@dataclass(frozen=True)
class _Preparation:
    """What a model's image processor does to a picture, where it is resizing, cropping and normalising."""

    size: dict[str, int]
    """``shortest_edge``, or ``width`` and ``height``; nothing: as it is."""
    crop: dict[str, int]
    """``width`` and ``height``, or nothing."""
    resample: Image.Resampling
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, processor: Any) -> "_Preparation":
        """Read it from an image processor's options."""
        options = processor.to_dict()
        size = dict(options.get("size") or {}) if options.get("do_resize", True) else {}
        crop = dict(options.get("crop_size") or {}) if options.get("do_center_crop") else {}
        return cls(
            size, crop, Image.Resampling(options.get("resample") or Image.Resampling.BICUBIC), *scaling(processor)
        )

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height after resizing; as transformers has it, the longer side is rounded down."""
        if self.size.get("height"):
            return self.size["width"], self.size["height"]
        edge = self.size.get("shortest_edge")
        if edge is None:
            return width, height
        return (edge, height * edge // width) if width <= height else (width * edge // height, edge)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Resize, where the frame does not have the size yet, and crop; (h, w, 3), uint8."""
        height, width = frame.shape[:2]
        target = self.resized(width, height)
        if target != (width, height):
            frame = np.asarray(Image.fromarray(frame).resize(target, self.resample))
        if not self.crop.get("height"):
            return frame
        rows, columns = frame.shape[0] - self.crop["height"], frame.shape[1] - self.crop["width"]
        if min(rows, columns) < 0:  # transformers fills up with black
            black = [max(-spare, 0) for spare in (rows, columns)]
            frame = np.pad(frame, [*(((size + 1) // 2, size // 2) for size in black), (0, 0)])
        top, left = max(rows, 0) // 2, max(columns, 0) // 2
        return frame[top : top + self.crop["height"], left : left + self.crop["width"]]


class ImageModelExtractor(PretrainedExtractor):
    """A transformers image model; see the head of this module.

    Frames are resized while they are decoded, cropped on the CPU and normalised on the device: what the model's image
    processor does to a picture, checked against it when the model is loaded. A processor that does something else is
    used itself, which is slower. The model runs in bfloat16 on a GPU (float16 on older ones), in float32 on a CPU.

    Raises:
        UserError: If the model is no image model.
    """

    def __init__(self, checkpoint: Checkpoint, **options: Any) -> None:
        """Take the network; see :class:`PretrainedExtractor`."""
        super().__init__(checkpoint, "image-model", **options)
        self.frames_at_once = self.batch_size

    def decode_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height at which frames are best decoded: that which the model wants before cropping."""
        return (width, height) if self._preparation is None else self._preparation.resized(width, height)

    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Embed RGB frames, (T, H, W, 3) or an iterable of (H, W, 3), uint8; (T, C), float32."""
        parts = [self._embed(batch) for batch in frame_batches(frames, self.batch_size)]
        return np.concatenate(parts) if parts else np.zeros((0, self.num_channels), dtype=np.float32)

    def _embed(self, frames: list[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            output: np.ndarray = self._pooled(self._pixels(frames)).float().cpu().numpy()
        return output

    def _pixels(self, frames: list[np.ndarray]) -> torch.Tensor:
        """Normalised pixels (B, 3, h, w) on the device."""
        if self._preparation is None:
            pixels: torch.Tensor = self.processor(images=frames, return_tensors="pt")["pixel_values"]
            return pixels.to(self.device, self.dtype)
        prepared = torch.from_numpy(np.stack([self._preparation(frame) for frame in frames]))
        if self.device.type == "cuda":
            prepared = prepared.pin_memory()
        # Bytes go to the device, a quarter of the float32 pixels.
        raw = prepared.to(self.device, non_blocking=True).permute(0, 3, 1, 2).float()
        mean, std = (
            torch.from_numpy(values).to(self.device)[:, None, None]
            for values in (self._preparation.mean, self._preparation.std)
        )
        return ((raw - mean) / std).to(self.dtype)

    def _pooled(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, C) of normalised pixels."""
        network = self.network
        if hasattr(network, "get_image_features"):
            output = network.get_image_features(pixel_values=pixels)
            pooled = output if isinstance(output, torch.Tensor) else output.pooler_output
        else:
            output = network(pixel_values=pixels)
            last = output.last_hidden_state
            if last.ndim == 4:  # convolutional models have a map (B, C, h, w)
                pooled = last.mean(dim=(-2, -1))
            elif network.config.model_type.endswith("vision_model"):  # the vision half of CLIP and its like
                pooled = output.pooler_output
            else:  # tokens, the class token first
                pooled = last[:, 0]
        return pooled

    def _check_preparation(self) -> _Preparation | None:
        picture = _probe_picture()
        expected = np.asarray(self.processor(images=[picture], return_tensors="np")["pixel_values"], dtype=np.float32)
        try:
            preparation = _Preparation.of(self.processor)
            prepared = preparation(picture)
        except (KeyError, TypeError, ValueError):
            prepared, preparation = picture[:0], None
        if preparation is not None and prepared.shape[:2] == expected.shape[2:]:
            found = ((prepared - preparation.mean) / preparation.std).transpose(2, 0, 1)
            if np.abs(found - expected[0]).mean() < _PROBE_TOLERANCE:
                return preparation
        logger.info("%s: its own image processor prepares the frames.", self.model_name)
        return None

    def _measure(self) -> int:
        """Find out how frames are prepared, and how many channels come out."""
        try:
            self._preparation = self._check_preparation()
            return int(self._embed([_probe_picture()]).shape[1])
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(
                f"Expected an image model, but {self.model_name} ({type(self.network).__name__}) cannot embed a "
                f"picture: {first_line(error)}; give a DINOv2, CLIP or ViT model."
            ) from error


def _probe_picture() -> np.ndarray:
    """A smooth picture whose sides are 4:3, so that resizing and cropping show."""
    y, x = np.mgrid[0:240, 0:320].astype(np.float32)
    waves = [np.sin(x / 37 + y / 53), np.cos(x / 41 - y / 29), np.sin(x / 67) * np.cos(y / 31)]
    return (127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)

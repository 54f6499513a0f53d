"""Pretrained networks in the format of Hugging Face transformers: loaded, told apart, and named in a cache."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tpl_lightning.errors import UserError, first_line
from tpl_lightning.features.base import Extractor


class WeightsMissing(UserError):
    """Weights are not on this machine, and the hub could not be asked for them."""


@dataclass(frozen=True)
class Checkpoint:
    """A network as it was loaded."""

    model: str
    """Id on the Hugging Face hub, or local folder."""
    processor: Any
    """The image processor that it names."""
    network: Any
    """On the CPU, in float32."""
    untrained: frozenset[str]
    """Names of weights that it does not hold, such as a pooling head that is not used here: random numbers."""

    @property
    def is_pose(self) -> bool:
        """Whether the network gives key points of persons."""
        return bool(self.network.config.model_type == "vitpose")

    def fingerprint(self) -> str:
        """Hash names, shapes and some values of the weights: enough to tell one training from another."""
        digest = hashlib.sha256()
        for name, values in sorted(self.network.state_dict().items()):
            if name not in self.untrained:
                flat = values.detach().flatten()
                digest.update(f"{name} {tuple(values.shape)}".encode())
                digest.update(flat[:: max(1, len(flat) // 16)].float().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]


class PretrainedExtractor(Extractor):
    """An extractor that is one pretrained network: it learns nothing, and its features are embeddings.

    Networks run in bfloat16 on a GPU (float16 on older ones), in float32 on a CPU.

    Args:
        checkpoint: The network.
        kind: What caches call it.
        device: Where it runs.
        batch_size: Pictures per batch.

    Attributes:
        processor: The image processor that its checkpoint names.
        network: The network, on its device.
    """

    on_device = True

    def __init__(self, checkpoint: Checkpoint, kind: str, *, device: torch.device, batch_size: int) -> None:
        """Bring the network to its device."""
        if batch_size < 1:
            raise UserError(f"Expected batch_size >= 1, but got {batch_size}.")
        self.model_name, self.batch_size, self.device = checkpoint.model, batch_size, device
        self.processor, network, folder = checkpoint.processor, checkpoint.network, Path(checkpoint.model)
        place: dict[str, Any] = {"model": checkpoint.model, "revision": getattr(network.config, "_commit_hash", None)}
        if folder.is_dir():
            place = {"model": str(folder.resolve()), "revision": None}
        state = {"kind": kind, **place, "fingerprint": checkpoint.fingerprint()}
        if self.device.type == "cuda":
            network = network.to(torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
        self.network = network.to(self.device).eval()
        self.dtype = next(network.parameters()).dtype
        super().__init__(folder.resolve().name if folder.is_dir() else checkpoint.model, self._measure(), state)
        self.identity = f"{kind} {self.name} {state['fingerprint']}"

    def _measure(self) -> int:
        """Get ready to embed, once the network is there; return the channels of an embedding."""
        raise NotImplementedError


def scaling(processor: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation (3,), of pixels in 0..255, by which an image processor normalises."""
    options = processor.to_dict()
    scale = np.float32(options.get("rescale_factor", 1 / 255) if options.get("do_rescale", True) else 1.0)
    if not options.get("do_normalize", True):
        return np.zeros(3, np.float32), np.ones(3, np.float32) / scale
    return np.asarray(options["image_mean"], np.float32) / scale, np.asarray(options["image_std"], np.float32) / scale


def find_device(name: str) -> torch.device:
    """Return the device of a name: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...

    Raises:
        UserError: If there is none.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        # Under torchrun each process has a GPU of its own.
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"Expected a device such as auto, cpu, cuda or cuda:1, but got {name!r}.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"Expected a GPU for device={name}, but there is none; give device=cpu.")
    return device


def load_checkpoint(model: str, revision: str | None = None) -> Checkpoint:
    """Load a network from its folder, from what is on this machine of the hub, or else from the hub.

    Args:
        model: Id on the Hugging Face hub, or local folder.
        revision: Commit on the hub; None takes the newest.

    Raises:
        UserError: If transformers is missing, or the model is not to be had.
        WeightsMissing: If the hub cannot be reached.
    """
    try:
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise UserError(
            f"Expected transformers to load {model}, but it is not installed: run "
            'pip install "tpl_lightning[video]", or use extractor=hog.'
        ) from error
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    is_folder = Path(model).is_dir()
    # Ids on the hub are NAME or OWNER/NAME.
    if is_folder or Path(model).is_absolute() or model.startswith(".") or model.count("/") > 1:
        try:
            return _load(model)
        except Exception as error:  # transformers and its parts share no class of errors
            found = f"it cannot be loaded: {first_line(error)}" if is_folder else "there is no such folder"
            raise UserError(
                f"Expected an image model in the folder {model}, but {found}; put the model there (all of config.json, "
                "preprocessor_config.json, model.safetensors), or give the id of one on the Hugging Face hub."
            ) from error
    try:  # what is here already first: no network, and the weights of last time
        return _load(model, revision=revision, local_files_only=True)
    except Exception:
        return _from_hub(model, revision)


def _load(model: str, **options: Any) -> Checkpoint:
    from transformers import AutoConfig, AutoImageProcessor, AutoModel, VitPoseForPoseEstimation

    processor = AutoImageProcessor.from_pretrained(model, **options)
    is_pose = AutoConfig.from_pretrained(model, **options).model_type == "vitpose"
    kind: Any = VitPoseForPoseEstimation if is_pose else AutoModel
    network, info = kind.from_pretrained(model, dtype=torch.float32, output_loading_info=True, **options)
    return Checkpoint(model, processor, network, frozenset(info["missing_keys"]))


def _from_hub(model: str, revision: str | None) -> Checkpoint:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        # Fails at once where the hub cannot be reached, which transformers takes minutes to find out.
        HfApi().model_info(model, revision=revision, timeout=10)
        return _load(model, revision=revision)
    except Exception as error:
        # What the hub answers, that there is no such model say, is another matter than that it cannot be reached.
        kind = UserError if isinstance(error, HfHubHTTPError) else WeightsMissing
        raise kind(
            f"Expected weights of the image model {model}, but there is no such folder, nothing in the Hugging Face "
            f"cache on this machine, and the hub did not give it ({type(error).__name__}: {first_line(error)}). Run "
            f"`hf download {model} --local-dir FOLDER` on a machine with network, copy FOLDER here and give "
            "extractor=FOLDER; or use extractor=hog, which needs no weights."
        ) from error

"""Pretrained networks in the format of Hugging Face transformers: loaded, told apart, and named in a cache."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from tpl_lightning.errors import UserError, first_line
from tpl_lightning.features.extractors import StoredExtractor

Found = TypeVar("Found")
Own = TypeVar("Own", bound="PretrainedExtractor")

_POSE = "vitpose"  # ``model_type`` of models that give key points


class WeightsMissing(UserError):
    """Weights are not on this machine, and the hub could not be asked for them."""


class PretrainedExtractor(StoredExtractor, ABC):
    """An extractor that is one pretrained network: it learns nothing, and its features are embeddings.

    Networks run in bfloat16 on a GPU (float16 on older ones), in float32 on a CPU.

    Args:
        model: Id on the Hugging Face hub, or local folder.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        batch_size: Pictures per batch.
        revision: Commit on the hub; None takes the newest.

    Attributes:
        processor: The image processor that its checkpoint names.
        network: The network, on its device.
        fingerprint: What tells its weights.

    Raises:
        UserError: If transformers is missing, or the model is not to be had.
    """

    kind: ClassVar[str]
    """What caches call extractors of this class."""

    on_device = True

    def __init__(self, model: str, *, device: str = "auto", batch_size: int = 64, revision: str | None = None) -> None:
        """Load the model."""
        if batch_size < 1:
            raise UserError(f"Expected batch_size >= 1, but got {batch_size}.")
        self.model_name, self.batch_size, self.device = model, batch_size, _device(device)
        self.processor, network, untrained = _load(model, revision)
        self.fingerprint = _fingerprint(network, untrained)
        if self.device.type == "cuda":
            network = network.to(torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
        self.network = network.to(self.device).eval()
        self.dtype = next(network.parameters()).dtype
        commit: str | None = getattr(network.config, "_commit_hash", None)
        folder = Path(model).resolve() if Path(model).is_dir() else None
        stored = {"model": model if folder is None else str(folder), "revision": commit if folder is None else None}
        state = {"kind": self.kind, **stored, "fingerprint": self.fingerprint}
        super().__init__(model if folder is None else folder.name, self._measure(), state)

    @abstractmethod
    def _measure(self) -> int:
        """Get ready to embed, once the network is there; return the channels of an embedding."""

    @property
    def identity(self) -> str:
        """What decides the embedding of a frame."""
        return f"{self.kind} {self.name} {self.fingerprint}"

    @abstractmethod
    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Embed RGB frames of one clip, (T, H, W, 3) or an iterable of (H, W, 3), uint8; (T, C), float32."""

    def __call__(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Return :meth:`features`."""
        return self.features(frames)

    @classmethod
    def from_state(cls: type[Own], parameters: Mapping[str, Any], *, device: str = "auto", batch_size: int = 64) -> Own:
        """Load the model that a state names.

        Raises:
            UserError: If it is not to be had, or its weights are other ones now.
        """
        if "model" not in parameters:
            raise UserError("Expected the state of an image model, but it does not name the model.")
        revision, expected = parameters.get("revision"), parameters.get("fingerprint")
        extractor = cls(str(parameters["model"]), device=device, batch_size=batch_size, revision=revision)
        if expected is not None and extractor.fingerprint != expected:
            raise UserError(
                f"Expected the weights of {extractor.model_name} with which the cache was made (fingerprint "
                f"{expected}), but found others ({extractor.fingerprint}); put the old weights back, or embed all "
                "videos anew."
            )
        return extractor


def scaling(processor: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation (3,), of pixels in 0..255, by which an image processor normalises."""
    options = processor.to_dict()
    scale = options.get("rescale_factor", 1 / 255) if options.get("do_rescale", True) else 1.0
    normalise = options.get("do_normalize", True)
    mean, deviation = (options["image_mean"], options["image_std"]) if normalise else ([0.0] * 3, [1.0] * 3)
    return np.asarray(mean, np.float32) / np.float32(scale), np.asarray(deviation, np.float32) / np.float32(scale)


def _device(name: str) -> torch.device:
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


def is_pose_model(model: str, revision: str | None = None) -> bool:
    """Tell whether a model gives key points of persons.

    Raises:
        UserError: If transformers is missing, or the model is not to be had.
    """

    def model_type(options: dict[str, Any]) -> str:
        from transformers import AutoConfig

        return str(AutoConfig.from_pretrained(model, **options).model_type)

    return _attempt(model, revision, model_type) == _POSE


def _load(model: str, revision: str | None) -> tuple[Any, Any, set[str]]:
    """Image processor, model on the CPU in float32, and the names of weights that the checkpoint does not hold."""

    def load(options: dict[str, Any]) -> tuple[Any, Any, set[str]]:
        from transformers import AutoConfig, AutoImageProcessor, AutoModel, VitPoseForPoseEstimation

        processor = AutoImageProcessor.from_pretrained(model, **options)
        is_pose = AutoConfig.from_pretrained(model, **options).model_type == _POSE
        kind: Any = VitPoseForPoseEstimation if is_pose else AutoModel
        network, info = kind.from_pretrained(model, dtype=torch.float32, output_loading_info=True, **options)
        return processor, network, set(info["missing_keys"])

    return _attempt(model, revision, load)


def _attempt(model: str, revision: str | None, load: Callable[[dict[str, Any]], Found]) -> Found:
    """Return what is loaded of a model, from this machine or else from the hub."""
    try:
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise UserError(
            f"Expected transformers to load {model}, but it is not installed: run "
            'pip install "tpl_lightning[video]", or use extractor=hog.'
        ) from error
    if _is_path(model) and not Path(model).is_dir():
        raise UserError(
            f"Expected an image model in the folder {model}, but there is no such folder; put the model there (config."
            "json, preprocessor_config.json, model.safetensors), or give the id of one on the Hugging Face hub."
        )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if Path(model).is_dir():
        attempts: list[dict[str, Any]] = [{}]
    else:  # what is here already first: no network, and the weights of last time
        attempts = [{"local_files_only": True, "revision": revision}, {"revision": revision}]
    for options in attempts:
        try:
            if options and "local_files_only" not in options:
                from huggingface_hub import HfApi

                # Fails at once where the hub cannot be reached, which transformers takes minutes to find out.
                HfApi().model_info(model, revision=revision, timeout=10)
            return load(options)
        except Exception as error:  # the hub's client, its transport and transformers share no class of errors
            problem = error
    raise _not_to_be_had(model, problem) from problem


def _is_path(model: str) -> bool:
    """Tell whether a name can only be that of a folder; ids on the hub are NAME or OWNER/NAME."""
    return Path(model).is_absolute() or model.startswith(".") or model.count("/") > 1


def _not_to_be_had(model: str, problem: BaseException) -> UserError:
    if Path(model).is_dir():
        return UserError(
            f"Expected an image model in the folder {model} (config.json, preprocessor_config.json, "
            f"model.safetensors), but it cannot be loaded: {first_line(problem)}; copy all of its files."
        )
    from huggingface_hub.errors import HfHubHTTPError

    # What the hub answers, that there is no such model say, is another matter than that it cannot be reached.
    kind = UserError if isinstance(problem, HfHubHTTPError) else WeightsMissing
    return kind(
        f"Expected weights of the image model {model}, but there is no such folder, nothing in the Hugging Face cache "
        f"on this machine, and the hub did not give it ({type(problem).__name__}: {first_line(problem)}). Run "
        f"`hf download {model} --local-dir FOLDER` on a machine with network, copy FOLDER here and give "
        "extractor=FOLDER; or use extractor=hog, which needs no weights."
    )


def _fingerprint(network: torch.nn.Module, untrained: set[str]) -> str:
    """A hash of names, shapes and some values of the weights: enough to tell one training from another."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        if name in untrained:  # random numbers, such as a pooling head that is not used here
            continue
        flat = values.detach().flatten()
        some = flat[:: max(1, len(flat) // 16)].to(torch.float32).cpu().numpy()
        digest.update(f"{name} {tuple(values.shape)}".encode())
        digest.update(some.tobytes())
    return digest.hexdigest()[:16]

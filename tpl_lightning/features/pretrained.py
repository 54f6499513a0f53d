"""Pretrained networks in the format of Hugging Face transformers: loaded, told apart, and named in a cache."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from tpl_lightning.errors import UserError, first_line

__all__ = ["LoadedModel", "PretrainedExtractor", "WeightsMissing", "is_pose_model"]

Found = TypeVar("Found")
Own = TypeVar("Own", bound="PretrainedExtractor")

_POSE = "vitpose"  # ``model_type`` of models that give key points


class WeightsMissing(UserError):
    """Weights are not on this machine, and the hub could not be asked for them."""


class LoadedModel:
    """A network on its device, with what prepares its pictures.

    Networks run in bfloat16 on a GPU (float16 on older ones), in float32 on a CPU.

    Args:
        model: Id on the Hugging Face hub, or local folder.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        batch_size: Pictures per batch.
        revision: Commit on the hub; None takes the newest.

    Attributes:
        processor: The image processor that its checkpoint names.
        network: The network.
        fingerprint: What tells its weights.

    Raises:
        UserError: If transformers is missing, or the model is not to be had.
    """

    def __init__(self, model: str, *, device: str, batch_size: int, revision: str | None) -> None:
        """Load the model."""
        if batch_size < 1:
            raise UserError(f"Expected batch_size >= 1, but got {batch_size}.")
        self.model_name, self.batch_size, self.device = model, batch_size, _device(device)
        self.processor, network, untrained = _load(model, revision)
        self.revision: str | None = getattr(network.config, "_commit_hash", None)
        self.fingerprint = _fingerprint(network, untrained)
        if self.device.type == "cuda":
            network = network.to(torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
        self.network = network.to(self.device).eval()
        self.dtype = next(network.parameters()).dtype

    @property
    def name(self) -> str:
        """The hub's id, or the name of the local folder."""
        return Path(self.model_name).resolve().name if Path(self.model_name).is_dir() else self.model_name

    def state(self) -> dict[str, Any]:
        """Return what a cache must hold to load it again: which model, and what tells its weights."""
        local = Path(self.model_name).is_dir()
        model = str(Path(self.model_name).resolve()) if local else self.model_name
        revision = None if local else self.revision
        return {"model": model, "revision": revision, "fingerprint": self.fingerprint}

    def check(self, state: Mapping[str, Any]) -> None:
        """Check that it is the model of a state.

        Raises:
            UserError: If its weights are other ones.
        """
        expected = state.get("fingerprint")
        if expected is not None and self.fingerprint != expected:
            raise UserError(
                f"Expected the weights of {self.model_name} with which the cache was made (fingerprint "
                f"{expected}), but found others ({self.fingerprint}); put the old weights back, or embed all "
                "videos anew."
            )


class PretrainedExtractor(ABC):
    """What extractors that are one pretrained network share: they learn nothing, and their features are embeddings.

    Args:
        model: Id on the Hugging Face hub, or local folder.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        batch_size: Pictures per batch.
        revision: Commit on the hub; None takes the newest.

    Raises:
        UserError: If transformers is missing, or the model is not to be had.
    """

    kind: ClassVar[str]
    """What caches call extractors of this class."""

    def __init__(self, model: str, *, device: str = "auto", batch_size: int = 64, revision: str | None = None) -> None:
        """Load the model."""
        self._loaded = LoadedModel(model, device=device, batch_size=batch_size, revision=revision)

    @property
    def name(self) -> str:
        """Name for the ``extractor`` attribute of a cache: the hub's id, or the name of the local folder."""
        return self._loaded.name

    @property
    @abstractmethod
    def num_channels(self) -> int:
        """Channels of an embedding."""

    @property
    def num_features(self) -> int:
        """Length of the feature vector of a frame, which is its embedding."""
        return self.num_channels

    @property
    def on_device(self) -> bool:
        """One network stays in one process, on one device."""
        return True

    @property
    def identity(self) -> str:
        """What decides the embedding of a frame."""
        return f"{self.kind} {self.name} {self._loaded.fingerprint}"

    @property
    def is_fitted(self) -> bool:
        """A network learns nothing here."""
        return True

    @abstractmethod
    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Embed RGB frames of one clip, (T, H, W, 3) or an iterable of (H, W, 3), uint8; (T, C), float32."""

    def __call__(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Return :meth:`features`."""
        return self.features(frames)

    def fit(self: Own, videos: Sequence[np.ndarray]) -> Own:
        """Learn nothing; return the extractor itself."""
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Return the features, which are the embeddings."""
        return features

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what a cache must hold to embed new videos alike: which model, and what tells its weights."""
        return {}, {"kind": self.kind, **self._loaded.state()}

    @classmethod
    def from_state(cls: type[Own], parameters: Mapping[str, Any], *, device: str = "auto", batch_size: int = 64) -> Own:
        """Load the model that a state names.

        Raises:
            UserError: If it is not to be had, or its weights are other ones now.
        """
        if "model" not in parameters:
            raise UserError("Expected the state of an image model, but it does not name the model.")
        revision = parameters.get("revision")
        extractor = cls(str(parameters["model"]), device=device, batch_size=batch_size, revision=revision)
        extractor._loaded.check(parameters)
        return extractor


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
                _ask_hub(model, revision)
            return load(options)
        except Exception as error:  # the hub's client, its transport and transformers share no class of errors
            problem = error
    raise _not_to_be_had(model, problem) from problem


def _is_path(model: str) -> bool:
    """Tell whether a name can only be that of a folder; ids on the hub are NAME or OWNER/NAME."""
    return Path(model).is_absolute() or model.startswith(".") or model.count("/") > 1


def _ask_hub(model: str, revision: str | None) -> None:
    """Fail at once where the hub cannot be reached, which transformers takes minutes to find out."""
    from huggingface_hub import HfApi

    HfApi().model_info(model, revision=revision, timeout=10)


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

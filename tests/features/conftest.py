"""Tiny image models, videos, and a folder of two actions with its cache."""

import json

import numpy as np
import pytest
import torch

from tests.video_factory import embed_folder
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.video.files import write_video

PROCESSOR = {
    "do_resize": True,
    "do_center_crop": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
}


QUIET = {"num_workers": 0, "progress": False}


def save_model(model, folder, **processor):
    """Write a model and what its images must look like as the hub has them; return the folder."""
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    return str(folder)


@pytest.fixture(scope="session")
def dinov2(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 28, "width": 28}}
    folder = tmp_path_factory.mktemp("models") / "tiny-dinov2"
    return save_model(transformers.Dinov2Model(config), folder, image_processor_type="BitImageProcessor", **sizes)


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    tower = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    text = {**tower, "vocab_size": 16, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = transformers.CLIPConfig(
        text_config=text, vision_config={**tower, "image_size": 32, "patch_size": 8}, projection_dim=12
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    # As in older checkpoints: plain numbers, and the name that processors had.
    return save_model(
        transformers.CLIPModel(config), folder, feature_extractor_type="CLIPFeatureExtractor", size=32, crop_size=32
    )


@pytest.fixture(scope="session")
def vit(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(2)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=16
    )
    sizes = {"size": {"height": 32, "width": 32}, "do_center_crop": False, "resample": 2}
    folder = tmp_path_factory.mktemp("models") / "tiny-vit"
    model = transformers.ViTForImageClassification(config)  # its checkpoint holds no pooling head
    return save_model(model, folder, image_processor_type="ViTImageProcessor", **sizes)


@pytest.fixture(scope="session")
def vitpose(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    return save_vitpose(transformers, tmp_path_factory.mktemp("models") / "tiny-vitpose")


def save_vitpose(transformers, folder, num_labels=17, **options):
    """Write a ViTPose model with weights of chance."""
    torch.manual_seed(3)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48],
        patch_size=[16, 16],
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        out_indices=[1],
        **options,
    )
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=num_labels)
    sizes = {"size": {"height": 64, "width": 48}, "do_affine_transform": True, "do_center_crop": False}
    model = transformers.VitPoseForPoseEstimation(config)
    return save_model(model, folder, image_processor_type="VitPoseImageProcessor", **sizes)


def moving_square(count, *, seed=0, size=48):
    """A bright square that crosses a textured picture."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(40, 90, size=(1, size, size, 3)), count, axis=0).astype(np.uint8)
    for index, place in enumerate(np.linspace(0, size - 12, count).astype(int)):
        frames[index, place : place + 12, place : place + 12] = 240
    return frames


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    pytest.importorskip("av")
    root = tmp_path_factory.mktemp("clips") / "my clips"
    for action, count in (("jump", 4), ("turn", 3)):
        for number in range(count):
            name = root / action / f"take {number}.mp4" if number else root / action / f"first_{action}.mp4"
            write_video(name, moving_square(12 + number, seed=number), 24.0)
    return root


@pytest.fixture(scope="session")
def embedded(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("cache") / "sub" / "clips.h5"
    return EmbeddingCache(embed_folder(folder, out, dataset="mine", channels=6, **QUIET))


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    pytest.importorskip("av")
    y, x = np.mgrid[0:72, 0:96]
    frames = [
        np.stack([127 + 90 * np.sin(x / 9 + t / 4), 127 + 90 * np.cos(y / 7 - t / 5), x + y], axis=-1).clip(0, 255)
        for t in range(20)
    ]
    return write_video(tmp_path_factory.mktemp("videos") / "a.mp4", np.array(frames, np.uint8), 24.0, crf=1)

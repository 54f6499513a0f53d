"""Extractors: tiny networks that the tests make, and what a cache says about the one that made it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.features.conftest import save_model
from tests.run_factory import read_video
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features.extractors import embed_video, extractor_from_state, extractor_of_cache, make_extractor
from tpl_lightning.features.gradients import HogParams
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.video.files import write_video

transformers = pytest.importorskip("transformers")
pytest.importorskip("av")


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    y, x = np.mgrid[0:72, 0:96]
    frames = [
        np.stack([127 + 90 * np.sin(x / 9 + t / 4), 127 + 90 * np.cos(y / 7 - t / 5), x + y], axis=-1).clip(0, 255)
        for t in range(20)
    ]
    return write_video(tmp_path_factory.mktemp("videos") / "a.mp4", np.array(frames, np.uint8), 24.0, crf=1)


def reference(folder, frames):
    """Frame by frame, by transformers itself."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    rows = []
    with torch.inference_mode():
        for frame in frames:
            inputs = processor(images=Image.fromarray(frame), return_tensors="pt")
            if hasattr(model, "get_image_features"):
                projected = model.visual_projection(model.vision_model(**inputs).pooler_output)
                rows.append(projected[0].numpy())
            else:
                rows.append(model(**inputs).last_hidden_state[0, 0].numpy())
    return np.array(rows)


@pytest.mark.parametrize(("name", "channels"), [("dinov2", 32), ("clip", 12), ("vit", 16)])
def test_embeddings_are_those_of_transformers(request, video, name, channels):
    folder = request.getfixturevalue(name)
    frames, _ = read_video(video)
    extractor = make_extractor(folder, batch_size=7)
    assert (extractor.num_channels, extractor.name) == (channels, f"tiny-{name}")
    found = extractor(iter(frames))
    assert (found.shape, found.dtype) == ((20, channels), np.float32)
    np.testing.assert_allclose(found, reference(folder, frames), atol=2e-5)
    # Resized while it is decoded: other filters, so not the same numbers.
    streamed, clock = embed_video(video, extractor)
    assert clock.fps == 24.0
    np.testing.assert_allclose(clock.times_s, np.arange(20) / 24, atol=1e-6)
    cosine = (streamed * found).sum(-1) / np.linalg.norm(streamed, axis=-1) / np.linalg.norm(found, axis=-1)
    assert cosine.min() > 0.995


def test_frames_smaller_than_the_crop_and_other_shapes(dinov2):
    extractor = make_extractor(dinov2)
    frames = [np.random.default_rng(0).integers(0, 256, (h, w, 3)).astype(np.uint8) for h, w in ((9, 9), (50, 31))]
    for frame in frames:
        np.testing.assert_allclose(extractor([frame]), reference(dinov2, [frame]), atol=2e-5)
    assert extractor([]).shape == (0, 32)
    with pytest.raises(UserError, match="at frame 0"):
        extractor([frames[0].astype(float)])


def test_a_processor_of_its_own_kind_is_used_itself(tmp_path, video):
    torch.manual_seed(0)
    config = transformers.ConvNextConfig(num_channels=3, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1])
    # crop_pct makes this one resize to more than the size it names.
    sizes = {"size": {"shortest_edge": 64}, "crop_pct": 0.875, "do_center_crop": False}
    folder = save_model(
        transformers.ConvNextModel(config), tmp_path / "m", image_processor_type="ConvNextImageProcessor", **sizes
    )
    frames = read_video(video)[0][:3]
    extractor = make_extractor(folder)
    assert extractor.num_channels == 8
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        output = model(**processor(images=list(frames), return_tensors="pt"))
    np.testing.assert_allclose(extractor(frames), output.last_hidden_state.mean(dim=(2, 3)), atol=2e-5)


def write(path, extractor, embeddings):
    with EmbeddingCacheWriter(
        path, dataset="d", extractor=extractor.name, source="s", phase_names={}, dtype="float32"
    ) as writer:
        writer.append(video_id="a", action="b", split="train", embeddings=embeddings, fps=24.0)
        writer.set_extractor_state(*extractor.state())
    return EmbeddingCache(path)


def test_a_cache_embeds_new_videos_alike(tmp_path, video, dinov2, vit):
    hog = HogExtractor(params=HogParams(size=32, cell=8, block=2, orientations=6), channels=5)
    hog.fit([hog.features(read_video(video)[0])])
    for number, extractor in enumerate((hog, make_extractor(dinov2), make_extractor(vit))):
        cache = write(tmp_path / f"{number}.h5", extractor, embed_video(video, extractor)[0])
        again = extractor_of_cache(cache)
        assert again.num_channels == cache.num_channels
        np.testing.assert_allclose(embed_video(video, again)[0], cache.read(0), atol=1e-5)


def test_other_weights_are_noticed(tmp_path, dinov2):
    state = make_extractor(dinov2).state()
    extractor_from_state(*state)
    model = transformers.AutoModel.from_pretrained(dinov2)
    with torch.no_grad():
        model.encoder.layer[0].norm1.weight.add_(0.5)
    processor = json.loads(Path(dinov2, "preprocessor_config.json").read_text())
    other = save_model(model, tmp_path / "tiny-dinov2", **processor)
    with pytest.raises(UserError, match="found others"):
        extractor_from_state({}, {**state[1], "model": other})
    with pytest.raises(UserError, match="does not name the model"):
        extractor_from_state({}, {"kind": "image-model"})


def test_a_cache_that_does_not_say_what_made_it_is_named(cache):
    with pytest.raises(UserError, match=r"tiny\.h5: it does not hold the extractor 'waves'"):
        extractor_of_cache(cache)


@pytest.mark.parametrize("name", ["dinov2", "openclip", "someone/something"])
def test_weights_that_are_not_here_are_named_with_the_way_out(monkeypatch, name):
    import huggingface_hub

    def offline(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", offline)
    with pytest.raises(UserError, match="hf download") as error:
        make_extractor(name)
    message = str(error.value)
    assert "no network" in message
    assert "extractor=hog" in message
    assert "extractor=FOLDER" in message
    assert "\n" not in message


def test_a_model_folder_that_has_moved_is_named(tmp_path, dinov2, monkeypatch):
    folder = tmp_path / "moved"
    for name in (str(folder), "./moved", "some/where/moved", "~/moved"):
        with pytest.raises(UserError, match=r"moved, but there is no such folder; put the model there") as error:
            make_extractor(name)
        assert "hf download" not in str(error.value)
    shutil.copytree(dinov2, folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make_extractor("~/moved").name == "moved"
    cache = write(tmp_path / "x.h5", make_extractor(str(folder)), np.zeros((3, 32), np.float32))
    shutil.rmtree(folder)
    with pytest.raises(UserError, match=r"x\.h5: its extractor 'moved' cannot be used: .* no such folder"):
        extractor_of_cache(cache)


def test_folders_and_devices_that_do_not_do_are_named(tmp_path, dinov2):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"in the folder .*empty"):
        make_extractor(str(tmp_path / "empty"))
    with pytest.raises(UserError, match="such as auto, cpu"):
        make_extractor(dinov2, device="toaster")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="device=cpu"):
            make_extractor(dinov2, device="cuda")
    with pytest.raises(UserError, match="batch_size"):
        make_extractor(dinov2, batch_size=0)
    with pytest.raises(UserError, match="channels"):
        make_extractor("hog", channels=0)


def test_a_model_of_words_is_named(tmp_path):
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=9
    )
    folder = save_model(
        transformers.BertModel(config), tmp_path / "bert", image_processor_type="ViTImageProcessor", size=32
    )
    with pytest.raises(UserError, match="BertModel"):
        make_extractor(folder)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_half_precision_on_a_gpu(dinov2, video):
    frames, _ = read_video(video)
    found, exact = (make_extractor(dinov2, device=device)(frames) for device in ("cuda", "cpu"))
    cosine = (found * exact).sum(-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(exact, axis=-1)
    assert cosine.min() > 0.999

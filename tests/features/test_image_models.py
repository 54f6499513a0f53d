"""Image models: tiny networks that the tests make."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.features.conftest import save_model
from tests.run_factory import read_video
from tpl_lightning.errors import UserError
from tpl_lightning.features.extractors import embed_video, make_extractor

transformers = pytest.importorskip("transformers")
pytest.importorskip("av")


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

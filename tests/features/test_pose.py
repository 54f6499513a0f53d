"""The pose extractor: a tiny ViTPose, and a network that sees coloured dots, which shows whom boxes follow."""

import warnings

import numpy as np
import pytest
import torch

from tests.features.conftest import save_vitpose
from tpl_lightning.__main__ import main
from tpl_lightning.data import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features.extractors import embed_video, extractor_from_state, extractor_of_cache, make_extractor
from tpl_lightning.features.limbs import NUM_FEATURES, limb_features
from tpl_lightning.features.pose import PoseExtractor, body_boxes
from tpl_lightning.video.files import write_video

transformers = pytest.importorskip("transformers")
pytest.importorskip("av")

GREYS = np.linspace(60, 250, 17)
"""Each key point is a dot of its own grey."""


class Dots(torch.nn.Module):
    """Sees key points as dots of their greys, but only those that are large enough in its picture."""

    def __init__(self, config):
        super().__init__()
        self.config, self.looks = config, []

    def forward(self, pixel_values):
        self.looks.append(len(pixel_values))
        grey = 255 * (pixel_values.mean(1) * 0.225 + 0.449)
        off = (grey[:, None] - torch.from_numpy(GREYS).float()[:, None, None]) / 4
        return type("Output", (), {"heatmaps": torch.nn.functional.avg_pool2d(torch.exp(-(off**2)), 3, 1, 1)})


@pytest.fixture
def dots(vitpose):
    """An extractor whose network sees dots, in pictures of 96 x 72."""
    extractor = make_extractor(vitpose, batch_size=10)
    extractor.picture_size = 96, 72
    extractor.mean[:], extractor.deviation[:] = 255 * 0.449, 255 * 0.225
    extractor.network = Dots(extractor.network.config)
    return extractor


def drawn(places, shape=(160, 240), size=5):
    frames = np.zeros((len(places), *shape, 3), np.uint8)
    for frame, points in zip(frames, np.rint(places).astype(int), strict=True):
        for grey, (x, y) in zip(GREYS, points, strict=True):
            frame[max(y - size, 0) : y + size + 1, max(x - size, 0) : x + size + 1] = round(grey)
    return frames


def walk(frames, seed=0):
    """A person of about 60 x 90 pixels who walks from left to right."""
    columns, rows = np.meshgrid(np.linspace(-25, 25, 3), np.linspace(-42, 42, 6))
    stands = np.stack([columns.ravel(), rows.ravel()], axis=1)[:17]
    centre = np.stack([np.linspace(50, 190, frames), np.full(frames, 80.0)], axis=1)
    sway = 3 * np.sin(np.linspace(0, 9, frames))[:, None, None]
    return centre[:, None] + stands + sway


def test_the_person_is_found_and_followed(dots):
    places = walk(80)
    found, sure = dots.keypoints(iter(drawn(places)))
    assert found.shape == (80, 17, 2)
    assert sure.min() > 0.3
    assert np.abs(found - np.rint(places)).max() < 3  # of dots of 11 pixels
    # The same whatever the batches, and little more than a look at each frame.
    assert sum(dots.network.looks) < 1.7 * 80
    dots.batch_size = 64
    np.testing.assert_allclose(dots(drawn(places)), limb_features(found, sure), atol=1e-3)


def test_a_person_who_is_not_there_for_a_while_is_found_again(dots):
    places = walk(110)
    frames = drawn(places)
    frames[30:75] = 0
    found, sure = dots.keypoints(frames)
    assert not (sure[30:75] >= 0.3).any()
    there = np.r_[0:30, 75:110]
    assert (sure[there] >= 0.3).mean() > 0.95
    assert np.abs(found - np.rint(places))[75:].max() < 3
    assert np.isfinite(dots.features(frames)).all()


def test_boxes_leave_out_points_of_others():
    places = walk(2)
    sure = np.ones((2, 17))
    low, high = places.min(axis=1), places.max(axis=1)
    box = body_boxes(places, sure)
    np.testing.assert_allclose(box[:, :2], (low + high) / 2)
    np.testing.assert_allclose(box[:, 2:], 1.15 * (high - low))
    places[0, 8] += 900
    np.testing.assert_allclose(body_boxes(places, sure)[0], box[0])
    sure[1, 3:] = 0.1
    assert np.isnan(body_boxes(places, sure)[1]).all()


def test_a_folder_that_holds_a_pose_model_is_one(vitpose):
    extractor = make_extractor(vitpose, batch_size=3)
    assert isinstance(extractor, PoseExtractor)
    assert (extractor.name, extractor.num_channels, extractor.is_fitted) == ("tiny-vitpose", NUM_FEATURES, True)
    frames = np.random.default_rng(0).integers(0, 256, (5, 50, 70, 3)).astype(np.uint8)
    found = extractor(iter(frames))
    assert (found.shape, found.dtype) == ((5, NUM_FEATURES), np.float32)
    assert extractor([]).shape == (0, NUM_FEATURES)
    assert extractor.decode_size(1920, 1080) == (768, 432)
    with pytest.raises(UserError, match="at frame 0"):
        extractor([frames[0].astype(float)])


def test_a_look_is_what_transformers_sees(vitpose):
    extractor = make_extractor(vitpose)
    processor = transformers.AutoImageProcessor.from_pretrained(vitpose)
    model = transformers.VitPoseForPoseEstimation.from_pretrained(vitpose).eval()
    y, x = np.mgrid[0:120, 0:90]
    picture = np.stack([127 + 90 * np.sin(x / 9), 127 + 90 * np.cos(y / 7), x + y], axis=-1).astype(np.uint8)
    boxes = [[[20.0, 25.0, 50.0, 60.0]]]
    with torch.inference_mode():
        output = model(**processor([picture], boxes=boxes, return_tensors="pt"))
    (pose,) = processor.post_process_pose_estimation(output, boxes=boxes)[0]
    pictures = torch.from_numpy(picture).permute(2, 0, 1)[None]
    _, scores = extractor.look(pictures, np.array([[45.0, 55.0, 50.0, 60.0]]))
    np.testing.assert_allclose(scores[0], pose["scores"], atol=1e-2)


def test_mixtures_of_experts_and_other_key_points(tmp_path):
    folder = save_vitpose(transformers, tmp_path / "plus", num_experts=2, part_features=4)
    frames = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3)).astype(np.uint8)
    assert make_extractor(folder)(frames).shape == (3, NUM_FEATURES)
    other = save_vitpose(transformers, tmp_path / "hand", num_labels=21)
    with pytest.raises(UserError, match=r"17 key points of COCO, but .* has 21"):
        make_extractor(other)


@pytest.fixture
def clips(tmp_path):
    for number in range(3):
        frames = drawn(walk(20 + number), shape=(96, 160), size=2)
        write_video(tmp_path / "clips" / "walk" / f"w{number}.mp4", frames + np.uint8(5 * number), 25.0)
    return tmp_path / "clips"


def test_a_cache_beside_hog_embeds_new_videos_alike(tmp_path, vitpose, clips, monkeypatch):
    monkeypatch.setattr("tpl_lightning.features.pose.LEAST_CONFIDENCE", -1.0)  # weights of chance are never sure
    monkeypatch.setattr("tpl_lightning.features.limbs.LEAST_CONFIDENCE", -1.0)
    out = tmp_path / "c.h5"
    options = [f"out={out}", f"extractor=hog+{vitpose}", "channels=8", "dtype=float32"]
    assert main(["cache", "embed", str(clips), *options]) == 0
    cache = EmbeddingCache(out)
    assert [tuple(group) for group in cache.feature_groups] == [("hog", 8), ("tiny-vitpose", NUM_FEATURES)]
    again, _ = embed_video(clips / "walk" / "w1.mp4", extractor_of_cache(cache, device="cpu"))
    np.testing.assert_allclose(again, cache.read(cache.video_id.tolist().index("w1")), atol=1e-4)


def test_clips_in_which_nobody_is_seen_are_named(tmp_path, vitpose, clips):
    out = tmp_path / "c.h5"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        options = [f"out={out}", f"extractor=hog+{vitpose}", "channels=8"]
        assert main(["cache", "embed", str(clips), *options]) == 0
    said = [str(w.message) for w in caught if "sees nothing" in str(w.message)]
    assert said == [f"{out}: tiny-vitpose sees nothing: its features are 0 in all frames: w0, w1, w2"]
    with pytest.warns(UserWarning, match=r"w1.mp4: tiny-vitpose sees nothing"):
        embed_video(clips / "walk" / "w1.mp4", extractor_of_cache(EmbeddingCache(out)))


def test_other_weights_are_noticed(tmp_path, vitpose):
    _, state = make_extractor(vitpose).state()
    assert state["kind"] == "pose"
    with pytest.raises(UserError, match="put the old weights back"):
        extractor_from_state({}, {**state, "fingerprint": "0" * 16})

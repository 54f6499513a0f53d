"""Boxes cut out and heatmaps read off, against transformers' own."""

import numpy as np
import pytest
import torch

from tpl_lightning.features.heatmaps import cut_out, network_boxes, read_heatmaps

transformers = pytest.importorskip("transformers")

BOXES = np.array([[10.0, 20.0, 50.0, 60.0], [-8.0, 5.0, 30.0, 110.0]])  # left, top, width, height


def boxes_of(size):
    centres = np.concatenate([BOXES[:, :2] + BOXES[:, 2:] / 2, BOXES[:, 2:]], axis=1)
    return network_boxes(torch.from_numpy(centres).float(), *size)


def test_cuts_are_those_of_transformers(vitpose):
    processor = transformers.AutoImageProcessor.from_pretrained(vitpose)
    y, x = np.mgrid[0:120, 0:90]
    picture = np.stack([127 + 90 * np.sin(x / 9), 127 + 90 * np.cos(y / 7), x + y], axis=-1).astype(np.uint8)
    expected = processor([picture], boxes=[BOXES.tolist()], return_tensors="pt")["pixel_values"]
    pictures = torch.from_numpy(picture).permute(2, 0, 1).float().expand(2, -1, -1, -1)
    mean, std = (255 * torch.tensor(getattr(processor, key)).view(3, 1, 1) for key in ("image_mean", "image_std"))
    found = (cut_out(pictures, boxes_of((64, 48)), 64, 48) - mean) / std
    # transformers' cut has bytes: within rounding, but at the picture's edge, where it shows black a pixel earlier.
    off = (found - expected).abs().amax(1)
    assert off.median() < 0.02
    assert (off > 0.05).float().mean() < 0.05


def test_places_are_those_of_transformers(vitpose):
    processor = transformers.AutoImageProcessor.from_pretrained(vitpose)
    rng = np.random.default_rng(0)
    centre, wide = rng.uniform([2, 2], [9, 13], (2, 17, 2)), rng.uniform(1, 2, (2, 17, 1, 1))
    y, x = np.mgrid[0:16, 0:12]
    square = (x - centre[..., :1, None]) ** 2 + (y - centre[..., 1:, None]) ** 2
    heights = rng.uniform(0.2, 1, (2, 17))
    maps = torch.from_numpy(heights[..., None, None] * np.exp(-square / (2 * wide**2))).float()
    output = type("Output", (), {"heatmaps": maps})
    poses = processor.post_process_pose_estimation(output, boxes=[[box] for box in BOXES.tolist()])
    places, scores = read_heatmaps(maps, boxes_of((64, 48)))
    for place, score, (pose,) in zip(places, scores, poses, strict=True):
        np.testing.assert_allclose(place, pose["keypoints"], atol=0.05)
        np.testing.assert_allclose(score, pose["scores"], atol=1e-6)


def test_a_place_between_pixels_is_found():
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij")
    maps = torch.exp(-((x - 20.3) ** 2 + (y - 31.4) ** 2) / 8)[None, None]
    box = torch.tensor([[0.0, 0.0, 47.0, 63.0]])
    place, score = read_heatmaps(maps, box)
    np.testing.assert_allclose(place[0, 0], [20.3 - 23.5, 31.4 - 31.5], atol=0.02)
    assert 0.9 < float(score) <= 1


def test_a_flat_map_has_a_finite_place():
    place, score = read_heatmaps(torch.zeros(1, 2, 16, 12), torch.tensor([[5.0, 5.0, 8.0, 8.0]]))
    assert torch.isfinite(place).all()
    assert not score.any()

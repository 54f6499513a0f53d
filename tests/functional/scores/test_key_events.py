"""Key events and their spread against plain loops over videos."""

import numpy as np
import pytest
import torch

from tests.labelled_videos import (
    EVENT_SIZES,
    NUM_ACTIONS,
    NUM_PHASES,
    close,
    collate,
    event_arguments,
    make_videos,
    reference_spread,
)
from tpl_lightning.functional.scores.key_events import (
    key_event_moments,
    key_event_spread,
    key_events,
    spread_from_moments,
)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("junk", [False, True])
def test_the_spread_is_that_of_loops(seed, junk):
    videos = make_videos(seed)
    spread = key_event_spread(**event_arguments(collate(videos, extra=3, junk=junk)), **EVENT_SIZES)
    assert spread.dtype == torch.float64
    assert close(spread.item(), reference_spread(videos))


def test_first_frame_of_a_phase_is_the_event():
    times, happens = key_events(
        torch.tensor([[0.0, 0.25, 0.5, 0.75, 1.0]]),
        torch.tensor([[0, 2, 1, 2, 3]]),
        torch.tensor([4]),  # the last frame is padding
        num_phases=NUM_PHASES,
    )
    assert happens.tolist() == [[False, True, True, False]]
    assert times.tolist() == [[0.0, 0.5, 0.25, 0.0]]


def test_spread_of_equal_times_is_zero():
    position = torch.full((50, 2), 1 / 3)
    labels = torch.tensor([[0, 1]]).expand(50, 2)
    spread = key_event_spread(
        position, labels, torch.full((50,), 2), torch.zeros(50, dtype=torch.int64), num_actions=1, num_phases=2
    )
    assert spread.item() == pytest.approx(0.0, abs=1e-7)


def test_a_phase_whose_first_frame_faces_no_point_is_no_event():
    times, happens = key_events(
        torch.tensor([[0.0, -1.0, 0.5, 2.0]]), torch.tensor([[0, 1, 1, 2]]), torch.tensor([4]), num_phases=3
    )
    assert happens.tolist() == [[False, False, False]]
    assert times.tolist() == [[0.0, 0.0, 0.0]]


def test_moments_of_parts_add_up_to_numpys_deviation():
    videos = make_videos(6)
    parts = [collate(videos[:10]), collate(videos[10:], extra=3, junk=True)]
    moments = [key_event_moments(**event_arguments(part), **EVENT_SIZES) for part in parts]
    found = spread_from_moments(*(one + other for one, other in zip(*moments, strict=True)))
    for action in range(NUM_ACTIONS):
        for phase in range(NUM_PHASES):
            own = [v for v in videos if v.action == action and phase in v.labels]
            times = [v.position[v.labels.index(phase)] for v in own if phase > 0]
            expected = np.std(times) if len(times) >= 2 else np.nan
            np.testing.assert_allclose(found[action, phase].item(), expected, atol=1e-7)


def test_an_event_of_one_video_has_no_spread():
    count, total = torch.tensor([[0, 1, 2]]), torch.tensor([[0.0, 0.3, 0.8]], dtype=torch.float64)
    squares = torch.tensor([[0.0, 0.09, 0.1**2 + 0.7**2]], dtype=torch.float64)
    expected = torch.tensor([[torch.nan, torch.nan, 0.3]], dtype=torch.float64)
    torch.testing.assert_close(spread_from_moments(count, total, squares), expected, equal_nan=True)

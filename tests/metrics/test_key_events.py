"""Key-event spread against plain loops over videos."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labelled_videos import (
    EVENT_SIZES,
    NUM_ACTIONS,
    close,
    collate,
    event_arguments,
    make_videos,
    reference_spread,
)
from tpl_lightning.metrics import KeyEventSpread


@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_loops(seed):
    videos = make_videos(seed, count=12)
    spread = KeyEventSpread(**EVENT_SIZES)
    spread.update(**event_arguments(collate(videos)))
    assert close(spread.compute().item(), reference_spread(videos))
    assert close(spread.per_action().tolist(), [reference_spread(videos, [a]) for a in range(NUM_ACTIONS)])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 16), max_size=4), extra=st.integers(0, 5))
def test_batches_and_padding_change_nothing(seed, cuts, extra):
    videos = make_videos(seed, count=16)
    whole, parts = KeyEventSpread(**EVENT_SIZES), KeyEventSpread(**EVENT_SIZES)
    whole.update(**event_arguments(collate(videos)))
    for start, stop in itertools.pairwise([0, *sorted(cuts), 16]):  # parts may be empty
        parts.update(**event_arguments(collate(videos[start:stop], extra=extra, junk=True)))
    assert close(parts.compute().item(), whole.compute().item())

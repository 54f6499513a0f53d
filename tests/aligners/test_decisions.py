"""Whether ends are open, by what a fit finds."""

import torch

from tpl_lightning.aligners.decisions import ends_differ


def test_ends_differ_where_they_lie_far_from_the_median_of_their_action():
    action = torch.tensor([0, 0, 0, 1, 1, 1])
    noise = torch.tensor([[0.01, 0.99], [0.02, 1.0], [0.0, 0.97]]).repeat(2, 1)
    assert not ends_differ(noise, action)
    shift = 0.2 * action.unsqueeze(1)  # all videos of an action alike: that is the prototype's, not theirs
    assert not ends_differ(noise + shift, action)
    assert ends_differ(noise + torch.tensor([[0.0, 0.0], [0.2, 0.0], [0.0, -0.15]]).repeat(2, 1), action)

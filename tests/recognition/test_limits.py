"""Where an action ends, learned from errors that are made up."""

import math

import pytest
import torch

from tpl_lightning.recognition.limits import Limits, Verdict

VIDEOS, ACTIONS = 12, 3


def made_up(*, own=1.0, others=9.0, level=0.0, level_of_others=0.0):
    """Errors (N, A, 2) of alignment and of level: by the own action, and by others, each a little apart."""
    action = torch.arange(VIDEOS) % ACTIONS
    is_own = torch.nn.functional.one_hot(action, ACTIONS).bool()
    spread = torch.linspace(0.9, 1.1, VIDEOS)[:, None]
    alignment = torch.where(is_own, own, others) * spread
    levels = torch.where(is_own, 1 + level, 1 + level_of_others) * spread.flip(0)
    return torch.stack([alignment, levels], -1), action


def test_thresholds_lie_between_own_and_other_errors():
    errors, action = made_up(own=0.1, others=0.9)
    limits = Limits.learn(errors, action)
    own = errors[torch.arange(VIDEOS), action]
    torch.testing.assert_close(limits.usual, torch.stack([own[action == a].nanmedian(0).values for a in range(3)]))
    assert limits.weight == 0
    relative = limits.relative(errors)
    torch.testing.assert_close(relative, errors[..., 0] / limits.usual[:, 0])
    is_own = torch.nn.functional.one_hot(action, ACTIONS).bool()
    assert (relative[is_own] < limits.threshold[action]).all()
    assert (relative < limits.threshold).equal(is_own)
    assert (limits.clip >= limits.threshold).all()
    assert limits.separation == pytest.approx(math.log(0.9 / 0.1), abs=0.3)


def test_levels_count_where_they_tell_actions_apart():
    """Alignments say nothing here, levels of others are 31 times as large.

    With a weight w, others have (1 + 31 w) / (1 + w), and a video in which nothing happens, which must be far too,
    (10 + w) / (1 + w): of the weights that may be chosen the lesser of both is largest at 0.3.
    """
    errors, action = made_up(own=0.1, others=0.1, level_of_others=30)
    limits = Limits.learn(errors, action)
    assert limits.weight == 0.3
    relative = errors / limits.usual
    torch.testing.assert_close(limits.relative(errors), (relative[..., 0] + 0.3 * relative[..., 1]) / 1.3)


def test_a_part_of_an_action_has_no_level():
    usual, threshold = torch.tensor([[0.1, 2.0], [0.5, 4.0]]), torch.tensor([2.0, 4.0])
    limits = Limits(usual, 1.0, threshold, threshold, 1.0)
    errors = torch.tensor([[0.3, 10.0], [1.0, 10.0], [1.0, 10.0]])
    over = limits.over(errors, torch.tensor([0, 1, 1]), torch.tensor([True, True, False]))
    torch.testing.assert_close(over, torch.tensor([(3 + 5) / 2 / 2, (2 + 2.5) / 2 / 4, 2 / 4]))


def test_an_action_of_one_video_gets_what_is_usual_for_the_others():
    errors, action = made_up(own=0.1, others=0.9)
    errors[action == 2] = torch.nan  # no video is left to compare with
    limits = Limits.learn(errors, action)
    torch.testing.assert_close(limits.usual[2], limits.usual[:2].min(0).values)
    assert torch.isfinite(limits.threshold).all()


def test_verdicts_name_the_nearest_unless_it_is_too_far():
    unit = torch.ones(2, 2)
    limits = Limits(unit, 0.0, torch.tensor([2.0, 2.0]), torch.tensor([3.0, 2.5]), 1.0)
    near, far = limits.verdicts(torch.tensor([[1.5, 6.0], [9.0, 3.0]]), ["jump", "turn"])
    assert near == Verdict("jump", "jump", 1.5, 4.0, 3.0)
    assert far == Verdict(None, "turn", 3.0, 3.0, 2.5)
    (alone,) = Limits(unit[:1], 0.0, unit[:1, 0], unit[:1, 0], 1.0).verdicts(torch.tensor([[1.0]]), ["jump"])
    assert alone == Verdict("jump", "jump", 1.0, math.inf, 1.0)


def test_verdicts_are_said_in_a_sentence():
    told = "1.5 times the error of its training videos"
    assert Verdict("jump", "jump", 1.5, 4.0, 3.0).words() == f"shows jump ({told}; the next action's is 4.0 times that)"
    assert Verdict("jump", "jump", 1.5, math.inf, 3.0).words() == f"shows jump ({told})"
    skipped = f"none of the actions, skipped (nearest jump: {told}, more than 1.2)"
    assert Verdict(None, "jump", 1.5, 4.0, 1.2).words() == skipped

import numpy as np
import pytest
import torch

from tests.recognition.curves import CHANNELS, Actions, training, write_cache
from tpl_lightning.config import DataConfig
from tpl_lightning.data import EmbeddingCache, VideoSet
from tpl_lightning.recognition.actions import ActionModel


def made(tmp_path, actions, each=6, videos=None):
    train = VideoSet(EmbeddingCache(write_cache(tmp_path / "c.h5", videos or training(actions, each))))
    return ActionModel(train, [np.linspace(0, 1, 80)] * len(train), DataConfig())


def test_new_videos_are_named_and_foreign_ones_are_none(tmp_path):
    actions = Actions(4)
    model = made(tmp_path, actions)
    truth = [number % 4 for number in range(20)]
    verdicts = model.verdicts(model.errors([actions.clip(number) for number in truth]))
    assert [verdict.action for verdict in verdicts] == [actions.names[number] for number in truth]
    assert min(verdict.margin for verdict in verdicts) > 1.5
    others = [actions.foreign() for _ in range(10)] + [actions.pause(actions.poses[0, 0], 80)]
    assert [verdict.action for verdict in model.verdicts(model.errors(others))] == [None] * 11


def test_a_video_has_the_same_errors_in_any_company(tmp_path):
    actions = Actions(3)
    model = made(tmp_path, actions)
    clips = [actions.clip(number) for number in (0, 1, 2, 0)]
    torch.testing.assert_close(model.errors(clips)[2:3], model.errors(clips[2:3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("each", [1, 2])
def test_few_training_videos_are_enough(tmp_path, each):
    actions = Actions(3)
    model = made(tmp_path, actions, each)
    verdicts = model.verdicts(model.errors([actions.clip(number) for number in (0, 1, 2)]))
    assert [verdict.nearest for verdict in verdicts] == ["a", "b", "c"]
    assert torch.isfinite(model.limits.threshold).all()


def test_with_one_action_others_are_none_of_it(tmp_path):
    actions = Actions(1)
    model = made(tmp_path, actions)
    yes, no = model.verdicts(model.errors([actions.clip(0), actions.foreign()]))
    assert (yes.action, no.action, no.nearest) == ("a", None, "a")
    assert yes.margin == float("inf")


def test_levels_count_where_training_videos_say_so(tmp_path):
    actions = Actions(2)
    actions.poses[1] = actions.poses[0]  # the same movement at another place
    shift = 3 * np.ones(CHANNELS, np.float32)
    videos = [(name, a, s, x + shift * (a == "b")) for name, a, s, x in training(actions)]
    model = made(tmp_path, actions, videos=videos)
    assert model.limits.weight > 0
    verdicts = model.verdicts(model.errors([actions.clip(0), actions.clip(0) + shift]))
    assert [verdict.nearest for verdict in verdicts] == ["a", "b"]

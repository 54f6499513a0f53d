"""Names, splits and phases of clips."""

from pathlib import Path

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.features.annotating import annotate, annotate_each, choose_splits, video_names
from tpl_lightning.features.clips import Clip
from tpl_lightning.labels import Annotations

ROOT = Path("/clips")


def clips(*names, action="jump", split=""):
    return [Clip(name, action, split, ROOT / action / f"{name}.mp4") for name in names]


def notes(**options):
    named = {"a": [(0.0, 3.0, "up"), (3.0, 9.0, "down")], "b": [(0.0, 2.0, "up")]}
    return Annotations(Path("notes.json"), "frames", named, **options)


def test_names_are_as_short_as_they_can_be():
    paths = [("jump", "jump/a.mp4"), ("turn", "turn/a.mp4"), ("turn", "turn/b.mp4"), ("jump", "jump/x/c.mp4")]
    paths += [("jump", "jump/y/c.mp4")]
    found = video_names([(action, ROOT / path) for action, path in paths], ROOT)
    assert found == ["jump/a.mp4", "turn/a.mp4", "b", "jump/x/c.mp4", "jump/y/c.mp4"]


@pytest.mark.parametrize(("count", "tests"), [(2, 0), (3, 1), (4, 1), (8, 2), (40, 10)])
def test_a_quarter_is_for_testing_and_two_at_least_for_training(count, tests):
    found = choose_splits(clips(*(f"v{number}" for number in range(count))))
    assert [clip.split for clip in found].count("test") == tests
    assert {clip.split for clip in found} <= {"train", "test"}
    backwards = choose_splits(clips(*(f"v{number}" for number in reversed(range(count)))))
    assert {clip.video_id: clip.split for clip in found} == {clip.video_id: clip.split for clip in backwards}


def test_a_split_that_is_given_stays():
    assert {clip.split for clip in choose_splits(clips(*"abcdefgh", split="val"))} == {"val"}


def test_annotated_clips_get_phases_split_and_length():
    found, names = annotate(clips("a", "b", "c"), notes(split={"a": "val"}, num_frames={"b": 7}))
    assert names == {"jump": ["up", "down"]}
    assert found[0].phases.spans == ((0.0, 3.0, 0), (3.0, 9.0, 1))
    assert [clip.split for clip in found] == ["val", "", ""]
    assert [clip.num_frames for clip in found] == [None, 7, None]
    assert found[2].phases is None


def test_annotations_of_other_videos_or_actions_are_named():
    with pytest.raises(UserError, match=r"notes\.json: expected annotations of the videos by their names \('x'"):
        annotate(clips("x"), notes())
    with pytest.raises(UserError, match=r"video 'a' is said to show 'turn', but lies in 'jump'"):
        annotate(clips("a", "b"), notes(action={"a": "turn"}))
    with pytest.warns(UserWarning, match=r"notes\.json: labels match no video .*'a'\): b"):
        annotate(clips("a"), notes())


def test_each_clip_gets_the_phases_of_its_own_file():
    one = Annotations(Path("one.json"), "frames", {"whatever": [(0.0, 4.0, "up"), (4.0, 6.0, "land")]})
    found, names = annotate_each(clips("a", "x", "y"), {"a": notes(), "x": one}, {})
    assert names["jump"][0] == "up"
    assert set(names["jump"]) == {"up", "down", "land"}
    assert found[0].phases.spans[0] == (0.0, 3.0, 0)
    assert found[1].phases.spans[1] == (4.0, 6.0, names["jump"].index("land"))
    assert found[2].phases is None
    with pytest.warns(UserWarning, match=r"notes\.json: names none of its videos 'y': that stays unlabelled"):
        found, _ = annotate_each(clips("y"), {"y": notes()}, {})
    assert found[0].phases is None
    assert annotate_each(found, {}, {"jump": ["up"]}) == (found, {"jump": ["up"]})


def test_every_action_is_in_train_and_test(embedded):
    for action in ("jump", "turn"):
        splits = embedded.split[embedded.action == action].tolist()
        assert splits.count("test") == 1
        assert splits.count("train") == len(splits) - 1

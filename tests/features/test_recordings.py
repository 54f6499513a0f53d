import numpy as np

from tpl_lightning.features.recordings import scenes


def pictures(rng, count):
    """A scene with a bar that moves a little."""
    back = rng.integers(0, 256, (12, 12, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    frames = np.repeat(back[None], count, 0)
    for number, frame in enumerate(frames):
        frame[number % 90 : number % 90 + 6] = 255
    return frames


def test_recordings_are_divided_at_cuts_alone():
    rng = np.random.default_rng(0)
    frames = np.concatenate([pictures(rng, 40), pictures(rng, 25), pictures(rng, 60)])
    found = [np.stack(list(scene)) for scene in scenes(frames)]
    assert [len(scene) for scene in found] == [40, 25, 60]
    np.testing.assert_array_equal(np.concatenate(found), frames)
    assert [sum(1 for _ in scene) for scene in scenes(pictures(rng, 50))] == [50]
    assert list(scenes([])) == []


def test_a_flash_makes_no_scene_of_a_frame_or_two():
    frames = pictures(np.random.default_rng(0), 40)
    frames[3] = 255 - frames[3]
    assert [sum(1 for _ in scene) for scene in scenes(frames)] == [40]

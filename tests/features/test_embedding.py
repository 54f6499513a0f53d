"""From a folder of videos to a cache."""

import os
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from tests.features.conftest import QUIET, moving_square
from tests.features.small_runs import Counting, run
from tests.run_factory import read_video
from tests.video_factory import embed_folder
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features import embed_clips
from tpl_lightning.features.extractors import embed_video, extractor_of_cache, make_extractor
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.listing import clips_of_folder, clips_of_list
from tpl_lightning.video.files import write_video

pytest.importorskip("av")

from tests.video_factory import write_at


def test_every_video_is_embedded(embedded, folder):
    embedded.validate()
    assert (embedded.dataset, embedded.extractor, embedded.num_channels) == ("mine", "hog-pca6", 6)
    assert not embedded.has_labels
    assert not embedded.has_progress
    assert not embedded.is_procedural
    assert str(folder.parent) not in embedded.source
    # A name that occurs in both actions carries the action; one that does not stays as it is.
    assert embedded.video_id.tolist() == [
        "first_jump",
        *(f"jump/take {number}.mp4" for number in (1, 2)),
        "take 3",
        "first_turn",
        *(f"turn/take {number}.mp4" for number in (1, 2)),
    ]
    assert embedded.action.tolist() == ["jump"] * 4 + ["turn"] * 3
    assert embedded.lengths.tolist() == [12, 13, 14, 15, 12, 13, 14]
    assert set(embedded.fps.tolist()) == {24.0}


def test_every_frame_keeps_its_time(embedded, folder, tmp_path):
    np.testing.assert_allclose(embedded.frame_times(3), np.arange(15) / 24, atol=1e-6)
    thinned = EmbeddingCache(embed_folder(folder, tmp_path / "x.h5", channels=6, fps=12.0, **QUIET))
    np.testing.assert_allclose(thinned.frame_times(3), np.arange(8) / 12)
    assert embedded.file_bytes[3] == thinned.file_bytes[3] == (folder / "jump" / "take 3.mp4").stat().st_size


def test_seconds_are_those_of_the_frames_and_not_of_an_even_clock(tmp_path):
    """Ten frames per second, then thirty: a phase that begins at 1 s begins at the frame that is shown then."""
    ticks = np.concatenate([3 * np.arange(10), 30 + np.arange(20)])
    lines = ["video_id,phase,start_s,end_s"]
    for name in ("a", "b"):
        write_at(tmp_path / "clips" / f"{name}.mp4", moving_square(30), ticks, 30)
        lines += [f"{name},up,0,1", f"{name},down,1,1.3333", f"{name},end,1.3333,9"]
    (tmp_path / "l.csv").write_text("\n".join(lines))
    (tmp_path / "v.csv").write_text("path,action,labels\nclips/a.mp4,jump,l.csv\nclips/b.mp4,jump,l.csv\n")
    clips, names = clips_of_list(tmp_path / "v.csv")
    for fps, expected in ((None, (10, 20)), (30.0, (30, 40)), (6.0, (6, 8))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the frame rate varies
            path = embed_clips(
                clips, tmp_path / f"{fps}.h5", extractor=HogExtractor(channels=3), dataset="d", source="s",
                phase_names=names, fps=fps, alone=True, **QUIET,
            )  # fmt: skip
        found = EmbeddingCache(path)
        for index in range(2):
            labels = found.labels(index)
            assert [int((labels >= k).argmax()) for k in (1, 2)] == list(expected)


def test_stored_extractor_embeds_new_videos_alike(embedded, folder):
    extractor = HogExtractor.from_state(*embedded.extractor_state())
    frames, _ = read_video(folder / "jump" / "take 3.mp4")
    np.testing.assert_allclose(extractor(frames), embedded.read(3), atol=2e-3)  # the cache may hold float16
    train = np.concatenate([embedded.read(i) for i in np.flatnonzero(embedded.split == "train")])
    assert np.abs(train.mean(axis=0)).max() < 0.1 * train.std()


def test_result_does_not_depend_on_workers(embedded, folder, tmp_path):
    out = embed_folder(folder, tmp_path / "x.h5", dataset="mine", channels=6, num_workers=2, progress=False)
    assert EmbeddingCache(out).fingerprint() == embedded.fingerprint()


def test_a_given_extractor_is_used_as_it_is(embedded, folder, tmp_path):
    extractor = HogExtractor.from_state(*embedded.extractor_state())
    (tmp_path / "new" / "jump").mkdir(parents=True)
    for name in ("take 1.mp4", "take 2.mp4"):
        (tmp_path / "new" / "jump" / name).write_bytes((folder / "jump" / name).read_bytes())
    new = EmbeddingCache(embed_folder(tmp_path / "new", tmp_path / "new.h5", extractor=extractor, channels=99, **QUIET))
    assert new.split.tolist() == ["train", "train"]
    np.testing.assert_array_equal(new.read(0), embedded.read(1))
    np.testing.assert_array_equal(new.read(1), embedded.read(2))


def test_fps_thins_out(folder, tmp_path):
    thin = EmbeddingCache(embed_folder(folder, tmp_path / "thin.h5", channels=4, fps=12.0, **QUIET))
    assert thin.lengths.tolist() == [6, 7, 7, 8, 6, 7, 7]
    assert set(thin.fps.tolist()) == {12.0}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_file_is_named(folder, tmp_path, num_workers):
    (tmp_path / "clips" / "jump").mkdir(parents=True)
    (tmp_path / "clips" / "jump" / "good.mp4").write_bytes((folder / "jump" / "take 1.mp4").read_bytes())
    bad = tmp_path / "clips" / "jump" / "bad.mp4"
    bad.write_bytes((folder / "jump" / "take 1.mp4").read_bytes()[:700])
    with pytest.raises(UserError) as error:
        embed_folder(tmp_path / "clips", tmp_path / "x.h5", num_workers=num_workers, progress=False)
    assert str(bad) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.h5").exists()


def test_a_single_frame_is_named(folder, tmp_path):
    for name, count in (("a.mp4", 1), ("b.mp4", 9)):
        write_video(tmp_path / "clips" / "jump" / name, moving_square(count), 24.0)
    with pytest.raises(UserError, match=r"at least 2 frames in .*a\.mp4"):
        embed_folder(tmp_path / "clips", tmp_path / "x.h5", **QUIET)


def test_progress_is_reported_on_standard_error(folder, tmp_path, capsys):
    embed_folder(folder, tmp_path / "x.h5", channels=4, num_workers=0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Embedding videos: 7/7" in captured.err


def test_a_run_that_was_stopped_goes_on_where_it_was(folder, tmp_path):
    out = tmp_path / "x.h5"
    with pytest.raises(KeyboardInterrupt):
        run(folder, out, Counting(stop_at=3))
    assert not out.exists()
    rest = Counting()
    assert run(folder, out, rest) == out
    assert rest.seen == 4
    assert EmbeddingCache(out).fingerprint() == EmbeddingCache(run(folder, tmp_path / "y.h5")).fingerprint()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5", "y.h5"]  # shards are gone


def test_a_video_that_changed_is_done_again_and_so_are_all_at_another_rate(folder, tmp_path):
    clips, out = tmp_path / "clips", tmp_path / "x.h5"
    shutil.copytree(folder, clips)
    with pytest.raises(KeyboardInterrupt):
        run(clips, out, Counting(stop_at=6))
    os.utime(clips / "jump" / "take 1.mp4", (1, 1))
    write_video(clips / "jump" / "take 2.mp4", moving_square(9, seed=9), 24.0)
    with pytest.raises(KeyboardInterrupt):
        run(clips, out, again := Counting(stop_at=2), fps=None)
    assert again.seen == 2
    run(clips, out, Counting(), fps=12.0)
    assert set(EmbeddingCache(out).fps.tolist()) == {12.0}


def test_broken_videos_do_not_stop_the_others_and_can_be_left_out(folder, tmp_path):
    clips, out = tmp_path / "clips", tmp_path / "x.h5"
    shutil.copytree(folder, clips)
    (clips / "jump" / "take 1.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"1 of 7 videos cannot be embedded: .*take 1\.mp4.* skip_broken=true"):
        run(clips, out, first := Counting())
    assert first.seen == 7
    with pytest.warns(UserWarning, match="left out: .*take 1.mp4"):
        run(clips, out, again := Counting(), skip_broken=True)
    assert again.seen == 1  # the broken one is tried again
    assert len(EmbeddingCache(out)) == 6


def test_frames_beyond_the_content_are_left_out(folder, tmp_path):
    clips = [replace(clip, num_frames=8) for clip in clips_of_folder(folder)]
    options = {"dataset": "d", "source": "s", **QUIET}
    full = EmbeddingCache(embed_clips(clips, tmp_path / "x.h5", extractor=HogExtractor(channels=4), **options))
    assert set(full.lengths.tolist()) == {8}
    half = embed_clips(clips, tmp_path / "y.h5", extractor=HogExtractor(channels=4), fps=12.0, **options)
    assert set(EmbeddingCache(half).lengths.tolist()) == {4}


def test_networks_embed_through_the_same_door(folder, tmp_path, dinov2):
    cache = EmbeddingCache(run(folder, tmp_path / "x.h5", make_extractor(dinov2, batch_size=5)))
    assert (cache.extractor, cache.num_channels, cache.lengths.tolist()) == (
        "tiny-dinov2",
        32,
        [12, 13, 14, 15, 12, 13, 14],
    )
    again, _ = embed_video(folder / "jump" / "take 3.mp4", extractor_of_cache(cache))
    np.testing.assert_allclose(again, cache.read(3), atol=2e-3)

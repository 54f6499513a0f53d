"""From a folder of videos to a cache."""

import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.run_factory import read_video
from tests.video_factory import embed_folder
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features import embed_clips, merge_shards
from tpl_lightning.features.extractors import embed_video, extractor_of_cache, make_extractor
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.listing import clips_of_folder, clips_of_list
from tpl_lightning.video.files import write_video

pytest.importorskip("av")

from tests.video_factory import write_at

QUIET = {"num_workers": 0, "progress": False}


def moving_square(count, *, seed=0, size=48):
    """A bright square that crosses a textured picture."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(40, 90, size=(1, size, size, 3)), count, axis=0).astype(np.uint8)
    for index, place in enumerate(np.linspace(0, size - 12, count).astype(int)):
        frames[index, place : place + 12, place : place + 12] = 240
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips") / "my clips"
    for action, count in (("jump", 4), ("turn", 3)):
        for number in range(count):
            name = root / action / f"take {number}.mp4" if number else root / action / f"first_{action}.mp4"
            write_video(name, moving_square(12 + number, seed=number), 24.0)
    return root


@pytest.fixture(scope="module")
def cache(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("cache") / "sub" / "clips.h5"
    return EmbeddingCache(embed_folder(folder, out, dataset="mine", channels=6, **QUIET))


def test_every_video_is_embedded(cache, folder):
    cache.validate()
    assert (cache.dataset, cache.extractor, cache.num_channels) == ("mine", "hog-pca6", 6)
    assert not cache.has_labels
    assert not cache.has_progress
    assert not cache.is_procedural
    assert str(folder.parent) not in cache.source
    # A name that occurs in both actions carries the action; one that does not stays as it is.
    assert cache.video_id.tolist() == [
        "first_jump",
        *(f"jump/take {number}.mp4" for number in (1, 2)),
        "take 3",
        "first_turn",
        *(f"turn/take {number}.mp4" for number in (1, 2)),
    ]
    assert cache.action.tolist() == ["jump"] * 4 + ["turn"] * 3
    assert cache.lengths.tolist() == [12, 13, 14, 15, 12, 13, 14]
    assert set(cache.fps.tolist()) == {24.0}


def test_every_frame_keeps_its_time(cache, folder, tmp_path):
    np.testing.assert_allclose(cache.frame_times(3), np.arange(15) / 24, atol=1e-6)
    thinned = EmbeddingCache(embed_folder(folder, tmp_path / "x.h5", channels=6, fps=12.0, **QUIET))
    np.testing.assert_allclose(thinned.frame_times(3), np.arange(8) / 12)
    assert cache.file_bytes[3] == thinned.file_bytes[3] == (folder / "jump" / "take 3.mp4").stat().st_size


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


def test_every_action_is_in_train_and_test(cache):
    for action in ("jump", "turn"):
        splits = cache.split[cache.action == action].tolist()
        assert splits.count("test") == 1
        assert splits.count("train") == len(splits) - 1


def test_stored_extractor_embeds_new_videos_alike(cache, folder):
    extractor = HogExtractor.from_state(*cache.extractor_state())
    frames, _ = read_video(folder / "jump" / "take 3.mp4")
    np.testing.assert_allclose(extractor(frames), cache.read(3), atol=2e-3)  # the cache may hold float16
    train = np.concatenate([cache.read(i) for i in np.flatnonzero(cache.split == "train")])
    assert np.abs(train.mean(axis=0)).max() < 0.1 * train.std()


def test_result_does_not_depend_on_workers(cache, folder, tmp_path):
    out = embed_folder(folder, tmp_path / "x.h5", dataset="mine", channels=6, num_workers=2, progress=False)
    assert EmbeddingCache(out).fingerprint() == cache.fingerprint()


def test_a_given_extractor_is_used_as_it_is(cache, folder, tmp_path):
    extractor = HogExtractor.from_state(*cache.extractor_state())
    (tmp_path / "new" / "jump").mkdir(parents=True)
    for name in ("take 1.mp4", "take 2.mp4"):
        (tmp_path / "new" / "jump" / name).write_bytes((folder / "jump" / name).read_bytes())
    new = EmbeddingCache(embed_folder(tmp_path / "new", tmp_path / "new.h5", extractor=extractor, channels=99, **QUIET))
    assert new.split.tolist() == ["train", "train"]
    np.testing.assert_array_equal(new.read(0), cache.read(1))
    np.testing.assert_array_equal(new.read(1), cache.read(2))


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


def test_folders_that_do_not_do_are_named(folder, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        embed_folder(tmp_path / "nowhere", tmp_path / "x.h5", **QUIET)
    (tmp_path / "empty" / "jump").mkdir(parents=True)
    with pytest.raises(UserError, match="found none"):
        embed_folder(tmp_path / "empty", tmp_path / "x.h5", **QUIET)
    (tmp_path / "empty" / "jump" / "a.mp4").write_bytes((folder / "jump" / "take 1.mp4").read_bytes())
    with pytest.raises(UserError, match="jump has 1"):
        embed_folder(tmp_path / "empty", tmp_path / "x.h5", **QUIET)
    with pytest.warns(UserWarning, match="components, so that"):
        embed_folder(folder, tmp_path / "x.h5", channels=500, **QUIET)
    cache = EmbeddingCache(tmp_path / "x.h5")
    assert cache.extractor == f"hog-pca{cache.num_channels}"
    assert cache.num_channels < 500


def test_progress_is_reported_on_standard_error(folder, tmp_path, capsys):
    embed_folder(folder, tmp_path / "x.h5", channels=4, num_workers=0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Embedding videos: 7/7" in captured.err


class Counting(HogExtractor):
    """HOG that counts the videos it sees, and stops at one of them."""

    def __init__(self, *, stop_at=None):
        super().__init__(channels=4)
        self.seen, self.stop_at = 0, stop_at

    def features(self, frames):
        if self.seen == self.stop_at:
            raise KeyboardInterrupt
        self.seen += 1
        return super().features(frames)


def run(folder, out, extractor=None, **options):
    clips = clips_of_folder(folder)
    options = {"dataset": "mine", "source": "s", **QUIET, **options}
    return embed_clips(clips, out, extractor=extractor or HogExtractor(channels=4), **options)


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


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_processes_share_the_work_and_merge_without_loss(folder, tmp_path, monkeypatch, order):
    out, seen = tmp_path / "x.h5", []
    for rank in order:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        made = run(folder, out, counting := Counting())
        seen.append(counting.seen)
    assert sorted(seen) == [2, 2, 3]
    if order[-1] == 0:
        assert made == out
    else:  # the first process could not know when the others would be done
        assert made is None
        with pytest.raises(UserError, match="shards: expected"):
            merge_shards(tmp_path / "no x.h5")
        merge_shards(out)
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert EmbeddingCache(out).fingerprint() == EmbeddingCache(run(folder, tmp_path / "y.h5")).fingerprint()


def test_merging_too_early_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    run(folder, tmp_path / "x.h5")
    with pytest.raises(UserError, match="4 of 7 videos are not embedded yet"):
        merge_shards(tmp_path / "x.h5")
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(UserError, match="RANK=2 WORLD_SIZE=2"):
        run(folder, tmp_path / "x.h5")


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


def test_a_list_with_labels(folder, tmp_path):
    np.save(tmp_path / "labels.npy", np.repeat([0, 1, 2], 4))
    (tmp_path / "segments.csv").write_text(
        "video_id,phase,start_frame,end_frame\nlast,phase 1,0,2\nlast,phase 2,2,15\n"
    )
    rows = [
        "path,action,split,labels,video_id",
        f"{folder}/jump/first_jump.mp4,jump,train,labels.npy,",
        f"{folder}/jump/take 1.mp4,jump,test,5;9,second",
        f"{folder}/turn/first_turn.mp4,turn,train,,",
        f"{folder}/jump/take 3.mp4,jump,train,segments.csv,last",
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    clips, names = clips_of_list(tmp_path / "list.csv")
    assert [(clip.video_id, clip.split) for clip in clips] == [
        ("first_jump", "train"),
        ("second", "test"),
        ("first_turn", "train"),
        ("last", "train"),
    ]
    options = {"dataset": "d", "source": "s", "phase_names": names, **QUIET}
    cache = EmbeddingCache(embed_clips(clips, tmp_path / "x.h5", extractor=HogExtractor(channels=4), **options))
    cache.validate()
    assert cache.labels(0).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert cache.labels(1).tolist() == [0] * 5 + [1] * 4 + [2] * 4
    assert set(cache.labels(2).tolist()) == {-1}
    assert cache.labels(3).tolist() == [0] * 2 + [1] * 13
    assert cache.phase_names["jump"] == ["phase 1", "phase 2", "phase 3"]


def test_two_videos_of_one_name_are_named_at_once(folder, tmp_path):
    clips = clips_of_folder(folder)
    twice = replace(clips[0], path=folder / "other.mp4")
    with pytest.raises(UserError, match=r"other\.mp4: the name 'first_jump' is that of .*first_jump\.mp4 too"):
        embed_clips([*clips, twice], tmp_path / "x.h5", extractor=Counting(stop_at=0), dataset="d", source="s", **QUIET)
    assert not list(tmp_path.iterdir())


def test_lists_come_from_spreadsheets_too(folder, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"\ufeffpath;action;video_id\n{folder}/jump/first_jump.mp4;jump;sprung auf\n", encoding="utf-8")
    assert [(clip.action, clip.video_id) for clip in clips_of_list(path)[0]] == [("jump", "sprung auf")]
    path.write_bytes("path,action\nfirst.mp4,fußball\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"list\.csv: expected a CSV file in UTF-8"):
        clips_of_list(path)


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


def test_shards_of_a_network_are_merged_without_its_weights(folder, tmp_path, dinov2, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        run(folder, tmp_path / "x.h5", make_extractor(dinov2))
    monkeypatch.setattr("tpl_lightning.features.extractors.make_extractor", None)
    cache = EmbeddingCache(merge_shards(tmp_path / "x.h5"))
    assert (cache.extractor, cache.extractor_state()[1]["model"]) == ("tiny-dinov2", dinov2)


@pytest.mark.slow
def test_torchrun(folder, tmp_path):
    options = [f"out={tmp_path / 'x.h5'}", "channels=4", "num_workers=0"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    subprocess.run([*command, "tpl_lightning", "cache", "embed", str(folder), *options], check=True, timeout=120)
    # torchrun gives each process one thread, and components found by several are rounded otherwise.
    with threadpool_limits(1):
        expected = EmbeddingCache(run(folder, tmp_path / "y.h5"))
    made = EmbeddingCache(tmp_path / "x.h5")
    assert made.video_id.tolist() == expected.video_id.tolist()
    for index in range(len(expected)):
        np.testing.assert_array_equal(made.read(index), expected.read(index))

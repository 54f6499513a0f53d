"""Which file shows what: videos of a run, and new ones, embedded and aligned on the spot."""

import shutil

import numpy as np
import pytest

from tests.run_factory import make_run
from tests.video_factory import embed_folder
from tpl_lightning.__main__ import main
from tpl_lightning.errors import UserError
from tpl_lightning.runs import NEW, Run
from tpl_lightning.video.files import write_video

pytest.importorskip("av")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder, actions=("jump", "turn"), lengths=(20, 24), strengths=(0.1, 0.3), prototype=20)
    return folder


@pytest.fixture
def run(folder):
    return Run(folder / "runs" / "r")


@pytest.fixture
def clips(folder):
    return folder / "videos" / "tiny"


def test_files_of_the_run_are_known_by_name(run, clips):
    videos = run.videos([clips / "turn" / "turn_1.mp4", clips / "jump"])
    assert [v.video_id for v in videos] == ["turn_1", "jump_0", "jump_1"]
    assert [(v.action, v.split) for v in videos[:2]] == [("turn", "test"), ("jump", "train")]
    np.testing.assert_array_equal(videos[0].position, run.alignment.position(3))
    np.testing.assert_array_equal(videos[0].source, run.alignment.source(3))
    assert [v.video_id for v in run.videos([clips], action="turn")] == ["turn_0", "turn_1"]
    assert [v.video_id for v in run.videos([])] == ["jump_0", "jump_1", "turn_0", "turn_1"]


def test_a_file_in_the_folder_of_another_action_is_another_video(run, clips, tmp_path):
    (tmp_path / "jump").mkdir()
    shutil.copy(clips / "turn" / "turn_0.mp4", tmp_path / "jump")
    with pytest.raises(UserError, match="it does not hold the extractor 'none' that made it"):
        run.videos([tmp_path / "jump" / "turn_0.mp4"])


def test_new_files_of_one_name_are_told_apart_by_their_folders(run, clips, tmp_path):
    for name in ("day1/a.mp4", "day2/a.mp4", "day2/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(clips / "jump" / "jump_0.mp4", tmp_path / name)
    found = run.files([tmp_path / "day1", tmp_path / "day2", tmp_path / "day1" / "a.mp4"], action="jump")
    assert [file.video_id for file in found] == ["day1/a.mp4", "day2/a.mp4", "b"]
    assert [file.path for file in found] == [tmp_path / name for name in ("day1/a.mp4", "day2/a.mp4", "day2/b.mp4")]


def test_user_errors(run, clips, tmp_path):
    stray = tmp_path / "stray.mp4"
    shutil.copy(clips / "jump" / "jump_0.mp4", stray)
    with pytest.raises(UserError, match="it does not hold the extractor 'none' that made it"):
        run.videos([stray])  # what it shows would have to be seen
    shutil.copy(stray, tmp_path / "jump_0.mp4")
    with pytest.raises(UserError, match="a second file of the name 'jump_0'"):
        run.videos([clips, tmp_path / "jump_0.mp4"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no video there"):
        run.videos([tmp_path / "empty"])


def test_a_cache_that_has_moved_or_changed(folder, tmp_path):
    copy = tmp_path / "moved" / "c.h5"
    copy.parent.mkdir()
    shutil.copy(folder / "cache.h5", copy)
    assert len(Run(folder / "runs" / "r", cache=copy).cache) == 4
    with pytest.raises(UserError, match="say where it is with cache=PATH"):
        _ = Run(folder / "runs" / "r", cache=tmp_path / "none.h5").cache
    make_run(tmp_path, lengths=(21, 24), strengths=(0.1, 0.3), files=False)
    with pytest.raises(UserError, match="has 20 frames of video 'jump_0' \\(here: 21 frames\\)"):
        _ = Run(folder / "runs" / "r", cache=tmp_path / "cache.h5").cache
    (tmp_path / "half").mkdir()
    with pytest.raises(UserError, match="no alignment there"):
        Run(tmp_path / "half")


def square(count, bend, seed=0, size=48):
    """A bright square that falls through a textured picture at a changing pace."""
    picture = np.random.default_rng(seed).integers(40, 90, size=(size, size, 3)).astype(np.uint8)
    time = np.linspace(0, 1, count)
    for place in ((time + bend * time * (1 - time)) * (size - 12)).astype(int):
        frame = picture.copy()
        frame[place : place + 12, place // 2 : place // 2 + 12] = 240
        yield frame


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the direct fit on clips embedded by HOG."""
    root = tmp_path_factory.mktemp("trained")
    for k, bend in enumerate((0.0, 0.5, -0.5, 0.3)):
        write_video(root / "clips" / "fall" / f"fall_{k}.mp4", square(26 + k, bend, seed=k), 24.0)
    cache = embed_folder(root / "clips", root / "clips.h5", channels=6, num_workers=0, progress=False)
    options = ["method=direct", "data.pca=6", "run.figures=false", "run.progress=false"]
    assert main(["fit", f"data.cache={cache}", f"run.dir={root / 'runs'}", "run.name=r", *options]) == 0
    return root


def test_a_copy_under_a_new_name_gets_about_the_warp_of_the_original(trained, tmp_path, capsys):
    run = Run(trained / "runs" / "r")
    (known,) = run.videos([trained / "clips" / "fall" / "fall_1.mp4"])
    shutil.copy(known.path, tmp_path / "holiday.mp4")
    (new,) = run.videos([tmp_path / "holiday.mp4"])  # the only action there is needs no name
    assert (new.video_id, new.action, new.split, new.fps) == ("holiday", "fall", NEW, 24.0)
    assert np.abs(new.position - known.position).max() < 0.06
    out = tmp_path / "o.mp4"
    assert main(["sync", str(run.folder), str(tmp_path), str(trained / "clips"), f"out={out}", "height=48"]) == 0
    assert "5 videos of fall in step" in capsys.readouterr().out


def test_a_faster_camera_is_thinned_out_to_the_rate_of_the_run(trained, tmp_path):
    write_video(tmp_path / "fast.mp4", square(60, 0.2, seed=7), 60.0)
    run = Run(trained / "runs" / "r")
    (new,) = run.videos([tmp_path / "fast.mp4"])
    assert (new.num_frames, new.fps) == (24, 24.0)


@pytest.mark.parametrize("method", ["linear", "pad"])
def test_methods_without_a_checkpoint_align_new_videos_too(trained, tmp_path, method):
    cache = trained / "clips.h5"
    options = [f"method={method}", "run.figures=false", "run.name=r", f"run.dir={tmp_path}"]
    assert main(["fit", f"data.cache={cache}", *options]) == 0
    write_video(tmp_path / "clips" / "new.mp4", square(30, 0.2), 24.0)
    run = Run(tmp_path / "r")
    (new,) = run.videos([tmp_path / "clips" / "new.mp4"])
    last = {"linear": 1.0, "pad": 29 / (run.prototype_length("fall") - 1)}[method]
    assert new.position[-1] == pytest.approx(min(last, 1.0), abs=1e-6)


def test_links_deep_folders_and_unicode_forms(tmp_path):
    make_run(tmp_path, actions=("jump", "turn"), lengths=(20, 20), strengths=(0.0, 0.1))
    run = Run(tmp_path / "runs" / "r")
    store, named = tmp_path / "store", tmp_path / "set" / "jump" / "day 1"
    store.mkdir()
    named.mkdir(parents=True)
    (store / "x.mp4").write_bytes(b"")
    (named / "cafe\u0301.mp4").symlink_to(store / "x.mp4")
    (tmp_path / "set" / "turn").symlink_to(store)
    files = {file.video_id: file for file in run.files([tmp_path / "set"])}
    assert {name: (file.action, file.row) for name, file in files.items()} == {
        "caf\u00e9": ("jump", None),
        "x": ("turn", None),
    }


def test_files_left_out_are_said_in_one_line(tmp_path, capsys):
    make_run(tmp_path, actions=("jump", "turn"), lengths=(20, 20), strengths=(0.0, 0.1))
    (tmp_path / "videos" / "x.doc").touch()
    Run(tmp_path / "runs" / "r").files([tmp_path / "videos"], action="turn")
    error = capsys.readouterr().err.splitlines()
    assert error == [
        "note: files left out: 1 no videos by their ending (x.doc)",
        "note: files left out: 2 of other actions (jump_0.mp4, jump_1.mp4)",
    ]


def test_new_videos_that_the_cache_holds_already_need_no_extractor(trained, tmp_path, monkeypatch):
    from tpl_lightning.data.cache.reader import EmbeddingCache, EmbeddingCacheWriter

    cache = EmbeddingCache(trained / "clips.h5")
    shutil.copy(trained / "clips.h5", tmp_path / "set-0.h5")
    about = {"dataset": cache.dataset, "extractor": cache.extractor, "source": "s", "phase_names": {}}
    with EmbeddingCacheWriter(tmp_path / "set-1.h5", **about) as writer:
        writer.append(video_id="holiday", action="fall", split="test", embeddings=cache.read(1), fps=24.0)
        writer.set_extractor_state(*cache.extractor_state())
    write_video(tmp_path / "holiday.mp4", square(27, 0.5, seed=1), 24.0)
    run = Run(trained / "runs" / "r", cache=tmp_path / "set-*.h5")
    monkeypatch.setattr("tpl_lightning.features.extractor_of_cache", None)  # nobody asks for it
    (new,) = run.videos([tmp_path / "holiday.mp4"])
    (known,) = run.videos([trained / "clips" / "fall" / "fall_1.mp4"])
    assert (new.split, new.num_frames, new.fps) == (NEW, 27, 24.0)
    assert np.abs(new.position - known.position).max() < 0.06


def test_a_part_that_cannot_be_embedded_again_is_said_and_can_be_left_out(trained, tmp_path):
    from tpl_lightning.data.cache.reader import EmbeddingCache, EmbeddingCacheWriter

    cache, foreign = EmbeddingCache(trained / "clips.h5"), tmp_path / "foreign.h5"
    with EmbeddingCacheWriter(foreign, dataset="d", extractor="theirs", source="s", phase_names={}) as writer:
        for i, video in enumerate(cache.video_id):
            writer.append(video_id=str(video), action="fall", split="train", embeddings=cache.read(i)[:, :2], fps=24.0)
    both = tmp_path / "both.h5"
    assert main(["cache", "join", str(cache.path), str(foreign), f"out={both}", "progress=false"]) == 0
    options = [f"data.cache={both}", "method=direct", "run.figures=false", "run.progress=false", f"run.dir={tmp_path}"]
    assert main(["fit", *options, "run.name=both"]) == 0
    assert main(["fit", *options, "run.name=hog", "data.groups=[hog]"]) == 0
    write_video(tmp_path / "new" / "new.mp4", square(30, 0.2), 24.0)
    with pytest.raises(UserError, match=r"'theirs' was joined.*come as a cache too.*data.groups=\[hog\]"):
        Run(tmp_path / "both").videos([tmp_path / "new"])
    (new,) = Run(tmp_path / "hog").videos([tmp_path / "new"])
    (alone,) = Run(trained / "runs" / "r").videos([tmp_path / "new"])
    assert np.abs(new.position - alone.position).max() < 1e-3

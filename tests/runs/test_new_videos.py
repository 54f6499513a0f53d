"""Videos that a run has not seen are embedded and aligned as its own were."""

import shutil

import numpy as np
import pytest

from tests.runs.conftest import square
from tpl_lightning.__main__ import main
from tpl_lightning.errors import UserError
from tpl_lightning.runs import NEW, Run
from tpl_lightning.video.files import write_video

pytest.importorskip("av")


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


def test_new_videos_that_the_cache_holds_already_need_no_extractor(trained, tmp_path, monkeypatch):
    from tpl_lightning.data.cache.reader import EmbeddingCache
    from tpl_lightning.data.cache.writer import EmbeddingCacheWriter

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
    from tpl_lightning.data.cache.reader import EmbeddingCache
    from tpl_lightning.data.cache.writer import EmbeddingCacheWriter

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

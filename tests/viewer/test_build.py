"""The folder that ``tpl view`` writes, without a browser."""

import json
import re

import numpy as np
import pytest

from tests.run_factory import BOUNDS, make_run, write_clip
from tpl_lightning.__main__ import main
from tpl_lightning.video.probe import probe_video

pytest.importorskip("av")


def data_of(page):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, lengths=(20, 30), strengths=(0.0, 0.5), prototype=25, actions=("jump",))


def test_the_folder_holds_all_it_needs(run, capsys):
    assert main(["view", str(run)]) == 0
    folder = run / "view"
    assert capsys.readouterr().out == f"{folder / 'index.html'}: 2 videos; open it in a browser\n"
    page = (folder / "index.html").read_text()
    # No address but the name space of SVG, which is never fetched.
    assert set(re.findall(r"https?://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"(src|href)=[\"'](?!videos/)", page)
    (action,) = data_of(page)["actions"]
    assert sorted(p.name for p in (folder / "videos").iterdir()) == [v["src"][7:] for v in action["videos"]]
    for video in action["videos"]:
        original = run.parent.parent / "videos" / "tiny" / "jump" / f"{video['id']}.mp4"
        assert (folder / video["src"]).read_bytes() == original.read_bytes()


def test_data_of_the_page(run):
    assert main(["view", str(run)]) == 0
    (action,) = data_of((run / "view" / "index.html").read_text())["actions"]
    assert (action["length"], action["duration"], action["longest"]) == (25, 1.0, round(29 / 24, 4))
    assert [p["name"] for p in action["phases"]] == ["down", "low", "up"]
    assert [p["start"] for p in action["phases"][1:]] == pytest.approx(BOUNDS, abs=1.6 / 24)
    straight, bent = action["videos"]
    np.testing.assert_allclose(straight["index"], np.linspace(0, 19, 25), atol=1e-3)
    np.testing.assert_allclose(straight["position"], np.linspace(0, 1, 20), atol=1e-4)
    assert (len(bent["index"]), len(bent["position"]), bent["last"], bent["fps"]) == (25, 30, 29, 24)
    assert "times" not in bent


def test_what_browsers_do_not_play_is_transcoded(run):
    own = run.parent.parent / "videos" / "tiny" / "jump"
    write_clip(own / "jump_1.avi", 30)
    (own / "jump_1.mp4").unlink()
    assert main(["view", str(run), "size=80"]) == 0
    (action,) = data_of((run / "view" / "index.html").read_text())["actions"]
    for video, frames in zip(action["videos"], (20, 30), strict=True):
        info = probe_video(run / "view" / video["src"])
        assert (info.clock.num_frames, info.width, info.height) == (frames, 80, 40)


def test_an_earlier_page_is_replaced_and_nothing_else_is(run, tmp_path, capsys):
    out = tmp_path / "page"
    assert main(["view", str(run), f"out={out}"]) == 0
    assert main(["view", str(run), f"out={out}", "action=jump"]) == 0
    assert len(list((out / "videos").iterdir())) == 2
    (out / "videos" / "mine.mp4").write_text("mine")
    assert main(["view", str(run), f"out={out}"]) == 2
    assert "videos/mine.mp4" in capsys.readouterr().err
    assert (out / "videos" / "mine.mp4").read_text() == "mine"
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("mine")
    assert main(["view", str(run), f"out={foreign}"]) == 2
    assert "there is something else there already" in capsys.readouterr().err
    assert (foreign / "chapter.txt").read_text() == "mine"
    assert not [p for p in tmp_path.iterdir() if ".tpl-" in p.name]


def test_names_cannot_break_out_of_the_page(tmp_path):
    run = make_run(tmp_path, lengths=(20, 20), strengths=(0.0, 0.1), actions=("a<b>&amp",), files=False)
    folder = tmp_path / "clips" / "a<b>&amp"
    for k in range(2):
        write_clip(folder / f"a<b>&amp_{k}.mp4", 20)
    assert main(["view", str(run), str(folder)]) == 0
    page = (run / "view" / "index.html").read_text()
    assert "a<b>" not in page
    assert data_of(page)["actions"][0]["name"] == "a<b>&amp"


def _videos(run):
    (action,) = data_of((run / "view" / "index.html").read_text())["actions"]
    return action["videos"]


def test_copied_files_that_start_late_tell_when(run):
    from fractions import Fraction

    import av

    own = run.parent.parent / "videos" / "tiny" / "jump" / "jump_1.mp4"
    whole = own.with_name("whole.mp4").absolute()
    own.rename(whole)
    with av.open(str(whole)) as source, av.open(str(own), "w") as target:
        stream = source.streams.video[0]
        copy, sound = target.add_stream_from_template(stream), target.add_stream("aac", rate=8000, layout="mono")
        for packet in source.demux(stream):
            if packet.size:
                packet.pts, packet.dts = (at + round(0.5 / packet.time_base) for at in (packet.pts, packet.dts))
                packet.stream = copy
                target.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 3 * 8000), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.time_base = 8000, Fraction(1, 8000)
        target.mux(sound.encode(silence))
        target.mux(sound.encode(None))
    whole.unlink()
    assert main(["view", str(run)]) == 0
    early, late = _videos(run)
    assert late["src"].endswith(".mp4")
    assert (run / "view" / late["src"]).read_bytes() == own.read_bytes()
    assert (early["start"], late["start"]) == (0, pytest.approx(0.5, abs=0.05))
    assert (late["fps"], late["last"]) == (24, 29)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_uneven_files_keep_their_times_copied_or_transcoded(run, ending):
    from tests.video_factory import numbered, write_at
    from tpl_lightning.video.probe import probe_video

    folder = run.parent.parent / "videos" / "tiny" / "jump"
    (folder / "jump_1.mp4").unlink()
    ticks = np.concatenate([3 * np.arange(10), 30 + np.arange(20)])
    write_at(folder / f"jump_1.{ending}", numbered(30), ticks, 30)
    assert main(["view", str(run)]) == 0
    uneven = _videos(run)[1]
    np.testing.assert_allclose(uneven["times"], ticks / 30, atol=1e-3)
    assert uneven["start"] == 0
    written = probe_video(run / "view" / uneven["src"]).clock
    np.testing.assert_allclose(written.times_s, ticks / 30, atol=1e-3)


def test_recordings_that_state_no_length_are_transcoded(run):
    from tests.video_factory import numbered, write_at

    folder = run.parent.parent / "videos" / "tiny" / "jump"
    (folder / "jump_1.mp4").unlink()
    ticks = np.round(np.arange(30) * 33.3).astype(int)
    write_at(folder / "jump_1.webm", numbered(30), ticks, 1000, codec="libvpx", options={}, container={"live": "1"})
    assert main(["view", str(run)]) == 0
    video = _videos(run)[1]
    assert video["src"].endswith(".mp4")
    assert video["fps"] == pytest.approx(30, rel=0.01)

"""Configurations, labels, videos and checkpoints that are damaged, or that someone else has written."""

import json
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import write_cache
from tests.fuzz.harness import bounded_memory, many, mutated, plain, run
from tests.fuzz.strategies import edits, number, text
from tests.run_factory import make_run, write_clip
from tpl_lightning.config.tree import Config, config_to_dict

QUIET = ("run.figures=false", "run.wandb=disabled", "run.progress=false")


def _keys(tree, prefix=""):
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


KEYS = sorted(set(_keys(config_to_dict(Config()))) - {"resume", "data.cache"})
ODD = ("true", "None", "[1", "{a: 1}", "${seed}", "1e-5", "007", "-")
words = st.one_of(
    text, number.map(str), st.sampled_from(("true", "None", "[1", "{a: 1}", "${seed}", "1e-5", "007", "-"))
)
options = st.lists(st.builds("{}={}".format, st.one_of(st.sampled_from(KEYS), text), words), max_size=4)
yaml_text = st.one_of(
    st.lists(st.builds("{}: {}".format, st.one_of(st.sampled_from(KEYS[:40]), text), words), max_size=4).map("\n".join),
    text,
)


def _configuration(folder, arguments, written):
    path = folder / "c.yaml"
    path.write_text(written, encoding="utf-8", errors="replace")
    if not any(argument.startswith(("-h", "--help", "resume", "--resume")) for argument in arguments):
        run("fit", path, *arguments, f"data.cache={folder / 'none.h5'}")


phases = st.one_of(st.sampled_from(("down", "low", "up")), text)
times = st.one_of(st.floats(-1, 3).map("{:.2f}".format), words, st.sampled_from(("0,5", "0:01.2", "1e9", "")))
videos = st.one_of(st.sampled_from(("jump_0", "jump_1", "jump_0.mp4", "jump/jump_2")), text)
rows = st.lists(st.tuples(videos, times, times, phases), max_size=6)


def _csv(found):
    return "video_id,start,end,phase\n" + "".join(",".join(row) + "\n" for row in found)


def _json(found):
    return json.dumps({v: [{"start": a, "end": b, "phase": p}] for v, a, b, p in found})


def _eaf(found):
    slots = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="a{i}" TIME_VALUE="{a}"/><TIME_SLOT TIME_SLOT_ID="b{i}"/>'
        for i, (_, a, _, _) in enumerate(found)
    )
    spans = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="n{i}" TIME_SLOT_REF1="a{i}" TIME_SLOT_REF2="b{i}">'
        f"<ANNOTATION_VALUE>{p}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for i, (_, _, _, p) in enumerate(found)
    )
    return (
        f'<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/><TIME_ORDER>{slots}</TIME_ORDER>'
        f'<TIER TIER_ID="phases">{spans}</TIER></ANNOTATION_DOCUMENT>'
    )


labels = st.tuples(rows, st.sampled_from((("csv", _csv), ("json", _json), ("eaf", _eaf))), st.one_of(st.none(), edits))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, a fitted run with a checkpoint, and a clip."""
    folder = tmp_path_factory.mktemp("fuzz")
    make_run(folder, files=False)
    write_cache(folder / "c.h5", channels=3, frames=(8, 14))
    place = [f"data.cache={folder / 'c.h5'}", f"run.dir={folder / 'runs'}", "run.name=fitted", "data.pca=2"]
    assert run("fit", "method=direct", *place, *QUIET)[0] == 0
    write_clip(folder / "clip.mp4", 6, width=64, height=48)
    return folder


def _labels(made, folder, found):
    spans, (ending, write), changes = found
    path = folder / f"l.{ending}"
    content = write(spans).encode("utf-8", "replace")
    path.write_bytes(content if changes is None else mutated(content, changes))
    shutil.rmtree(folder / "out", ignore_errors=True)
    run("transfer", made / "runs" / "r", f"labels={path}", f"out={folder / 'out' / 'x.csv'}")


def _video(made, folder, changes):
    shutil.rmtree(folder / "v", ignore_errors=True)
    (folder / "v" / "jump").mkdir(parents=True)
    (folder / "v" / "jump" / "a.mp4").write_bytes(mutated((made / "clip.mp4").read_bytes(), changes))
    shutil.copy(made / "clip.mp4", folder / "v" / "jump" / "b.mp4")
    out = folder / "v.h5"
    out.unlink(missing_ok=True)
    shutil.rmtree(folder / "v.h5.shards", ignore_errors=True)
    run("cache", "embed", folder / "v", f"out={out}", "num_workers=1", "progress=false")


leaves = st.one_of(st.none(), number, text, st.lists(number, max_size=3), st.just(torch.zeros(2, 3)), st.just({}))


def _spoil(tree, share, value, drop):
    """Replace, or drop, one entry somewhere in a tree of dictionaries."""
    while isinstance(tree, dict) and tree:
        key = sorted(tree, key=str)[int(share * (len(tree) - 1))]
        share = (share * 7.3) % 1
        if not isinstance(tree[key], dict) or not tree[key] or share < 0.3:
            if drop:
                del tree[key]
            else:
                tree[key] = value
            return
        tree = tree[key]


def _checkpoint(made, folder, changes, spoiled):
    shutil.rmtree(folder / "runs", ignore_errors=True)
    shutil.copytree(made / "runs" / "fitted", folder / "runs" / "fitted")
    path = folder / "runs" / "fitted" / "checkpoints" / "last.ckpt"
    if changes is not None:
        path.write_bytes(mutated(path.read_bytes(), changes))
    else:
        state = torch.load(path, weights_only=True)
        _spoil(state, *spoiled)
        torch.save(state, path)
    run("test", folder / "runs" / "fitted", f"run.dir={folder / 'runs'}", "run.name=t", *QUIET)


spoils = st.tuples(st.floats(0, 1), leaves, st.booleans())
files = st.one_of(st.tuples(edits, st.none()), st.tuples(st.none(), spoils))


@given(arguments=options, written=yaml_text)
@plain(40)
def test_configurations(tmp_path, arguments, written):
    _configuration(tmp_path, arguments, written)


@given(found=labels)
@plain(40)
def test_labels(made, tmp_path, found):
    _labels(made, tmp_path, found)


@given(changes=edits)
@plain(8)
def test_videos(made, tmp_path, changes):
    with bounded_memory():
        _video(made, tmp_path, changes)


@given(found=files)
@plain(20)
def test_checkpoints(made, tmp_path, found):
    _checkpoint(made, tmp_path, *found)


@pytest.mark.slow
@given(arguments=options, written=yaml_text)
@many(600)
def test_many_configurations(tmp_path, arguments, written):
    _configuration(tmp_path, arguments, written)


@pytest.mark.slow
@given(found=labels)
@many(600)
def test_many_labels(made, tmp_path, found):
    _labels(made, tmp_path, found)


@pytest.mark.slow
@given(changes=edits)
@many(150)
def test_many_videos(made, tmp_path, changes):
    _video(made, tmp_path, changes)


@pytest.mark.slow
@given(found=files)
@many(300)
def test_many_checkpoints(made, tmp_path, found):
    _checkpoint(made, tmp_path, *found)

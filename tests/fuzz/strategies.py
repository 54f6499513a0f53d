"""What is put where it does not belong."""

import numpy as np
from hypothesis import strategies as st

NAMES = ("embeddings", "offsets", "labels", "fps", "progress", "video_id", "action", "split", "frame_times", "odd")
ATTRIBUTES = ("format", "version", "dataset", "extractor", "source", "phase_names", "feature_groups")
KINDS = ("f2", "f4", "f8", ">f4", "i1", "u1", "i2", "i8", "u8", "?", "c8")
NUMBERS = (0, 1, -1, 2, 7, 255, 32767, 32768, 65536, 2**31, 2**63 - 1, -(2**63), 0.5, 1e-40, 1e30, 1e300)
WORDS = (
    "",
    " ",
    "train",
    "test",
    "jump",
    "ü",
    "日本",
    "a\nb",
    "../x",
    "a/b",
    "{",
    "[]",
    "null",
    "\x07",
    "🎬" * 50,
    "x" * 3000,
)

text = st.one_of(st.sampled_from(WORDS), st.text(max_size=20))
number = st.one_of(st.sampled_from(NUMBERS), st.sampled_from((np.nan, np.inf, -np.inf)), st.integers(-9, 99))
edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(("write", "write", "write", "insert", "drop", "cut")),
        st.binary(min_size=1, max_size=16),
    ),
    min_size=1,
    max_size=6,
)


def _array(shape, kind, value):
    with np.errstate(all="ignore"):
        return np.full(shape, value).astype(kind)


arrays = st.builds(
    _array,
    st.lists(st.integers(0, 12), max_size=3).map(tuple),
    st.sampled_from(KINDS),
    number,
)
raw_text = st.one_of(text.map(lambda t: t.encode("utf-8", "surrogatepass")), st.binary(max_size=12))

"""Embeddings of someone else."""

import numpy as np
import pytest
import torch

from tpl_lightning.__main__ import main
from tpl_lightning.commands.embedding import import_data
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError


def test_embeddings_of_someone_else(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(length, 5)).astype(np.float32) for length in (6, 7, 8, 9)]
    np.save(tmp_path / "a.npy", arrays[0])
    np.savez(tmp_path / "b.npz", embeddings=arrays[1], labels=np.array([0] * 3 + [1] * 4))
    torch.save(
        {"embeddings": torch.from_numpy(arrays[2]), "labels": torch.tensor([0] * 4 + [2] * 4)}, tmp_path / "c.pt"
    )
    torch.save(torch.from_numpy(arrays[3]).half(), tmp_path / "d.pt")
    np.savetxt(tmp_path / "a.txt", [0, 0, 0, 1, 1, -1])
    rows = [
        "path,action,split,labels,fps",
        "a.npy,x,train,a.txt,30",
        "b.npz,x,train,,",
        "c.pt,x,test,,",
        "d.pt,y,train,,",
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    out = tmp_path / "e.h5"
    arguments = [str(tmp_path / "list.csv"), f"out={out}", "dtype=float32", "extractor=carl"]
    assert main(["cache", "import", "npy", *arguments]) == 0
    cache = EmbeddingCache(out)
    cache.validate()
    for index, array in enumerate(arrays):
        np.testing.assert_allclose(cache.read(index), array, atol=2e-3 if index == 3 else 0)
    assert cache.extractor == "carl"
    assert cache.labels(0).tolist() == [0, 0, 0, 1, 1, -1]
    assert cache.labels(1).tolist() == [0] * 3 + [1] * 4
    assert cache.labels(2).tolist() == [0] * 4 + [2] * 4
    assert cache.phase_names == {"x": ["phase 1", "phase 2", "phase 3"]}
    assert cache.fps.tolist() == [30.0, 24.0, 24.0, 24.0]


class Harmful:
    def __reduce__(self):
        return (print, ("code of a stranger",))


@pytest.mark.parametrize(
    ("name", "write", "named"),
    [
        ("a.npy", lambda path: np.save(path, np.zeros(4)), r"shape \(frames, channels\)"),
        ("a.npy", lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True), "could not"),
        ("a.npy", lambda path: path.write_bytes(b"no numbers"), "could not"),
        (
            "a.npz",
            lambda path: np.savez(path, u=np.zeros((3, 2)), v=np.zeros((3, 2))),
            r"found u \(3, 2\) of float64, v \(3, 2\) of float64",
        ),
        ("a.pt", lambda path: torch.save(Harmful(), path), "could not"),
        ("a.mat", lambda path: path.write_bytes(b""), "another ending"),
    ],
)
def test_files_that_hold_something_else_are_named(tmp_path, capsys, name, write, named):
    write(tmp_path / name)
    (tmp_path / "list.csv").write_text(f"path,action\n{name},x\n")
    with pytest.raises(UserError, match=named) as error:
        import_data(["npy", str(tmp_path / "list.csv"), f"out={tmp_path / 'e.h5'}"])
    assert str(tmp_path / name) in str(error.value)
    assert "stranger" not in capsys.readouterr().out
    assert not (tmp_path / "e.h5").exists()


def test_labels_are_one_per_frame(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((6, 5)))
    np.savetxt(tmp_path / "a.txt", [0, 0, 1])
    (tmp_path / "list.csv").write_text("path,action,labels\na.npy,x,a.txt\n")
    with pytest.raises(UserError, match=r"a\.txt: expected 6 labels, one per frame, but found \(3,\)"):
        import_data(["npy", str(tmp_path / "list.csv"), f"out={tmp_path / 'e.h5'}"])

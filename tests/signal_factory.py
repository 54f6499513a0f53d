"""Recordings of known timing, as their programs lay them out."""

import json
import pickle

import h5py
import numpy as np

BODY = np.array([[0.0, 2.0], [-1.0, 0.0], [1.0, 0.0], [0.0, -2.0]])  # head, hands, feet
PARTS = ("head", "left hand", "right hand", "feet")


def progress(length, strength):
    time = np.linspace(0, 1, length)
    return time + strength * time * (1 - time)


def waves(length, strength):
    """Channels that say how far the action is."""
    at = progress(length, strength)
    return np.stack([np.sin(3 * at), 100 * np.cos(5 * at), at**2], axis=1)


def body(length, strength, *, place=(300.0, 200.0), size=40.0):
    """Pixels (T, 4, 2) of a body whose hands rise."""
    at = progress(length, strength)
    pose = np.repeat(BODY[None], length, axis=0)
    pose[:, 1, 1] += 2 * np.sin(3 * at)
    pose[:, 2, 1] += 2 * at
    return np.array(place) + size * pose


def write_rows(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in [*header, *rows]) + "\n")


def deeplabcut_keys(individuals=()):
    parts = [("net", *([one] if one else []), part) for one in individuals or [""] for part in PARTS]
    return [(*key, coord) for key in parts for coord in ("x", "y", "likelihood")]


def with_likelihood(points, sure=None):
    """(T, K, 2) to rows (T, 3 K)."""
    sure = np.full(points.shape[:2], 0.95) if sure is None else sure
    return np.concatenate([points, sure[..., None]], axis=-1).reshape(len(points), -1)


def write_deeplabcut_csv(path, rows, individuals=()):
    names = ["scorer", *(["individuals"] if individuals else []), "bodyparts", "coords"]
    heads = [[name, *cells] for name, cells in zip(names, zip(*deeplabcut_keys(individuals), strict=True), strict=True)]
    write_rows(path, heads, [[k, *row] for k, row in enumerate(rows)])


def write_deeplabcut_h5(path, rows, individuals=(), *, protocol=0):
    """What pandas writes with to_hdf(key="df_with_missing", format="table")."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.dtype([("index", "<i8"), ("values_block_0", "<f8", (rows.shape[1],))])
    table = np.zeros(len(rows), kind)
    table["index"], table["values_block_0"] = np.arange(len(rows)), rows
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group["table"] = table
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        group.attrs["non_index_axes"] = np.void(pickle.dumps([(1, deeplabcut_keys(individuals))], protocol))


def write_sleap_h5(path, points, scores, *, standard=False):
    """``points`` (tracks, T, K, 2), ``scores`` (tracks, T, K)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        order = (1, 2, 3, 0) if standard else (0, 3, 2, 1)
        file["tracks"] = points.transpose(order)
        file["point_scores"] = scores.transpose((1, 2, 0) if standard else (0, 2, 1))
        file["node_names"] = np.array(PARTS, dtype="S")
        file["track_names"] = np.array([f"track_{k}" for k in range(len(points))], dtype="S")


def write_parquet(path, columns):
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path)


def write_lerobot(root, episodes, *, version="v2.1", fps=20, camera=None):
    """``episodes``: (task, length, strength); v2.1 has a file per episode, v3 one for all."""
    features = {
        "observation.state": {"dtype": "float32", "shape": [3], "names": ["a", "b", "c"]},
        "action": {"dtype": "float32", "shape": [2], "names": None},
        "timestamp": {"dtype": "float32", "shape": [1]},
        "episode_index": {"dtype": "int64", "shape": [1]},
    }
    if camera:
        features[camera] = {"dtype": "video", "shape": [3, 48, 48]}
    is_v3 = version.startswith("v3")
    name = "chunk-{chunk_index:03d}/file-{file_index:03d}"
    old = "chunk-{episode_chunk:03d}"
    info = {
        "codebase_version": version,
        "fps": fps,
        "features": features,
        "chunks_size": 1000,
        "data_path": f"data/{name}.parquet" if is_v3 else f"data/{old}/episode_{{episode_index:06d}}.parquet",
        "video_path": f"videos/{{video_key}}/{name}.mp4"
        if is_v3
        else f"videos/{old}/{{video_key}}/episode_{{episode_index:06d}}.mp4",
    }
    (root / "meta").mkdir(parents=True)
    (root / "meta" / "info.json").write_text(json.dumps(info))
    tables, facts, begin = [], [], 0.0
    for index, (task, length, strength) in enumerate(episodes):
        states = waves(length, strength)
        tables.append(
            {
                "observation.state": states.tolist(),
                "action": states[:, :2].tolist(),
                "timestamp": (np.arange(length) / fps).tolist(),
                "episode_index": [index] * length,
            }
        )
        facts.append({"episode_index": index, "tasks": [task], "length": length})
        if is_v3:
            facts[-1] |= {"data/chunk_index": 0, "data/file_index": 0}
            if camera:
                place = {
                    "chunk_index": 0,
                    "file_index": 0,
                    "from_timestamp": begin,
                    "to_timestamp": begin + length / fps,
                }
                facts[-1] |= {f"videos/{camera}/{key}": value for key, value in place.items()}
                begin += length / fps
    if is_v3:
        whole = {key: [row for table in tables for row in table[key]] for key in tables[0]}
        write_parquet(root / "data" / "chunk-000" / "file-000.parquet", whole)
        columns = {key: [fact[key] for fact in facts] for key in facts[0]}
        write_parquet(root / "meta" / "episodes" / "chunk-000" / "file-000.parquet", columns)
    else:
        (root / "meta" / "episodes.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
        for index, table in enumerate(tables):
            write_parquet(root / "data" / "chunk-000" / f"episode_{index:06d}.parquet", table)

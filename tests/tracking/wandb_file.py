"""Reading of the .wandb file of an offline run: LevelDB's log format with W&B's header, a protobuf record each."""

import json
import struct
import time
from pathlib import Path
from types import SimpleNamespace

_BLOCK, _HEADER = 32768, 7


def _payloads(path):
    data = path.read_bytes()
    if len(data) < _HEADER:
        return  # W&B's service has yet to begin
    assert data[:4] == b":W&B", data[:7]
    position, whole = _HEADER, b""
    while position + _HEADER <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER:
            position += left
            continue
        _, size, kind = struct.unpack("<IHB", data[position : position + _HEADER])
        if position + _HEADER + size > len(data):
            return  # half written
        whole += data[position + _HEADER : position + _HEADER + size]
        position += _HEADER + size
        if kind in (1, 4):  # a whole record, or the last part of one
            yield whole
            whole = b""


def _items(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def read_wandb(run_dir, *, seconds=20):
    """What the only offline run below a run directory has logged; W&B's service may still be writing it."""
    (path,) = Path(run_dir).glob("wandb/offline-run-*/*.wandb")
    end = time.monotonic() + seconds
    while (found := _read(path)).exit_code is None:
        assert time.monotonic() < end, f"{path} was not closed"
        time.sleep(0.05)
    return found


def _read(path):
    from wandb.proto import wandb_internal_pb2

    found = SimpleNamespace(
        folder=path.parent, history=[], summary={}, config={}, artifacts={}, metrics={}, run=None, exit_code=None
    )
    for payload in _payloads(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(payload)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            found.config |= _items(record.run.config.update)
        elif kind == "config":
            found.config |= _items(record.config.update)
        elif kind == "history":
            found.history.append(_items(record.history.item))
        elif kind == "summary":
            found.summary |= _items(record.summary.update)
        elif kind == "artifact":
            found.artifacts[record.artifact.type] = record.artifact
        elif kind == "metric":
            found.metrics[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    found.config.pop("_wandb", None)
    return found

"""Reading TFRecord files of tf.train.Example and tf.train.SequenceExample without TensorFlow.

A TFRecord file is a row of records: length (uint64), masked CRC-32C of the length, data, masked CRC-32C of the data,
all little-endian (tensorflow.org/tutorials/load_data/tfrecord). The data are protocol buffers.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from tpl_lightning.errors import UserError

__all__ = ["Record", "iter_records", "message_class", "read_record"]

Feature: TypeAlias = "list[bytes] | np.ndarray"
"""A list of bytes, or float32 or int64 numbers."""

_HEADER, _CRC = 12, 4
# Messages of tensorflow/core/example/{feature,example}.proto: field, number, type; "*" repeated, "{}" map from string.
_MESSAGES: dict[str, list[tuple[str, int, str]]] = {
    "BytesList": [("value", 1, "bytes*")],
    "FloatList": [("value", 1, "float*")],
    "Int64List": [("value", 1, "int64*")],
    "Feature": [("bytes_list", 1, "BytesList"), ("float_list", 2, "FloatList"), ("int64_list", 3, "Int64List")],
    "FeatureList": [("feature", 1, "Feature*")],
    "Features": [("feature", 1, "Feature{}")],
    "FeatureLists": [("feature_list", 1, "FeatureList{}")],
    # A tf.train.Example is the first field alone.
    "SequenceExample": [("context", 1, "Features"), ("feature_lists", 2, "FeatureLists")],
}


@dataclass(frozen=True)
class Record:
    """One example: features of the whole (context), and features per step (empty for a tf.train.Example)."""

    path: Path
    offset: int
    context: dict[str, Feature]
    steps: dict[str, list[Feature]]


def iter_records(path: str | Path) -> Iterator[Record]:
    """Read the records of a file one after the other, checking their sums.

    Args:
        path: the file.

    Raises:
        UserError: if the file breaks off, a CRC is wrong, or the data are no example.
    """
    path = Path(path)
    with path.open("rb") as file:
        offset = 0
        while (data := _data(file, path, offset)) is not None:
            yield _example(data, path, offset)
            offset += _HEADER + len(data) + _CRC


def read_record(path: str | Path, offset: int) -> Record:
    """Read the record that begins at a byte; see :func:`iter_records`."""
    path = Path(path)
    with path.open("rb") as file:
        file.seek(offset)
        data = _data(file, path, offset)
    if data is None:
        raise _damaged(path, offset)
    return _example(data, path, offset)


@cache
def message_class(name: str) -> Any:
    """Return the protobuf class of a message such as ``SequenceExample``."""
    from google.protobuf import (  # type: ignore[import-untyped]
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {"bytes": kinds.TYPE_BYTES, "float": kinds.TYPE_FLOAT, "int64": kinds.TYPE_INT64}
    file = descriptor_pb2.FileDescriptorProto(name="tpl_example.proto", package="tpl_example", syntax="proto3")

    def add(message: Any, field: str, number: int, kind: str, *, repeated: bool = False) -> None:
        label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
        if kind in scalars:
            message.field.add(name=field, number=number, label=label, type=scalars[kind])
        else:
            full = f".tpl_example.{kind}"
            message.field.add(name=field, number=number, label=label, type=kinds.TYPE_MESSAGE, type_name=full)

    for title, fields in _MESSAGES.items():
        message = file.message_type.add(name=title)
        for field, number, kind in fields:
            if kind.endswith("{}"):
                entry_name = "".join(part.title() for part in field.split("_")) + "Entry"
                entry = message.nested_type.add(name=entry_name)
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=kinds.LABEL_OPTIONAL, type=kinds.TYPE_STRING)
                add(entry, "value", 2, kind[:-2])
                add(message, field, number, f"{title}.{entry_name}", repeated=True)
            else:
                add(message, field, number, kind.rstrip("*"), repeated=kind.endswith("*"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tpl_example.{name}"))


def _damaged(path: Path, offset: int) -> UserError:
    return UserError(
        f"{path}: expected a TFRecord at byte {offset}, but the file is damaged there or of another kind; copy it anew."
    )


def _data(file: BinaryIO, path: Path, offset: int) -> bytes | None:
    header = file.read(_HEADER)
    if not header:
        return None
    if len(header) < _HEADER or _masked_crc(header[:8]) != struct.unpack("<I", header[8:])[0]:
        raise _damaged(path, offset)
    (length,) = struct.unpack("<Q", header[:8])
    data, crc = file.read(length), file.read(_CRC)
    if len(data) < length or len(crc) < _CRC or _masked_crc(data) != struct.unpack("<I", crc)[0]:
        raise _damaged(path, offset)
    return data


def _masked_crc(data: bytes) -> int:
    try:
        import google_crc32c
    except ImportError as error:
        raise UserError(
            'Expected google-crc32c to read TFRecords, but it is not installed: run pip install "tpl_lightning[video]".'
        ) from error
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _feature(feature: Any) -> Feature:
    if feature.bytes_list.value:
        return list(feature.bytes_list.value)
    if feature.float_list.value:
        return np.array(feature.float_list.value, dtype=np.float32)
    return np.array(feature.int64_list.value, dtype=np.int64)


def _example(data: bytes, path: Path, offset: int) -> Record:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        message = message_class("SequenceExample").FromString(data)
    except DecodeError as error:
        raise UserError(
            f"{path}: expected a tf.train.SequenceExample or Example at byte {offset}, but found other data ({error})."
        ) from error
    context = {key: _feature(value) for key, value in message.context.feature.items()}
    steps = {
        key: [_feature(feature) for feature in value.feature]
        for key, value in message.feature_lists.feature_list.items()
    }
    return Record(path, offset, context, steps)

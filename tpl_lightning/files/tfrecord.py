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

Feature: TypeAlias = "list[bytes] | np.ndarray"
"""A list of bytes, or float32 or int64 numbers."""

# Messages of tensorflow/core/example/{feature,example}.proto: fields in the order of their numbers, and types; "*" is
# repeated. A map is a list of entries of key and value, which is how it is written.
_MESSAGES = {
    "BytesList": {"value": "bytes*"},
    "FloatList": {"value": "float*"},
    "Int64List": {"value": "int64*"},
    "Feature": {"bytes_list": "BytesList", "float_list": "FloatList", "int64_list": "Int64List"},
    "FeatureEntry": {"key": "string", "value": "Feature"},
    "Features": {"feature": "FeatureEntry*"},
    "FeatureList": {"feature": "Feature*"},
    "FeatureListEntry": {"key": "string", "value": "FeatureList"},
    "FeatureLists": {"feature_list": "FeatureListEntry*"},
    # A tf.train.Example is the first field alone.
    "SequenceExample": {"context": "Features", "feature_lists": "FeatureLists"},
}


@dataclass(frozen=True)
class Record:
    """One example: features of the whole (context), and features per step (empty for a tf.train.Example)."""

    path: Path
    offset: int
    context: dict[str, Feature]
    steps: dict[str, list[Feature]]


def iter_records(path: str | Path, *, offset: int = 0) -> Iterator[Record]:
    """Read the records of a file one after the other, checking their sums.

    Args:
        path: the file.
        offset: byte at which the first of them begins.

    Raises:
        UserError: if the file breaks off, a CRC is wrong, or the data are no example.
    """
    path = Path(path)
    with path.open("rb") as file:
        file.seek(offset)
        while file.peek(1):
            (length,) = struct.unpack("<Q", _checked(file, 8, path, offset))
            yield _example(_checked(file, length, path, offset), path, offset)
            offset = file.tell()


def read_record(path: str | Path, offset: int) -> Record:
    """Read the record that begins at a byte; see :func:`iter_records`."""
    for record in iter_records(path, offset=offset):
        return record
    raise _damaged(Path(path), offset)


@cache
def message_class(name: str) -> Any:
    """Return the protobuf class of a message such as ``SequenceExample``."""
    from google.protobuf import (  # type: ignore[import-untyped]
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="tpl_example.proto", package="tpl_example", syntax="proto3")
    for title, fields in _MESSAGES.items():
        message = file.message_type.add(name=title)
        for number, (field, kind) in enumerate(fields.items(), 1):
            label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            own = message.field.add(name=field, number=number, label=label)
            kind = kind.rstrip("*")
            if kind in _MESSAGES:
                own.type, own.type_name = kinds.TYPE_MESSAGE, f".tpl_example.{kind}"
            else:
                own.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tpl_example.{name}"))


def _damaged(path: Path, offset: int) -> UserError:
    return UserError(
        f"{path}: expected a TFRecord at byte {offset}, but the file is damaged there or of another kind; copy it anew."
    )


def _checked(file: BinaryIO, size: int, path: Path, offset: int) -> bytes:
    """Read so many bytes and the masked CRC behind them."""
    try:
        import google_crc32c
    except ImportError as error:
        raise UserError('TFRecords are read with google-crc32c: run pip install "tpl_lightning[video]".') from error
    data, stated = file.read(size), file.read(4)
    crc = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    if len(data) < size or stated != struct.pack("<I", masked):
        raise _damaged(path, offset)
    return data


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
            f"{path}: expected a tf.train.Example at byte {offset}, but found other data ({error})."
        ) from error
    context = {entry.key: _feature(entry.value) for entry in message.context.feature}
    steps = {e.key: [_feature(feature) for feature in e.value.feature] for e in message.feature_lists.feature_list}
    return Record(path, offset, context, steps)

"""TFRecord files: bytes worked out by hand from the format's specification, and round trips."""

import struct

import numpy as np
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.files.tfrecord import iter_records, message_class, read_record

pytest.importorskip("google_crc32c")


def crc32c(data):
    """Bit by bit, as RFC 3720 defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def framed(data):
    def masked(part):
        crc = crc32c(part)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def field(number, content):
    assert len(content) < 128  # one byte of length
    return bytes([number << 3 | 2, len(content)]) + content


def entry(key, value):
    return field(1, field(1, key) + field(2, value))


# Feature {bytes_list {value: "take 1"}}, {int64_list {value: [300]}} packed, {float_list {value: [1.5]}} packed.
NAME, LENGTH, RATE = field(1, field(1, b"take 1")), field(3, field(1, b"\xac\x02")), field(2, field(1, b"\0\0\xc0\x3f"))
CONTEXT = field(1, entry(b"name", NAME) + entry(b"len", LENGTH) + entry(b"fps", RATE))
# int64 not packed (field 1, wire type 0) and negative, as protocol buffers allow.
STEPS = field(1, field(3, b"\x08\x02")) + field(1, field(3, field(1, b"\xff" * 9 + b"\x01")))
SEQUENCE = CONTEXT + field(2, entry(b"frame_labels", STEPS))


def test_crc_is_that_of_the_rfc():
    assert crc32c(b"123456789") == 0xE3069283


def test_a_record_written_by_hand_is_read(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(framed(CONTEXT) + framed(SEQUENCE))
    example, sequence = iter_records(path)
    for record in (example, sequence):
        assert record.context["name"] == [b"take 1"]
        assert record.context["len"].tolist() == [300]
        assert record.context["fps"].tolist() == [1.5]
    assert (example.steps, example.offset) == ({}, 0)
    assert [step.tolist() for step in sequence.steps["frame_labels"]] == [[2], [-1]]
    again = read_record(path, sequence.offset)
    assert again.context["name"] == sequence.context["name"]


def test_many_steps_survive(tmp_path):
    message = message_class("SequenceExample")()
    rng = np.random.default_rng(0)
    pictures = [rng.bytes(int(size)) for size in rng.integers(1, 5000, size=40)]
    steps = message.feature_lists.feature_list.add(key="video").value
    for picture in pictures:
        steps.feature.add().bytes_list.value.append(picture)
    path = tmp_path / "a.tfrecord"
    path.write_bytes(framed(message.SerializeToString()))
    (record,) = iter_records(path)
    assert [step[0] for step in record.steps["video"]] == pictures


@pytest.mark.parametrize("place", [0, 9, 14, -2])
def test_a_changed_byte_is_noticed(tmp_path, place):
    data = bytearray(framed(SEQUENCE))
    data[place] ^= 1
    path = tmp_path / "a.tfrecord"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.tfrecord: expected a TFRecord at byte 0"):
        list(iter_records(path))


def test_a_file_that_breaks_off_and_other_data_are_named(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(framed(SEQUENCE) + framed(SEQUENCE)[:-9])
    records = iter_records(path)
    next(records)
    with pytest.raises(UserError, match=f"at byte {len(framed(SEQUENCE))}"):
        next(records)
    with pytest.raises(UserError, match="damaged"):
        read_record(path, path.stat().st_size)
    path.write_bytes(framed(b"\xff\xff\xff"))
    with pytest.raises(UserError, match="found other data"):
        list(iter_records(path))

"""TFRecords of sequences as data sets hand them out, and pictures to put into them."""

import io
import struct

import google_crc32c
import numpy as np
from PIL import Image

from tpl_lightning.files.tfrecord import message_class


def picture(number, seed=0, size=48):
    rng = np.random.default_rng(seed)
    frame = rng.integers(40, 90, size=(size, size, 3)).astype(np.uint8)
    frame[4 * number : 4 * number + 12, 10:30] = 240
    return frame


def jpeg(frame):
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "jpeg", quality=95)
    return file.getvalue()


def write_records(path, examples):
    def masked(data):
        crc = google_crc32c.value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    with path.open("wb") as file:
        for example in examples:
            data = example.SerializeToString()
            length = struct.pack("<Q", len(data))
            file.write(length + masked(length) + data + masked(data))


def sequence(name, labels, *, frames=(), names=None):
    example = message_class("SequenceExample")()
    context, steps = example.context.feature, example.feature_lists.feature_list
    context.add(key="name").value.bytes_list.value.append(name.encode())
    context.add(key="len").value.int64_list.value.append(len(labels))
    if names:
        context.add(key="framelabels_string").value.bytes_list.value.append(",".join(names).encode())
    shown = steps.add(key="frame_labels").value
    for label in labels:
        shown.feature.add().int64_list.value.append(label)
    video = steps.add(key="video").value
    for frame in frames:
        video.feature.add().bytes_list.value.append(jpeg(frame))
    return example

"""Video files of known faults and times, written with PyAV."""

from fractions import Fraction

import av
import numpy as np

from tests.run_factory import code_picture
from tpl_lightning.features import HogExtractor, clips_of_folder, embed_clips


def numbered(count, **options):
    """Pictures that carry their number, see :func:`tests.run_factory.read_code`."""
    return [code_picture(number, **options) for number in range(count)]


def write_at(path, frames, ticks, rate=24, *, codec="h264", options=None, prepare=lambda stream: None, container=None):
    """Write frames that are shown at the given multiples of 1 / rate seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container or {}) as file:
        stream = file.add_stream(codec, rate=rate, options={"bf": "0", "crf": "1"} if options is None else options)
        stream.height, stream.width, stream.pix_fmt = frames[0].shape[0], frames[0].shape[1], "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        prepare(stream)
        for frame, tick in zip(frames, ticks, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = int(tick), Fraction(1, rate)
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return path


def damaged(path, number):
    """Fill a packet of a file with noise; return the file."""
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
        place, size = packets[number].pos, packets[number].size
    data = bytearray(path.read_bytes())
    data[place : place + size] = np.random.default_rng(1).integers(0, 256, size).astype(np.uint8).tobytes()
    path.write_bytes(data)
    return path


def embed_folder(root, out, *, dataset="videos", extractor=None, channels=64, **options):
    """Embed the videos ``<root>/<action>/<video>`` by HOG, or an extractor that is given; return the cache's path."""
    clips = clips_of_folder(root)
    extractor = extractor or HogExtractor(channels=channels)
    return embed_clips(clips, out, extractor=extractor, dataset=dataset, source="videos", alone=True, **options)

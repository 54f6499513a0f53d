"""Small caches, and embedding that counts what it does."""

from tests.features.conftest import QUIET
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.features import embed_clips
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.listing import clips_of_folder


class Counting(HogExtractor):
    """HOG that counts the videos it sees, and stops at one of them."""

    def __init__(self, *, stop_at=None):
        super().__init__(channels=4)
        self.seen, self.stop_at = 0, stop_at

    def features(self, frames):
        if self.seen == self.stop_at:
            raise KeyboardInterrupt
        self.seen += 1
        return super().features(frames)


def run(folder, out, extractor=None, **options):
    clips = clips_of_folder(folder)
    options = {"dataset": "mine", "source": "s", **QUIET, **options}
    return embed_clips(clips, out, extractor=extractor or HogExtractor(channels=4), **options)


def write(path, extractor, embeddings):
    with EmbeddingCacheWriter(
        path, dataset="d", extractor=extractor.name, source="s", phase_names={}, dtype="float32"
    ) as writer:
        writer.append(video_id="a", action="b", split="train", embeddings=embeddings, fps=24.0)
        writer.set_extractor_state(*extractor.state())
    return EmbeddingCache(path)

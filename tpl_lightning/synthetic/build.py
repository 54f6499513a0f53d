"""From specifications to a cache: render, embed and write the procedural set."""

import logging
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.features import HogExtractor, parallel_map
from tpl_lightning.files import Outputs
from tpl_lightning.synthetic.actions import ACTIONS, PHASE_NAMES
from tpl_lightning.synthetic.clips import FPS, PROCEDURAL_VERSION, SIZE, ClipSpec, clip_specs, render_clip
from tpl_lightning.video import has_pyav, write_video

logger = logging.getLogger(__name__)

_Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]
"""HOG features, true progress and phase of each frame of a clip."""


def build_procedural_set(
    out: str | Path,
    *,
    video_dir: str | Path | None = None,
    num_clips: int = 82,
    seed: int = 0,
    tempo_strength: float = 1.0,
    actions: Sequence[str] = ACTIONS,
    trim: float = 0.0,
    lead: float = 0.0,
    size: int = SIZE,
    num_workers: int | None = None,
    channels: int = 64,
    progress: bool = True,
) -> Path:
    """Render the procedural set, embed it with HOG and PCA, and write the embedding cache.

    HOG features are computed on the rendered frames, before video compression, which smooths away sensor noise: frames
    decoded from the mp4 files differ by about a fifth of the scatter within a clip, and lie nearest to a cached frame
    0.2 frames away on average. The PCA is fitted on the training split and stored in the cache, so that new videos
    can be embedded alike.

    Args:
        out: the cache file to write.
        video_dir: where to write each clip as ``<action>/<video_id>.mp4`` too; None for no videos. Left out, with a
            warning in the log, if PyAV is missing.
        num_clips: as the next five, see :func:`clip_specs`.
        seed: seed of the set.
        tempo_strength: how uneven the pace is.
        actions: names of the actions to render.
        trim: most that a clip loses at each end.
        lead: longest that the figure idles at each end.
        size: pixels along each side of a frame.
        num_workers: processes; None for one per core. The result does not depend on it.
        channels: principal components to keep.
        progress: show progress on standard error.

    Returns:
        Path of the cache.

    Raises:
        UserError: if the number of clips, actions or channels does not fit.
    """
    specs = clip_specs(num_clips, seed=seed, tempo_strength=tempo_strength, actions=actions, trim=trim, lead=lead)
    if video_dir is not None and not has_pyav():
        logger.warning(
            'Clips are not written to %s: PyAV is missing. Get it with pip install "tpl_lightning[video]".', video_dir
        )
        video_dir = None
    draw = partial(_render_and_embed, video_dir, size)
    clips = parallel_map(draw, specs, description="Rendering clips", num_workers=num_workers, progress=progress)
    ends = "".join(f", {name} {value:g}" for name, value in (("trim", trim), ("lead", lead)) if value > 0)
    options = f"seed {seed}, tempo strength {tempo_strength:g}{ends}"
    return _write_cache(Path(out), specs, clips, HogExtractor(channels=channels), options)


def _write_cache(out: Path, specs: list[ClipSpec], clips: list[_Drawn], extractor: HogExtractor, options: str) -> Path:
    """Fit the extractor on the training clips, and write all."""
    source = (
        f"procedural: {len(specs)} clips drawn by tpl_lightning, version {PROCEDURAL_VERSION}, {options} "
        f"(numpy {version('numpy')}, Pillow {version('pillow')}, scikit-image {version('scikit-image')})"
    )
    extractor.fit([clip[0] for spec, clip in zip(specs, clips, strict=True) if spec.split == "train"])
    out.parent.mkdir(parents=True, exist_ok=True)
    names = {spec.action: PHASE_NAMES[spec.action] for spec in specs}
    with EmbeddingCacheWriter(
        out, dataset="genai", extractor=extractor.name, source=source, phase_names=names
    ) as writer:
        for spec, (features, progress, phases) in zip(specs, clips, strict=True):
            writer.append(
                video_id=spec.video_id,
                action=spec.action,
                split=spec.split,
                embeddings=extractor.transform(features),
                labels=phases,
                fps=FPS,
                progress=progress,
                frame_times=np.arange(len(phases)) / FPS,
            )
        writer.set_extractor_state(*extractor.state())
    return out


def _render_and_embed(video_dir: str | Path | None, size: int, spec: ClipSpec) -> _Drawn:
    """Draw a clip, and write its video."""
    clip = render_clip(spec, size=size)
    if video_dir is not None:
        with Outputs("render").writing(video_path(video_dir, spec)) as part:
            write_video(part, clip.frames, FPS)
    return HogExtractor().features(clip.frames), clip.progress, clip.phases


def video_path(video_dir: str | Path, spec: ClipSpec) -> Path:
    """Return where the video of a clip lies: ``<video_dir>/<action>/<video_id>.mp4``."""
    return Path(video_dir) / spec.action / f"{spec.video_id}.mp4"


def video_paths(video_dir: str | Path, num_clips: int, *, seed: int, actions: Sequence[str]) -> list[Path]:
    """Return where the videos of a set lie."""
    specs = clip_specs(num_clips, seed=seed, tempo_strength=0.0, actions=actions)
    return [video_path(video_dir, spec) for spec in specs]

"""Clips without a run: ``tpl sync CLIPS`` and ``tpl view CLIPS`` embed them and fit a run, or find it again."""

import hashlib
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tpl_lightning import api, data, features, runs, sync, video
from tpl_lightning.commands.arguments import ClipOptions
from tpl_lightning.config import Config
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs, canonical, file_stem, report_broken

EXTRACTOR = "hog"
"""What embeds the clips: quick, and needs no weights."""

_DONE = "metrics.json"  # what a fit writes last: a run that has it is complete


def open_run_clips(
    command: str,
    first: Path,
    names: Sequence[str],
    options: ClipOptions,
    out: str | None,
    check: "Callable[[runs.Run, Sequence[runs.RunFile], Outputs], object]",
) -> "tuple[runs.Run, list[sync.Clip], Outputs]":
    """Open the videos that a command is about: of a run, or of clips, for which a run is made.

    Args:
        command: Its name.
        first: The first of its arguments.
        names: The others.
        options: Its options.
        out: What is written; None: a folder in the run's.
        check: Given the run, the files and the guard of what is written, refuses what cannot be, before any work.

    Returns:
        The run, its clips, and the guard.

    Raises:
        UserError: As :func:`run_of_clips`; or if there are videos that cannot be read.
    """
    folder, names = run_of_clips(command, first, names, options)
    source, target = runs.Run(folder, cache=options.cache), out or folder / command

    def tell(problems: Mapping[Path, str], total: int) -> None:
        report_broken(list(problems.values()), total, target, Outputs(command), skip=options.skip_broken)

    unreadable = runs.Unreadable(tell)
    files = source.files(names, action=options.action, unreadable=unreadable)
    outputs = Outputs(command, [*(file.path for file in files), *source.cache.files])
    check(source, files, outputs)
    clips = sync.open_clips(source.open(files, unreadable=unreadable), unreadable=unreadable)
    if not clips:
        raise UserError(f"tpl {command}: none of the videos can be read.")
    audio = sum(clip.probe.has_audio for clip in clips)
    if audio:
        print(f"note: audio is dropped ({audio} of {len(clips)} files have it).", file=sys.stderr)
    return source, clips, outputs


def run_of_clips(command: str, first: Path, names: Sequence[str], options: ClipOptions) -> tuple[Path, list[str]]:
    """Return the run that a command is given, or that of clips: made now, or found below ``runs/``.

    The clips are folders of one action, folders of action folders, and video files. Their run is known by their
    fingerprint, so that the second call is quick.

    Args:
        command: Its name, for messages.
        first: The first of its arguments.
        names: The others.
        options: Its options.

    Returns:
        The run directory, and the videos that the command is about.

    Raises:
        UserError: If there are no clips, only one of an action, or some cannot be read.
    """
    if _is_run(first):
        return first, list(names)
    if options.cache is not None:
        raise UserError(f"tpl {command}: cache={options.cache} goes with a run, but {first} is none; leave it out.")
    names = [str(first), *names]
    clips = find_clips(names, options.action)
    label = file_stem(Path(os.path.abspath(first)).stem or "clips")
    run_dir = Path(Config().run.dir) / f"{label}-{_fingerprint(clips)}"
    cache = run_dir.with_name(f"{run_dir.name}.h5")

    def say(text: str) -> None:
        if options.progress:
            print(text, file=sys.stderr)

    actions = sorted({clip.action for clip in clips})
    shown = f"{len(clips)} clips of {actions[0] if len(actions) == 1 else f'{len(actions)} actions'}"
    if (run_dir / _DONE).is_file() and cache.is_file():
        say(f"{shown}: embedded and aligned before, {run_dir}")
        return run_dir, _readable(clips, cache, skip_broken=options.skip_broken)
    say(f"1/3 embed: {shown} with {EXTRACTOR}, {cache}")
    if not cache.is_file():
        _embed(clips, cache, label, options)
    kept = _readable(clips, cache, skip_broken=options.skip_broken)
    say(f"2/3 fit: method=direct, {run_dir}")
    _fit(cache, run_dir, label, options)
    say(f"3/3 {command}: {len(kept)} clips")
    return run_dir, kept


def _is_run(path: Path) -> bool:
    """Tell whether a path is, or was meant to be, a run directory; else it is clips."""
    if path.is_dir():
        return any((path / name).exists() for name in ("config.yaml", "alignment.h5", "checkpoints"))
    return not (path.is_file() and video.is_video(path))


def find_clips(names: Sequence[str], action: str | None) -> list["features.Clip"]:
    """Find the clips and what each shows; all are training videos, for there is nothing to be tested."""
    every: dict[tuple[str, Path], tuple[Path, str]] = {}  # a file that is named twice is one clip
    left: defaultdict[str, list[Path]] = defaultdict(list)
    for root in map(Path, names):
        if root.is_dir():
            paths, out = video.search_videos(root)
            shown = _actions_below(root, paths, action)
            out["in no folder that names their action"] = [path for path in paths if path not in shown]
            for reason, files in out.items():
                left[reason] += files
        else:
            video.check_video_file(root)
            shown = {root: action or _folder_name(root.parent)}
        for path, name in shown.items():
            every.setdefault((path.name, path.resolve()), (path, name))
    counts = Counter(name for _, name in every.values())
    found = sorted((name, path) for path, name in every.values() if counts[name] > 1)
    alone = [(path, name) for path, name in every.values() if counts[name] == 1]
    if found:
        left["the only one of an action"] = [path for path, _ in alone]
    video.note_left_out({reason: paths for reason, paths in left.items() if paths})
    where = ", ".join(map(str, names))
    if not every:
        raise UserError(f"{where}: neither a run directory nor videos; give a folder of clips, or runs/NAME.")
    if not found:
        raise UserError(
            f"{where}: only one clip of {alone[0][1]!r} ({alone[0][0].name}), expected at least 2 to bring in step; "
            "add one, or name the files with action=NAME if they show one action in several folders."
        )
    places = [(name, Path(os.path.abspath(path))) for name, path in found]
    ids = features.video_names(places, Path(os.path.commonpath([path.parent for _, path in places])))
    return [features.Clip(video_id, name, "train", path) for video_id, (name, path) in zip(ids, found, strict=True)]


def _folder_name(folder: Path) -> str:
    return Path(os.path.abspath(folder)).name or "clips"


def _actions_below(root: Path, paths: Sequence[Path], action: str | None) -> dict[Path, str]:
    """Return what videos below a folder show; those of which nothing says it are missing.

    Where some folder in it holds two clips, it is a folder of actions; else all of it shows one.
    """
    loose = [path for path in paths if path.parent == root]
    folders = {path: path.relative_to(root).parts[0] for path in paths if path.parent != root}
    counts = Counter(folders.values())
    if loose and max(counts.values(), default=0) < 2:
        return dict.fromkeys(loose, action or _folder_name(root))
    if action is not None and counts and action not in counts:
        raise UserError(f"action={action}: {root} has no folder of that name; there are: {', '.join(counts)}.")
    return folders


def _fingerprint(clips: Sequence["features.Clip"]) -> str:
    """Return what changes when a clip does, or what it shows; not when their folder is moved."""
    facts = sorted((clip.video_id, clip.action, clip.stamp()) for clip in clips)
    text = repr([EXTRACTOR, facts])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]


def _embed(clips: "Sequence[features.Clip]", cache: Path, dataset: str, options: ClipOptions) -> None:
    try:
        features.embed_clips(
            clips,
            cache,
            extractor=features.make_extractor(EXTRACTOR),
            dataset=dataset,
            source=f"videos: {len(clips)} files of {dataset}",
            skip_broken=options.skip_broken,
            progress=options.progress,
            alone=True,
        )
    except OSError as error:
        raise UserError(
            f"{cache}: cannot be written ({error.strerror or error}); run this in another folder."
        ) from error


def _fit(cache: Path, run_dir: Path, dataset: str, options: ClipOptions) -> None:
    about = {"data.dataset": dataset, "run.progress": options.progress}
    fitted = api.Synchronizer("direct", about).fit(cache)
    fitted.save(run_dir)
    for warning in fitted.quality_.warnings:
        print(f"Warning: {warning}", file=sys.stderr)


def _readable(clips: "Sequence[features.Clip]", cache: Path, *, skip_broken: bool) -> list[str]:
    """Return the clips that are embedded; the others could not be read when that was done."""
    known = {canonical(str(video)) for video in data.EmbeddingCache(cache).video_id}
    kept = [clip for clip in clips if canonical(clip.video_id) in known]
    broken = [clip.path for clip in clips if clip not in kept]
    if broken and not skip_broken:
        raise UserError(
            f"{broken[0]}: cannot be read ({len(broken)} of {len(clips)} videos); mend or remove such files, or leave "
            "them out with skip_broken=true."
        )
    counts = Counter(clip.action for clip in kept)
    lonely = next((clip for clip in kept if counts[clip.action] < 2), None)
    if lonely is not None:
        raise UserError(
            f"{lonely.path}: the only clip of {lonely.action!r} that can be read, expected at least 2; add or mend "
            "some."
        )
    return [str(clip.path) for clip in kept]

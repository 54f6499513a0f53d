"""What clips are called, which split they get, and which phases annotations give them."""

import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip
from tpl_lightning.files import canonical
from tpl_lightning.labels import Annotations, warn_of_names

_TEST_SHARE = 0.25


def video_names(videos: Sequence[tuple[str, Path]], root: Path) -> list[str]:
    """Name videos (action, file): after the file, else ``<action>/<file.ext>``, else the whole path below the root."""
    forms = [
        [path.stem, f"{action}/{path.name}", path.relative_to(root).as_posix() if root in path.parents else str(path)]
        for action, path in videos
    ]
    safe = [[canonical(form) for form in three] for three in forms]
    counts = [Counter(column) for column in zip(*safe, strict=True)]
    return [next((f for f, count in zip(three, counts, strict=True) if count[f] == 1), three[-1]) for three in safe]


def choose_splits(clips: Sequence[Clip]) -> list[Clip]:
    """Give clips without a split one: per action about a quarter test, and at least two train."""
    by_action: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if not clip.split:
            by_action[clip.action].append(clip)
    test: set[str] = set()
    for members in by_action.values():
        # A hash of the name, not its order: names are often sorted by person or camera.
        shuffled = sorted(members, key=lambda clip: (zlib.crc32(os.fsencode(clip.path.name)), clip.path.name))
        test.update(clip.video_id for clip in shuffled[: min(round(_TEST_SHARE * len(members)), len(members) - 2)])
    return [c if c.split else replace(c, split="test" if c.video_id in test else "train") for c in clips]


def annotate(clips: Sequence[Clip], annotations: Annotations) -> tuple[list[Clip], dict[str, list[str]]]:
    """Give clips the phases, split and length that annotations have for their names.

    Clips that are not annotated keep what they have.

    Args:
        clips: the clips.
        annotations: as :func:`read_annotations` gives them.

    Returns:
        The clips, and the names of each action's phases.

    Raises:
        UserError: if no clip is annotated, or an annotation contradicts the action of its clip.
    """
    found = {clip.video_id: annotations.name_of(clip.video_id, clip.action) for clip in clips}
    known = {clip.video_id: clip for clip in clips if found[clip.video_id] is not None}
    if not known:
        raise UserError(
            f"{annotations.path}: expected annotations of the videos by their names ({clips[0].video_id!r} ...), but "
            f"found those of {', '.join(list(annotations.named)[:3]) or 'none'}; name videos after their files."
        )
    for clip in known.values():
        action = annotations.action.get(str(found[clip.video_id]), clip.action)
        if action != clip.action:
            raise UserError(
                f"{annotations.path}: video {clip.video_id!r} is said to show {action!r}, but lies in {clip.action!r}; "
                "move the file or mend the annotation."
            )
    annotations.warn_of_unmatched(set(found.values()), clips[0].video_id)
    names = annotations.phases_of({str(found[video]): clip.action for video, clip in known.items()})
    names = {action: phases for action, phases in names.items() if action in {clip.action for clip in clips}}
    result = []
    for clip in clips:
        name = found[clip.video_id] or clip.video_id
        result.append(
            replace(
                clip,
                split=annotations.split.get(name, clip.split),
                phases=annotations.spans(name, names.get(clip.action, ())) or clip.phases,
                num_frames=annotations.num_frames.get(name, clip.num_frames),
            )
        )
    return result, names


def annotate_each(
    clips: list[Clip], files: Mapping[str, Annotations], names: dict[str, list[str]]
) -> tuple[list[Clip], dict[str, list[str]]]:
    """Give clips the phases of the file that each of them names; phases of one action are ordered over all files."""
    if not files:
        return clips, names
    merged = {}
    for clip in clips:
        own = files.get(clip.video_id)
        if own is not None:
            key = own.name_of(clip.path.stem, clip.action) or own.name_of(clip.video_id, clip.action)
            # A file that is about one video only need not name it as the list does.
            key = next(iter(own.named)) if key is None and len(own.named) == 1 else key
            if key is None:
                warn_of_names(own.path, f"names none of its videos {clip.video_id!r}: that stays unlabelled", own.named)
                continue
            merged[clip.video_id] = (own, key)
    by_file = {video: own.named.get(key, ()) for video, (own, key) in merged.items()}
    given = {a: n for own, _ in merged.values() for a, n in own.phase_names.items()}
    whole = Annotations(Path("labels"), "frames", by_file, given)
    actions = {clip.video_id: clip.action for clip in clips}
    for action, found in whole.phases_of(actions).items():
        names[action] = names.get(action, []) + [name for name in found if name not in names.get(action, [])]
    for index, clip in enumerate(clips):
        if clip.video_id in merged:
            own, key = merged[clip.video_id]
            clips[index] = replace(clip, phases=own.spans(key, names[clip.action]))
    return clips, names

"""Spans of time in a long recording: which overlap."""

_SAME = 0.7  # intersection over union of proposals that are one
_OVERLAP = 0.35  # of a hit, which may be shared


class Spans:
    """Spans of time, kept by where they are, so that those near another are found without a look at all."""

    def __init__(self, width: float) -> None:
        """Make room: a usual span has this width."""
        self._width = max(width, 1.0)
        self._places: dict[int, list[tuple[int, int]]] = {}

    def _cells(self, start: int, end: int) -> range:
        return range(int(start / self._width), int(end / self._width) + 1)

    def add(self, start: int, end: int) -> None:
        """Keep a span."""
        for cell in self._cells(start, end):
            self._places.setdefault(cell, []).append((start, end))

    def near(self, start: int, end: int) -> set[tuple[int, int]]:
        """Return the spans that are kept and may overlap with one."""
        return {span for cell in self._cells(start, end) for span in self._places.get(cell, ())}


def _overlap(start: int, end: int, span: tuple[int, int]) -> int:
    return max(min(end, span[1]) - max(start, span[0]), 0)


def is_free(start: int, end: int, kept: Spans) -> bool:
    """Tell whether a hit shares little with better ones: of each pair's shorter one, and of its own in all."""
    shared = {span: _overlap(start, end, span) for span in kept.near(start, end)}
    pairs = (both <= _OVERLAP * min(end - start, high - low) for (low, high), both in shared.items())
    return all(pairs) and sum(shared.values()) <= _OVERLAP * (end - start)


def is_new(start: int, end: int, kept: Spans) -> bool:
    """Tell whether a proposal is another one than those that are kept."""
    spans = kept.near(start, end)
    return all(_overlap(start, end, s) <= _SAME * (max(end, s[1]) - min(start, s[0])) for s in spans)

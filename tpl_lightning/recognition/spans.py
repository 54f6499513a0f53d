"""Spans of time in a long recording: which are kept of those that overlap."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

Span = tuple[int, int]

_SAME = 0.7  # intersection over union of proposals that are one
_OVERLAP = 0.35  # of a hit, which may be shared


def kept_spans(spans: Iterable[Span], width: float, fits: Callable[[Span, Collection[Span]], bool]) -> list[int]:
    """Return the numbers of the spans that are kept of many.

    Args:
        spans: Start and end of each, the best first.
        width: Of a usual span; those that are kept are looked up by where they are, without a look at all.
        fits: Tells whether a span can be kept beside those near it.
    """
    places: defaultdict[int, list[Span]] = defaultdict(list)
    width, kept = max(width, 1.0), []
    for number, span in enumerate(spans):
        cells = range(int(span[0] / width), int(span[1] / width) + 1)
        if fits(span, {other for cell in cells for other in places[cell]}):
            kept.append(number)
            for cell in cells:
                places[cell].append(span)
    return kept


def _overlap(one: Span, other: Span) -> int:
    return max(min(one[1], other[1]) - max(one[0], other[0]), 0)


def is_free(hit: Span, better: Collection[Span]) -> bool:
    """Tell whether a hit shares little with better ones: of each pair's shorter one, and of its own in all."""
    size, shared = hit[1] - hit[0], {other: _overlap(hit, other) for other in better}
    pairs = (both <= _OVERLAP * min(size, end - start) for (start, end), both in shared.items())
    return all(pairs) and sum(shared.values()) <= _OVERLAP * size


def is_new(proposal: Span, better: Collection[Span]) -> bool:
    """Tell whether a proposal is another one than better ones."""
    unions = ((other, max(proposal[1], other[1]) - min(proposal[0], other[0])) for other in better)
    return all(_overlap(proposal, other) <= _SAME * union for other, union in unions)

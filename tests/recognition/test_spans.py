"""Which spans of time are one."""

from tpl_lightning.recognition.spans import Spans, is_free, is_new


def test_hits_share_little_and_proposals_differ():
    spans = Spans(10)
    for start, end in ((0, 10), (20, 30)):
        spans.add(start, end)
    assert is_free(7, 17, spans)
    assert not is_free(6, 16, spans)
    assert not is_free(8, 22, _of((0, 10), (12, 14)))  # a part of a better one is all of it
    assert not is_free(7, 23, _of((0, 10), (20, 30)))  # a little of both is too much
    assert is_free(40, 50, spans)
    assert not is_new(1, 10, spans)
    assert is_new(5, 15, spans)


def _of(*found):
    spans = Spans(10)
    for start, end in found:
        spans.add(start, end)
    return spans

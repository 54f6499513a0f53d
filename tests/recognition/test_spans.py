"""Which spans of time are one, and which are kept."""

from tpl_lightning.recognition.spans import is_free, is_new, kept_spans

TWO = [(0, 10), (20, 30)]


def test_hits_share_little_and_proposals_differ():
    assert is_free((7, 17), TWO)
    assert not is_free((6, 16), TWO)
    assert not is_free((8, 22), [(0, 10), (12, 14)])  # a part of a better one is all of it
    assert not is_free((7, 23), TWO)  # a little of both is too much
    assert is_free((40, 50), TWO)
    assert not is_new((1, 10), TWO)
    assert is_new((5, 15), TWO)


def test_the_better_ones_are_kept_wherever_they_lie():
    spans = [(0, 10), (6, 16), (1000, 1010), (1001, 1011), (4, 1006), (7, 17)]
    for width in (0.0, 3.0, 10.0, 5000.0):
        assert kept_spans(spans, width, is_free) == [0, 2, 5]
        assert kept_spans(spans, width, is_new) == [0, 1, 2, 4]

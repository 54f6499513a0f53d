"""The loader that reads ahead: order, errors in place, threads that end."""

import threading

import pytest

from tpl_lightning.data.loading.read_ahead import ReadAheadLoader


class Numbers:
    """Serves lists of numbers, notes them, and fails at one of them."""

    def __init__(self, bad=None):
        self.bad, self.read = bad, []

    def __len__(self):
        return 20

    def __getitems__(self, indices):
        self.read.append(list(indices))
        if self.bad in indices:
            raise ValueError(f"{self.bad} is bad")
        return list(indices)


def _threads():
    return [t for t in threading.enumerate() if t.name.startswith("read-ahead")]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_come_in_order_and_no_more_are_read_than_asked_for(threads):
    numbers = Numbers()
    loader = ReadAheadLoader(numbers, threads=threads, batch_size=2, shuffle=False)
    assert len(loader) == 10
    for _ in range(2):
        served = []
        for batch in loader:
            served.append(batch)
            assert len(numbers.read) <= min(len(served) + 2 * threads, 10)
        assert served == [[i, i + 1] for i in range(0, 20, 2)]
        assert sorted(numbers.read) == served
        numbers.read = []
    assert not _threads()


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_where_its_batch_would(threads):
    batches = iter(ReadAheadLoader(Numbers(bad=9), threads=threads, batch_size=2, shuffle=False))
    assert [next(batches) for _ in range(4)] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    with pytest.raises(ValueError, match="9 is bad"):
        next(batches)
    assert not _threads()


def test_an_epoch_left_in_the_middle_leaves_no_threads():
    batches = iter(ReadAheadLoader(Numbers(), threads=2, batch_size=1, shuffle=False))
    assert next(batches) == [0]
    assert _threads()
    batches.close()
    assert not _threads()

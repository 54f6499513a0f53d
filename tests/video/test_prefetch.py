"""Decoding ahead: order, errors, no threads left."""

import threading
import time

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.video.prefetch import prefetched

pytest.importorskip("av")


def test_prefetching_keeps_order_and_raises_where_it_happens():
    def opener(number):
        def items():
            for item in range(number):
                yield number, item
            if number == 3:
                raise UserError("third breaks off")

        return items

    found = []
    for items in prefetched([opener(number) for number in (5, 3, 40)], ahead=2, size=2):
        try:
            found.append(list(items))
        except UserError as error:
            found.append(str(error))
    assert found == [[(5, i) for i in range(5)], "third breaks off", [(40, i) for i in range(40)]]
    # Readers that nobody waits for any more end.
    before = threading.active_count()
    for items in prefetched([opener(1000)] * 3, ahead=2, size=2):
        next(items)
        break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before

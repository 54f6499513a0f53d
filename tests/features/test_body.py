"""Key points on the body: where it stands and how large it is does not count."""

import numpy as np
import pytest

from tpl_lightning.features.body import Points, body_size, centred_on_body, fill_in


def test_place_and_size_do_not_count():
    places = np.random.default_rng(0).normal(size=(9, 5, 2))
    body = centred_on_body(places)
    np.testing.assert_allclose(centred_on_body(40 + 7 * places), body, atol=1e-12)
    np.testing.assert_allclose(body.mean(axis=1), 0, atol=1e-12)
    assert body_size(body) == pytest.approx(1)
    assert body_size(7 * places) == pytest.approx(7 * body_size(places))
    assert not centred_on_body(np.ones((3, 5, 2))).any()


def test_gaps_are_of_little_confidence_or_without_a_place():
    places, sure = np.zeros((2, 3, 2)), np.array([[0.2, 0.3, 0.9], [1.0, np.nan, 0.9]])
    places[0, 2, 1] = np.nan
    assert Points(("a", "b", "c"), places, sure).doubtful(0.3).tolist() == [[True, False, True], [False, True, False]]


def test_holes_are_interpolated_at_their_times():
    values = np.array([[0.0, 1.0], [7.0, 2.0], [4.0, 9.0]])
    holes = np.array([[False, False], [True, False], [False, True]])
    assert fill_in(values, holes, np.array([0.0, 1.0, 4.0])).tolist() == [[0.0, 1.0], [1.0, 2.0], [4.0, 2.0]]

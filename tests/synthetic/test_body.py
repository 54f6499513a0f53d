"""Limbs reach what they can."""

import numpy as np

from tpl_lightning.synthetic.body import two_bone


def test_two_bones_reach_what_they_can():
    root, target = np.zeros((2, 3)), np.array([[0.4, 0.1, 0.2], [3.0, 0.0, 0.0]])
    joint, end = two_bone(root, target, first=0.3, second=0.35, pole=np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(np.linalg.norm(joint, axis=1), 0.3)
    np.testing.assert_allclose(np.linalg.norm(end - joint, axis=1), 0.35)
    np.testing.assert_allclose(end[0], target[0])
    np.testing.assert_allclose(end[1], [0.998 * 0.65, 0, 0], atol=1e-12)
    assert joint[0, 1] > 0

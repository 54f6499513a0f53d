"""What key points of a person say of the pose: directions of limbs, angles of joints, places on the body, its height.

The same for a clip and its mirror image, and where a network takes the left side for the right one. Of each pair of
values l and r of the left and the right side l + r and |l - r| are kept; horizontal ones change their sign in a mirror,
so that of these |l + r| is.
"""

import numpy as np

from tpl_lightning.features.body import Points, body_size, centred_on_body, fill_in

COCO_POINTS = (
    *("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder"),
    *("left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip"),
    *("left knee", "right knee", "left ankle", "right ankle"),
)
"""The 17 key points of COCO, as networks give them."""

LEAST_CONFIDENCE = 0.3
"""Below it a key point is a gap."""

_NOSE, _SHOULDER, _ELBOW, _WRIST, _HIP, _KNEE, _ANKLE = 0, 5, 7, 9, 11, 13, 15  # the right one is the next
_LIMBS = ((_SHOULDER, _ELBOW), (_ELBOW, _WRIST), (_HIP, _KNEE), (_KNEE, _ANKLE))
_JOINTS = ((_SHOULDER, _ELBOW, _WRIST), (_HIP, _SHOULDER, _ELBOW), (_SHOULDER, _HIP, _KNEE), (_HIP, _KNEE, _ANKLE))
_PLACES = (_SHOULDER, _ELBOW, _WRIST, _HIP, _KNEE, _ANKLE)
_FEWEST = 4  # key points of a person
_HEIGHT = 2.0  # weight of the body's height in the picture, one number among many
_SHORT = 1e-2  # length of a limb, in sizes of the body, below which it has hardly a direction

NUM_FEATURES = 4 * (len(_LIMBS) + len(_PLACES)) + 2 * len(_JOINTS) + 7
"""Per frame."""


def limb_features(places: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Return features (T, NUM_FEATURES) of one person's key points, float32, finite whatever is seen.

    Convention:
        A point of less confidence than :data:`LEAST_CONFIDENCE` is a gap, interpolated in time. Each feature's
        deviation from its mean over the clip is multiplied by the mean confidence, over the clip and gaps counting as
        0, of the least sure of its points: what is hardly seen hardly counts. All is 0 where no person is seen.

    Args:
        places: (T, 17, 2) in pixels, downwards, in the order of :data:`COCO_POINTS`.
        confidence: (T, 17) in [0, 1].
    """
    points = Points(COCO_POINTS, np.asarray(places, np.float64), np.asarray(confidence, np.float64))
    gaps = points.doubtful(LEAST_CONFIDENCE)
    seen = ~gaps.all(axis=0)
    if seen.sum() < _FEWEST or not len(gaps):
        return np.zeros((len(gaps), NUM_FEATURES), np.float32)
    flat = np.repeat(gaps[:, seen], 2, axis=1)
    known = fill_in(points.places[:, seen].reshape(len(gaps), -1), flat).reshape(len(gaps), -1, 2)
    body = np.zeros((len(gaps), len(COCO_POINTS), 2))
    body[:, seen] = centred_on_body(known)
    sure = np.where(gaps, 0.0, points.confidence.clip(0, 1)).mean(axis=0)
    height = known.mean(axis=1)[:, 1:] / max(body_size(known), 1e-9)
    height = _HEIGHT * (height - height.mean())
    parts = [*_sides(body, sure), *_middle(body, sure), (height, float(sure[seen].mean()))]
    values = np.concatenate([part for part, _ in parts], axis=1)
    weight = np.concatenate([np.full(part.shape[1], own) for part, own in parts])
    mean = values.mean(axis=0)
    return np.asarray(np.where(weight > 0, mean + weight * (values - mean), 0.0), np.float32)


def _sides(body: np.ndarray, sure: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Return what pairs of limbs, joints and points say (T, C), and how sure each is."""
    found = []
    for limb in _LIMBS:
        left, right = (_direction(body[:, limb[1] + side] - body[:, limb[0] + side]) for side in (0, 1))
        found.append((_pair(left, right), _least(sure, limb)))
    for joint in _JOINTS:
        left, right = (_angle(*(body[:, point + side] for point in joint)) for side in (0, 1))
        found.append((np.stack([left + right, np.abs(left - right)], axis=1), _least(sure, joint)))
    for point in _PLACES:
        found.append((_pair(body[:, point], body[:, point + 1]), _least(sure, (point,))))
    return found


def _middle(body: np.ndarray, sure: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Return what is in the middle: directions of the trunk and of the head, and where the nose is."""
    shoulders, hips = (body[:, [point, point + 1]].mean(axis=1) for point in (_SHOULDER, _HIP))
    trunk, head, nose = _direction(shoulders - hips), _direction(body[:, _NOSE] - shoulders), body[:, _NOSE]
    visible = float(min(_least(sure, (_SHOULDER,)), sure[_NOSE]))
    sureness = (_least(sure, (_SHOULDER, _HIP)), visible, float(sure[_NOSE]))
    folded = [np.stack([np.abs(value[:, 0]), value[:, 1]], axis=1) for value in (trunk, head, nose)]
    return list(zip(folded, sureness, strict=True))


def _least(sure: np.ndarray, points: tuple[int, ...]) -> float:
    """Return the least confidence of points on both sides."""
    return float(min(sure[point + side] for point in points for side in (0, 1)))


def _pair(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return what of vectors (T, 2) on both sides stays in a mirror, (T, 4)."""
    both, apart = left + right, np.abs(left - right)
    return np.concatenate([np.abs(both[:, :1]), both[:, 1:], apart], axis=1)


def _direction(vector: np.ndarray) -> np.ndarray:
    """Return unit vectors (T, 2); shorter ones of what has hardly a length, as of a limb that points at the camera."""
    return np.asarray(vector / np.sqrt((vector**2).sum(axis=1, keepdims=True) + _SHORT**2))


def _angle(one: np.ndarray, middle: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the angle at the middle (T,), 0 to pi."""
    first, second = _direction(one - middle), _direction(other - middle)
    return np.asarray(np.arccos((first * second).sum(axis=1).clip(-1, 1)))

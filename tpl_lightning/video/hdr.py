"""HDR to what ordinary screens show: PQ and HLG in BT.2020 (ITU-R BT.2100) to BT.709."""

import numpy as np

# Transfer characteristics in the numbers of ITU-T H.273, which FFmpeg uses.
PQ, HLG = 16, 18

_WHITE_NITS = 203.0  # diffuse white of HDR, ITU-R BT.2408; it becomes the white of the screen
_HLG_PEAK_NITS = 1000.0
_KNEE = 0.9  # light above this share of white is compressed, so that highlights keep some shape
_TABLE_BITS = 12

# Linear light in the primaries of BT.2020 to those of BT.709, ITU-R BT.2087.
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)  # of BT.2020


def _pq_light(signal: np.ndarray) -> np.ndarray:
    """EOTF of SMPTE ST 2084, in units of white."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = signal ** (1 / m2)
    light: np.ndarray = 10_000 / _WHITE_NITS * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light


def _hlg_light(signal: np.ndarray) -> np.ndarray:
    """Inverse OETF of HLG: light of the scene in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


_TABLES = {
    transfer: light(np.linspace(0, 1, 1 << _TABLE_BITS)).astype(np.float32)
    for transfer, light in ((PQ, _pq_light), (HLG, _hlg_light))
}


def tone_mapped(picture: np.ndarray, transfer: int) -> np.ndarray:
    """Return an HDR picture as it is shown on an ordinary screen.

    Args:
        picture: (H, W, 3), uint16, RGB of BT.2020 in the full range.
        transfer: :data:`PQ` or :data:`HLG`.

    Returns:
        (H, W, 3), uint8, RGB of BT.709 for a screen with the gamma of BT.1886.
    """
    light = _TABLES[transfer][picture >> (16 - _TABLE_BITS)]
    if transfer == HLG:  # the OOTF of a screen of 1000 nits, gamma 1.2
        light = light * ((light @ _LUMINANCE) ** 0.2 * (_HLG_PEAK_NITS / _WHITE_NITS))[..., None]
    light = np.maximum(light @ _TO_BT709.T, 0)
    # All channels by the same factor, so that hues stay.
    brightest = light.max(axis=-1)
    over = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    compressed = np.minimum(brightest, _KNEE) + (1 - _KNEE) * (1 - np.exp(-over))
    light *= (compressed / np.maximum(brightest, 1e-6))[..., None]
    return np.asarray(255 * light.clip(0, 1) ** (1 / 2.4) + 0.5).astype(np.uint8)

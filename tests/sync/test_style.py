"""Lettering: every character that some font of the machine has."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tpl_lightning.sync import style

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"


@pytest.fixture
def system_fonts(monkeypatch, tmp_path):
    """The machine has a broken font, and one with a character that DejaVu Sans lacks."""
    (tmp_path / "broken.ttf").write_text("no font")
    found = [str(tmp_path / "broken.ttf"), str(FONTS / "STIXNonUni.ttf")]
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: found)
    caches = (style.system_fonts, style.font_of, style.text)
    for cache in caches:
        cache.cache_clear()
    yield Path(found[1])
    for cache in caches:
        cache.cache_clear()


def test_characters_that_our_font_lacks_are_drawn_with_another(system_fonts):
    own = style.known_characters(FONTS / "DejaVuSans.ttf")
    foreign = chr(min(style.known_characters(system_fonts) - own))
    assert style.font_of(foreign, False) == system_fonts
    drawn = style.text(f"a{foreign}b", 24)
    widths = [ImageFont.truetype(str(path), 24) for path in (FONTS / "DejaVuSans.ttf", system_fonts)]
    assert (
        drawn.shape[1] == round(widths[0].getlength("a") + widths[1].getlength(foreign) + widths[0].getlength("b")) + 1
    )
    # The line stays where it is, whatever it holds.
    assert drawn.shape[0] == style.text("ab", 24).shape[0]
    np.testing.assert_array_equal(drawn[:, :10], style.text("ab", 24)[:, :10])


def test_what_no_font_has_is_no_error(system_fonts):
    assert style.text("a\U0010fffdb", 14).shape[1] > style.text("ab", 14).shape[1]


def test_plain_text_looks_as_before(system_fonts):
    font = ImageFont.truetype(str(FONTS / "DejaVuSans-Bold.ttf"), 18)
    image = Image.new("RGB", (round(font.getlength("jump 0.35 s")) + 1, sum(font.getmetrics())), style.BACKGROUND)
    ImageDraw.Draw(image).text((0, 0), "jump 0.35 s", fill=style.TEXT, font=font)
    np.testing.assert_array_equal(style.text("jump 0.35 s", 18, bold=True), np.asarray(image))
    short = style.text("a very long name of a clip", 18, max_width=90)
    assert 60 < short.shape[1] <= 91

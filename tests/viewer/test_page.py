"""The page in a headless Chromium: it loads, seeks, and shows the right frames, read off screenshots."""

import json
import shutil
import time

import numpy as np
import pytest

from tests.run_factory import PHASES, inverse_warp, make_run, read_code, warp
from tests.viewer.browser import Browser, find_browser
from tpl_lightning.__main__ import main

pytest.importorskip("av")
pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")

LENGTHS, STRENGTHS, POINTS = (40, 50, 60, 45), (0.0, 0.6, -0.6, 0.4), 49


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    run = make_run(folder, lengths=LENGTHS, strengths=STRENGTHS, prototype=POINTS, actions=("jump", "turn"))
    assert main(["view", str(run)]) == 0
    return run / "view" / "index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile"), width=1100, height=760) as browser:
        yield browser


@pytest.fixture
def opened(browser, page):
    browser.open(page)
    return browser


def shown(browser):
    """The numbers of the frames on the screen, in the order of the cards."""
    script = """[...document.querySelectorAll("video")].map((v) => {
        const r = v.getBoundingClientRect(); return [r.left, r.top, r.width, r.height].map(Math.round); })"""
    boxes, picture = browser.evaluate(script), browser.screenshot()
    return [read_code(picture[y : y + h, x : x + w]) for x, y, w, h in boxes]


def expected(moment):
    """The frame of each clip at a moment of the prototype, by the known warps."""
    return [float(warp(s, moment) * (n - 1)) for s, n in zip(STRENGTHS, LENGTHS, strict=True)]


def painted(browser, fits, seconds=10):
    """Return the frames on the screen, as they are right: a busy machine paints late what it has decoded."""
    end = time.monotonic() + seconds
    while not fits(frames := shown(browser)) and time.monotonic() < end:
        browser.settle()
    return frames


def check_in_step(browser, moment, clips=slice(None)):
    def off(frames):
        return np.abs(np.array(frames[clips]) - expected(moment)[clips]).max()

    frames = painted(browser, lambda frames: off(frames) < 0.6)  # the nearest frame
    assert off(frames) < 0.6
    assert frames[clips] == list(browser.evaluate("tplView.frames()").values())[clips]


def check_frames(browser, frames):
    assert painted(browser, lambda found: found == frames) == frames


def test_loads_and_seeks_by_address(browser, page):
    browser.open(page, "#action=jump&t=0")
    check_frames(browser, [0, 0, 0, 0])
    for moment in (0.37, 0.5, 0.92, 1.0, 0.1):
        browser.evaluate(f"location.hash = 'action=jump&t={moment}'")
        browser.settle()
        check_in_step(browser, moment)
    assert browser.evaluate("document.getElementById('clock').textContent") == "0.100"


def test_an_address_is_followed_though_the_page_writes_its_own_meanwhile(opened):
    """Once seeks have ended the page notes where it is; that must not undo a change of the address on its way."""
    opened.evaluate("location.hash = 'action=jump&t=0.37'; history.replaceState(null, '', '#action=jump&t=0.0000')")
    opened.wait("tplView.state.x === 0.37")
    opened.settle()
    check_in_step(opened, 0.37)
    opened.wait("location.hash.endsWith('t=0.3700')")


def test_every_prototype_point_shows_its_frames(opened):
    for point in range(0, POINTS, 4):
        opened.evaluate(f"tplView.show({point / (POINTS - 1)})")
        opened.settle()
        check_in_step(opened, point / (POINTS - 1))


def test_keys(opened):
    opened.evaluate("tplView.show(0.5)")
    opened.press("ArrowRight")
    assert opened.evaluate("tplView.state.x") == pytest.approx(25 / 48)
    opened.press("ArrowLeft", modifiers=8)  # shift
    opened.settle()
    check_in_step(opened, 15 / 48)
    opened.press("End")
    opened.settle()
    check_frames(opened, [n - 1 for n in LENGTHS])
    opened.press("Home")
    opened.press("2")
    assert opened.evaluate("document.getElementById('phase-name').textContent") == PHASES[1]
    assert opened.evaluate("tplView.state.x") == pytest.approx(0.3, abs=1 / 48)
    opened.press("]")
    assert opened.evaluate("tplView.state.speed") == 1.5
    opened.press(".")
    assert opened.evaluate("document.getElementById('title').textContent") == "turn"
    opened.settle()
    check_frames(opened, [0, 0, 0, 0])


def test_original_and_synchronised(opened):
    opened.evaluate("tplView.show(0.5)")
    opened.press("o")
    opened.settle()
    # Half of the longest clip, the same second in all of them.
    frames = painted(opened, lambda frames: np.abs(np.array(frames) - 59 / 2).max() <= 0.5)
    assert np.abs(np.array(frames) - 59 / 2).max() <= 0.5
    stripes = "[...document.querySelectorAll('.stripe')].map((s) => s.style.backgroundColor)"
    assert len(set(opened.evaluate(stripes))) > 1
    opened.press("s")
    opened.settle()
    check_in_step(opened, 0.5)
    assert len(set(opened.evaluate(stripes))) == 1


def test_a_click_on_a_phase_jumps_to_its_beginning(opened):
    left, top, width, height = opened.box("#track")
    opened.click(left + 0.85 * width, top + 0.25 * height)
    opened.settle()
    moment = opened.evaluate("tplView.state.x")
    assert moment == pytest.approx(0.7, abs=1 / 48)
    check_in_step(opened, moment)
    opened.click(left + 0.85 * width, top + 0.75 * height)  # the lower half scrubs
    assert opened.evaluate("tplView.state.x") == pytest.approx(0.85, abs=0.01)


def test_the_marker_runs_along_the_warp_curve(opened):
    opened.evaluate("tplView.show(0.25)")
    places = opened.evaluate(
        "[...document.querySelectorAll('.marker')].map((m) => [m.cx, m.cy].map((v) => v.baseVal.value))"
    )
    for (x, y), strength in zip(places, STRENGTHS, strict=True):
        assert x == pytest.approx(25)
        assert 100 - y == pytest.approx(100 * warp(strength, 0.25), abs=0.1)


def test_plays_in_step(opened):
    opened.evaluate("tplView.show(0)")
    opened.settle()
    opened.evaluate("document.querySelector('[value=\"0.25\"]').parentElement.value = '0.25'")
    opened.evaluate("document.getElementById('speed').dispatchEvent(new Event('change'))")
    opened.press(" ", text=" ")
    opened.wait("tplView.state.x > 0.3")
    script = """JSON.stringify([tplView.state.x, [...document.querySelectorAll("video")].map((v) => v.currentTime)])"""
    moment, seconds = json.loads(opened.evaluate(script))
    assert np.abs(np.array(seconds) * 24 - expected(moment)).max() < 3  # frames, on a busy machine
    opened.press(" ", text=" ")
    opened.settle()
    moment = opened.evaluate("tplView.state.x")
    assert 0.3 < moment < 1
    check_in_step(opened, moment)


def test_narrow_windows_show_all_without_sideways_scrolling(opened):
    for width in (360, 700, 1600):
        opened.resize(width, 720)
        opened.wait(f"window.innerWidth === {width}")
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        cards = "Math.max(...[...document.querySelectorAll('.card')].map((c) => c.getBoundingClientRect().right))"
        assert opened.evaluate(cards) <= width
    opened.resize(1100, 760)


def test_a_single_action_needs_no_choice(opened, browser, tmp_path):
    assert opened.box("#actions")[2] > 0
    run = make_run(tmp_path, lengths=(20, 24), strengths=(0.0, 0.4), prototype=20, labels=False)
    assert main(["view", str(run)]) == 0
    browser.open(run / "view" / "index.html")
    assert browser.box("#actions")[2:] == [0, 0]
    assert browser.box("#chip")[2:] == [0, 0]  # nor is there a colour of a phase without phases


def test_a_clip_that_cannot_be_played_says_so(browser, page, tmp_path):
    copy = tmp_path / "view"
    shutil.copytree(page.parent, copy)
    next(iter(sorted((copy / "videos").iterdir()))).write_bytes(b"no video")
    browser.open(copy / "index.html", "#action=jump&t=0.5")
    browser.wait("document.querySelectorAll('.card.broken').length === 1")
    check_in_step(browser, 0.5, slice(1, None))


def test_inverse_warp_of_the_tests():
    assert warp(0.6, inverse_warp(0.6, 0.3)) == pytest.approx(0.3, abs=1e-6)

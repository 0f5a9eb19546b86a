"""The dashboard in a real browser: what it shows of sixteen streams, by mouse and keys, and when the daemon goes."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
pytest.importorskip("starlette", reason="needs the extra web")

from playwright.sync_api import Browser, Page, expect

from tests.daemon.web.browsing import CHROMIUM, OUTAGE, PATIENCE_MS, PATIENCE_S, Box, Tab, boxed, chromium

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; .ci/run names the package"),
    pytest.mark.timeout(300),
]
STREAMS = 3
MANY = 16
# Whether a canvas holds a picture: how many different colours it has among some of its pixels.
COLOURS = """(selector) => {
    const canvas = document.querySelector(selector);
    if (!canvas || !canvas.width) return 0;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const pixels = new Uint32Array(data.buffer), found = new Set();
    for (let at = 0; at < pixels.length; at += 97) found.add(pixels[at]);
    return found.size > 12 && found.size;
}"""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A daemon with a few streams, in each of which a dog barks."""
    with boxed(tmp_path_factory.mktemp("box"), STREAMS) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def tab(browser: Browser, box: Box) -> Iterator[Tab]:
    """A page in which nothing may go wrong."""
    made = Tab(browser, box)
    yield made
    made.close()
    assert not made.wrong


@pytest.fixture
def phone(browser: Browser, box: Box) -> Iterator[Tab]:
    """The same on a telephone."""
    made = Tab(browser, box, 360, 740, has_touch=True, is_mobile=True, device_scale_factor=2)
    yield made
    made.close()
    assert not made.wrong


def first_event(page: Page) -> None:
    """Wait until a bark was told."""
    page.locator(".event", has_text="Dog").first.wait_for(timeout=PATIENCE_MS)


def test_overview_shows_every_stream_and_what_it_hears(tab: Tab) -> None:
    page = tab.show()
    expect(page.locator(".stream")).to_have_count(STREAMS)
    assert page.title() == "Streams · edge-1 · glatd"
    expect(page.locator(".sum")).to_contain_text(f"{STREAMS} of {STREAMS} live", timeout=PATIENCE_MS)
    expect(page.locator(".stream .tags li").first).to_be_visible(timeout=PATIENCE_MS)
    tab.until(COLOURS, ".strip")
    first_event(page)
    # Levels follow the sound, on a page that is not touched.
    told = page.locator(".level-text").first.inner_text()
    tab.until("(told) => document.querySelector('.level-text').textContent !== told", told)


@pytest.mark.slow
def test_sixteen_streams_and_only_those_that_are_seen_are_asked_for(browser: Browser, tmp_path: Path) -> None:
    with boxed(tmp_path, MANY, hop=2.88) as many:
        tab = Tab(browser, many, 1440, 1000)
        page = tab.show()
        expect(page.locator(".stream")).to_have_count(MANY)
        expect(page.locator(".sum")).to_contain_text(f"{MANY} of {MANY} live", timeout=PATIENCE_MS)
        tab.until(COLOURS, ".stream:nth-child(16) .strip")
        assert len(tab.asked[-1]["watch"]["streams"]) == MANY
        # Every line hears something.
        expect(page.locator(".stream .level-text:empty")).to_have_count(0, timeout=PATIENCE_MS)
        # With half of the lines below the edge, these are asked for no more.
        page.set_viewport_size({"width": 1440, "height": 500})
        tab.until("() => document.querySelector('.stream:nth-child(16)').getBoundingClientRect().top > innerHeight")
        page.wait_for_timeout(500)
        assert 0 < len(tab.asked[-1]["watch"]["streams"]) < MANY
        tab.close()
        assert not tab.wrong


def test_stream_shows_looks_scores_and_events(tab: Tab) -> None:
    page = tab.show("stream/mic-03")
    expect(page.locator("h1")).to_have_text("mic-03")
    tab.until(COLOURS, ".waterfall")
    looked = tab.until("() => document.querySelector('.picture .unseen').textContent.match(/for: (?!nothing).+/)?.[0]")
    assert looked
    expect(page.locator(".now li").first).to_be_visible(timeout=PATIENCE_MS)
    first_event(page)
    # The classes that are drawn have scores, and their lines grow.
    expect(page.locator(".chip-value").first).to_have_text(re.compile(r"0\.\d\d"), timeout=PATIENCE_MS)
    tab.until(COLOURS, ".plot canvas")
    assert tab.asked[-1]["watch"]["streams"] == ["mic-03"]
    assert tab.asked[-1]["watch"]["labels"]
    # A held picture stands still, and goes on.
    page.locator(".waterfall").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Let it run")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Hold")).to_be_visible()


def test_a_threshold_that_is_moved_tells_what_would_have_been_told(tab: Tab) -> None:
    page = tab.show("stream/mic-02")
    first_event(page)
    page.get_by_label("Add a class").fill("Dog")
    page.get_by_label("Add a class").press("Enter")
    line = page.get_by_role("slider", name="Threshold of Dog")
    words = page.locator(".verdict-line")
    expect(words).to_contain_text("At 0.50, Dog would have been told", timeout=PATIENCE_MS)
    expect(page.locator(".toml-box")).to_be_hidden()
    handle = line.bounding_box()
    plot = page.locator(".u-over").bounding_box()
    assert handle is not None and plot is not None
    assert abs(handle["y"] + handle["height"] / 2 - plot["y"] - plot["height"] / 2) < 3  # 0.50 is half-way up
    at = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0], at[1] - 90, steps=6)
    page.mouse.up()
    dragged = float(line.get_attribute("aria-valuenow") or 0)
    assert dragged > 0.7
    expect(words).to_contain_text(f"At {dragged:.2f}, Dog", timeout=PATIENCE_MS)
    line.focus()
    page.keyboard.press("End")
    expect(words).to_contain_text("At 1.00, Dog would have been told never", timeout=PATIENCE_MS)
    expect(page.locator(".toml")).to_contain_text("on = 1")
    expect(page.locator(".toml")).to_contain_text('labels = ["Dog"]')
    page.keyboard.press("Home")
    expect(words).to_contain_text(
        re.compile(r"At 0\.10, Dog would have been told (once|twice|\d+ times)"), timeout=PATIENCE_MS
    )
    page.keyboard.press("Escape")
    expect(line).to_have_attribute("aria-valuenow", "0.50")


def test_a_verdict_asks_for_the_token_once_and_is_kept(tab: Tab) -> None:
    page = tab.show("events")
    first_event(page)
    row = page.locator(".event", has_text="Dog").first
    key = row.get_attribute("data-key")
    row = page.locator(f'.event[data-key="{key}"]')
    row.get_by_role("button", name="Confirm").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Token").fill("not it")
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    tab.wrong.clear()  # every answer that is no 200 stands there
    dialog.get_by_label("Token").fill(tab.box.token)
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog).to_have_count(0)
    expect(row.get_by_role("button", name="Confirm")).to_have_attribute("aria-pressed", "true", timeout=PATIENCE_MS)
    assert f'"{key}"' in str(tab.box.get("/api/verdicts.json", True)).replace("'", '"')
    assert "\tDog" in tab.box.get("/api/verdicts.tsv", True)
    # The evidence, with a note that is text whatever it looks like, and the clip, which it may hear now.
    row.locator(".event-head").click()
    expect(row.locator(".gauge")).to_have_count(3)
    note = row.get_by_label("Note")
    note.fill("<img src=x onerror=alert(1)> next door's")
    note.press("Enter")
    expect(row.locator(".phases li").first).to_be_visible()
    row.get_by_role("button", name="Reject").click()
    expect(row.get_by_role("button", name="Reject")).to_have_attribute("aria-pressed", "true", timeout=PATIENCE_MS)
    expect(row.get_by_role("button", name="Confirm")).to_have_attribute("aria-pressed", "false")
    page.reload()
    page.locator("select[name=verdict]").select_option("rejected")
    expect(page.locator(".event")).to_have_count(1, timeout=PATIENCE_MS)
    page.locator(".event-head").click()
    expect(page.get_by_label("Note")).to_have_value("<img src=x onerror=alert(1)> next door's")


def test_a_stream_is_listened_to_with_the_token_and_no_longer_than_wanted(tab: Tab) -> None:
    page = tab.show("stream/mic-01")
    page.get_by_role("button", name="Listen", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Token").fill(tab.box.token)
    dialog.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Stop listening")).to_be_visible(timeout=PATIENCE_MS)
    tab.until("() => document.querySelector('audio')?.currentTime > 0.5")
    # It is sound, and not only a connection.
    loudest = tab.until("""() => {
        const audio = document.querySelector("audio");
        if (!window.meter) {
            const context = new AudioContext();
            window.meter = context.createAnalyser();
            context.createMediaElementSource(audio).connect(window.meter).connect(context.destination);
        }
        const samples = new Float32Array(window.meter.fftSize);
        window.meter.getFloatTimeDomainData(samples);
        const most = Math.max(...samples.map(Math.abs));
        return most > 0.01 && most;
    }""")
    assert 0.01 < loudest <= 1.0
    log = tab.box.folder / "log"
    assert "listens to mic-01 now" in log.read_text()
    page.get_by_role("button", name="Stop listening").click()
    expect(page.get_by_role("button", name="Listen", exact=True)).to_be_visible()
    until = time.monotonic() + PATIENCE_S
    while "listens to mic-01 no more" not in log.read_text():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_history_is_searched_and_paged(tab: Tab) -> None:
    page = tab.show("events")
    first_event(page)
    page.locator(".event", has_text="mic-02").first.wait_for(timeout=PATIENCE_MS)
    page.locator("select[name=stream]").select_option("mic-02")
    tab.until("""() => { const rows = [...document.querySelectorAll('.event .event-stream')];
        return rows.length && rows.every((row) => row.textContent === 'mic-02'); }""")
    page.get_by_label("Search").fill("no such sound")
    expect(page.locator(".empty")).to_have_text("No event is like that.", timeout=PATIENCE_MS)
    page.get_by_label("Search").fill("dog")
    expect(page.locator(".event").first).to_contain_text("Dog", timeout=PATIENCE_MS)
    row = page.locator(".event").first
    row.locator(".event-head").click()
    expect(row.locator(".gauge").first).to_contain_text("whole 10 s")


def test_everything_can_be_done_by_keyboard(tab: Tab) -> None:
    page = tab.show()
    expect(page.locator(".stream")).to_have_count(STREAMS)
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Everywhere")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".stream-name").nth(1)).to_be_focused()
    ring = page.locator(".stream").nth(1).evaluate("(element) => getComputedStyle(element).outlineStyle")
    assert ring == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("mic-02")
    page.keyboard.press("]")
    expect(page.locator("h1")).to_have_text("mic-03")
    first_event(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".evidence")).to_be_visible()
    page.keyboard.press("h")
    expect(page.locator("h1")).to_have_text("Health")
    expect(page.locator(".sources tbody tr")).to_have_count(STREAMS)
    page.keyboard.press("e")
    expect(page.locator("h1")).to_have_text("Events")
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("oh")  # letters are letters in a field
    expect(page.get_by_label("Search")).to_have_value("oh")
    # Themes: as the system has it, light, dark; and the choice stays.
    page.keyboard.press("Tab")
    page.locator("h1").click()
    background = "getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(background)
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(background) != before
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_telephone_is_wide_enough(phone: Tab) -> None:
    page = phone.show()
    for view in ("", "stream/mic-01", "health", "events"):
        page.evaluate("(view) => { location.hash = '#/' + view; }", view)
        page.locator(".streams .stream, .now li, .sources tbody tr, .history .event").first.wait_for(
            timeout=PATIENCE_MS
        )
        assert page.evaluate(WIDER) == 0, view
    page.locator(".event-head").first.tap()
    expect(page.locator(".evidence").first).to_be_visible()
    assert page.evaluate(WIDER) == 0


def test_a_lost_daemon_is_told_and_comes_back_without_a_reload(tab: Tab) -> None:
    page = tab.show("health")
    session = tab.box.get("/api/state")["session"]
    expect(page.locator(".page-facts")).to_contain_text(session)
    page.evaluate("window.same = true")
    tab.box.stop(signal.SIGKILL)
    expect(page.locator("#link")).to_have_attribute("data-state", "lost", timeout=PATIENCE_MS)
    expect(page.locator("#notice")).to_contain_text("trying again")
    tab.box.start()
    expect(page.locator("#link")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    again = tab.box.get("/api/state")["session"]
    assert again != session
    expect(page.locator(".page-facts")).to_contain_text(again, timeout=PATIENCE_MS)
    page.keyboard.press("o")
    expect(page.locator(".stream")).to_have_count(STREAMS)
    tab.until(COLOURS, ".strip")
    # What was told before the restart is in the journal.
    first_event(page)
    assert page.evaluate("window.same")
    tab.wrong[:] = [text for text in tab.wrong if not text.startswith(OUTAGE)]

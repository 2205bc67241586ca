"""The pad in JupyterLab and in Jupyter Notebook: digits are drawn on it, and read."""

import json
import math
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from support.browser import screenshot_on_failure
from support.lab import (
    CELL,
    CELLS,
    OPENED,
    RUN,
    TIMEOUT,
    open_notebook,
    open_page,
    wait_until,
)
from support.project import ROOT

pytestmark = pytest.mark.browser

NOTEBOOK = "05_your_own_digits.ipynb"
DIGITS = {  # the corners of one stroke, as shares of the page
    "1": [(0.5, 0.15), (0.5, 0.85)],
    "0": [
        (0.5 + 0.2 * math.sin(turn / 4 * math.pi), 0.5 - 0.35 * math.cos(turn / 4 * math.pi))
        for turn in range(9)
    ],
    "7": [(0.28, 0.21), (0.72, 0.21), (0.4, 0.85)],
}
ADDRESSES = {"lab": "lab?reset", "notebook": f"notebooks/{NOTEBOOK}?factory=Notebook"}
EXECUTE = """async code => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const texts = [];
    const future = kernel.requestExecute({code, store_history: false});
    future.onIOPub = message => texts.push(message.content.text ?? message.content.evalue ?? "");
    await future.done;
    return texts.join("");
}"""
EXPLAINED = """words => {
    const cells = window.jupyterapp.shell.currentWidget.context.model.toJSON().cells;
    const outputs = cells.find(cell => cell.metadata.tags?.includes("pad")).outputs;
    const pictures = outputs.filter(output => output.data["image/png"]);
    return pictures.length == 1 && pictures[0].metadata["image/png"].alt.includes(words);
}"""
THEME = "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})"
THEMED = "name => document.body.dataset.jpThemeName === name"
# Jupyter without Jupyter: what the pad does when nobody answers.
ALONE = """<main><h1>Pad</h1><div id="cell"></div></main><style>{css}</style><script type="module">
{script}
const model = {{on() {{}}, off() {{}}, send() {{ window.sent = (window.sent ?? 0) + 1; }}}};
render({{model, el: document.getElementById("cell")}});
</script>"""


@pytest.fixture(scope="module", params=ADDRESSES)
def application(request, browser, lab):
    """Open the notebook in one of the applications and run all of it."""
    with open_page(browser, lab, ADDRESSES[request.param], has_touch=True) as page:
        with screenshot_on_failure(page, f"pad-{request.param}"):
            if request.param == "lab":
                open_notebook(page, NOTEBOOK)
            else:
                wait_until(page, OPENED, NOTEBOOK)
            page.evaluate(RUN)
            page.wait_for_function("window.done", timeout=5 * TIMEOUT)
            page.evaluate_handle(CELL, "pad")  # scrolls to it
            page.locator(".digit-pad").wait_for()
        yield page


@pytest.fixture
def page(application, request):
    """Return the opened notebook; its pad is empty."""
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    with screenshot_on_failure(application, name):
        clear(application)
        yield application


def canvas(page):
    return page.locator(".digit-pad canvas")


def status(page):
    return page.locator(".digit-pad [role=status]")


def clear(page):
    page.get_by_role("button", name="Clear").click()
    expect(status(page)).to_have_text("")
    expect(canvas(page)).to_have_attribute("aria-label", "Your drawing: empty")


def points(page, digit, steps=6):
    """Give the way of the pen over the page, in pixels of the screen."""
    canvas(page).scroll_into_view_if_needed()
    box = canvas(page).bounding_box()
    corners = [
        (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in DIGITS[digit]
    ]
    way = [corners[0]]
    for (x0, y0), (x1, y1) in zip(corners, corners[1:], strict=False):
        shares = [step / steps for step in range(1, steps + 1)]
        way += [(x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for share in shares]
    return way


def draw_with_mouse(page, digit):
    first, *rest = points(page, digit)
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point)
    page.mouse.up()


def draw_with_finger(page, digit):
    session = page.context.new_cdp_session(page)

    def touch(kind, *fingers):
        fingers = [{"x": x, "y": y} for x, y in fingers]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    first, *rest = points(page, digit)
    touch("touchStart", first)
    for point in rest:
        touch("touchMove", point)
    touch("touchEnd")
    session.detach()


def answer(page):
    expect(status(page)).not_to_have_text(re.compile(r"^(Reading \.\.\.)?$"), timeout=TIMEOUT)
    return status(page).inner_text()


def read(page):
    page.get_by_role("button", name="Read it").click()
    return answer(page)


def test_digits_drawn_with_the_mouse_are_read(page):
    for digit in DIGITS:
        draw_with_mouse(page, digit)
        expect(canvas(page)).to_have_attribute("aria-label", "Your drawing: one stroke")
        assert re.findall(r"\d", read(page))[0] == digit
        clear(page)


def test_the_steps_of_the_last_drawing_are_shown(page):
    for digit in "17":
        draw_with_mouse(page, digit)
        page.wait_for_function(EXPLAINED, arg=read(page), timeout=TIMEOUT)
        clear(page)


def test_digits_drawn_with_a_finger_are_read(page):
    for digit in DIGITS:
        draw_with_finger(page, digit)
        expect(canvas(page)).to_have_attribute("aria-label", "Your drawing: one stroke")
        page.get_by_role("button", name="Read it").tap()
        assert re.findall(r"\d", answer(page))[0] == digit
        page.get_by_role("button", name="Clear").tap()
        expect(status(page)).to_have_text("")


def arrived(page):
    code = "import hashlib; print(pad.image.shape, pad.image.dtype, pad.image.min(), end=' ')\n"
    return page.evaluate(EXECUTE, code + "print(hashlib.sha256(pad.image).hexdigest())")


def inked(page):
    """Give the first and last row, and the first and last column, with ink in them."""
    code = "print([[int(part.min()), int(part.max())] for part in (pad.image < 128).nonzero()])"
    rows, columns = json.loads(page.evaluate(EXECUTE, code))
    return tuple(rows), tuple(columns)


@pytest.mark.parametrize("draw", [draw_with_mouse, draw_with_finger])
def test_the_same_drawing_gives_the_same_array(page, draw):
    arrays = []
    for digit in "771":
        draw(page, digit)
        read(page)
        arrays.append(arrived(page))
        clear(page)
    assert arrays[0] == arrays[1] != arrays[2]
    assert all(array.startswith("(280, 280) uint8 0 ") for array in arrays)


def test_a_tap_leaves_a_dot(page):
    canvas(page).click(position={"x": 70, "y": 140})
    read(page)
    assert inked(page) == ((130, 149), (60, 79))


def test_a_narrow_page_on_a_fine_screen_gives_the_same_size(page):
    session = page.context.new_cdp_session(page)
    screen = {"width": 1200, "height": 900, "deviceScaleFactor": 3, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", screen)
    page.evaluate("document.querySelector('.digit-pad').parentElement.style.width = '150px'")
    assert canvas(page).bounding_box()["width"] == canvas(page).bounding_box()["height"] == 140
    draw_with_mouse(page, "1")
    assert re.findall(r"\d", read(page))[0] == "1"
    page.evaluate("document.querySelector('.digit-pad').parentElement.style.width = ''")
    session.send("Emulation.clearDeviceMetricsOverride")
    session.detach()
    assert inked(page) == ((32, 247), (130, 149)) and "(280, 280)" in arrived(page)


def tab_to_the_pad(page):
    """Go on from the cell: the buttons in its corner come before the pad."""
    page.locator(".digit-pad > p").first.click()
    for _ in range(9):
        page.keyboard.press("Tab")
        if canvas(page).evaluate("canvas => canvas === document.activeElement"):
            return
    pytest.fail("the Tab key does not reach the drawing")


def test_the_keyboard_draws_reads_and_clears(page):
    before = [cell["source"] for cell in page.evaluate(CELLS)]
    tab_to_the_pad(page)
    for key in [*["ArrowUp"] * 10, "Space", *["ArrowDown"] * 20]:
        page.keyboard.press(key)
    expect(status(page)).to_have_text("The pen is down.")
    page.keyboard.press("Space")
    expect(status(page)).to_have_text("The pen is up.")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Read it")).to_be_focused()
    page.keyboard.press("Enter")
    assert re.findall(r"\d", answer(page))[0] == "1"
    assert inked(page) == ((30, 249), (130, 149))
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Clear")).to_be_focused()
    page.keyboard.press("Space")
    expect(canvas(page)).to_have_attribute("aria-label", "Your drawing: empty")
    assert [cell["source"] for cell in page.evaluate(CELLS)] == before


def test_every_stop_of_the_keyboard_is_seen(page):
    tab_to_the_pad(page)
    for _ in range(3):
        marked = page.screenshot()
        page.evaluate("document.activeElement.style.outline = 'none'")
        assert page.screenshot() != marked, page.evaluate("document.activeElement.outerHTML")
        page.evaluate("document.activeElement.style.outline = ''")
        page.keyboard.press("Tab")


def test_an_answer_is_text_and_a_failure_is_told(page):
    page.evaluate(EXECUTE, "usual = pad._answer\npad.on_submit(lambda image: '<b>7</b>')")
    assert read(page) == "<b>7</b>" and status(page).locator("b").count() == 0
    page.evaluate(EXECUTE, "pad.on_submit(lambda image: 1 / 0)")
    assert read(page) == "This did not work. ZeroDivisionError: division by zero"
    page.evaluate(EXECUTE, "pad.on_submit(usual)")
    draw_with_mouse(page, "1")
    assert re.findall(r"\d", read(page))[0] == "1"


def test_the_kernel_empties_the_page(page):
    draw_with_mouse(page, "1")
    read(page)
    page.evaluate(EXECUTE, "pad.clear()")
    expect(canvas(page)).to_have_attribute("aria-label", "Your drawing: empty")
    expect(status(page)).to_have_text("")


def violations(page, part=".digit-pad"):
    found = Axe().run(page, context=part).response
    assert found["passes"]
    return [(violation["id"], violation["nodes"][0]["html"]) for violation in found["violations"]]


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_axe_finds_nothing_on_the_pad(page, theme):
    page.evaluate(THEME, theme)
    page.wait_for_function(THEMED, arg=theme)
    draw_with_mouse(page, "7")
    read(page)
    assert violations(page) == []


@pytest.fixture
def alone(browser):
    """Open the pad alone, with a part of it replaced, and nobody who answers."""
    pad = ROOT / "mnist_helpers/pad"
    script, css = (pad.with_suffix(f".{kind}").read_text("utf-8") for kind in ("js", "css"))
    source = ALONE.format(css=css, script=script.partition("export default")[0])
    page = browser.new_page(viewport={"width": 390, "height": 700}, has_touch=True)
    page.clock.install()

    def alone(part="", fault=""):
        assert part in source
        page.set_content(source.replace(part, fault) if part else source)
        page.locator(".digit-pad").wait_for()
        return page

    yield alone
    page.close()


def test_without_an_answer_one_is_told_what_to_do(alone):
    page = alone()
    page.get_by_role("button", name="Read it").click()
    expect(status(page)).to_have_text("Reading ...")
    page.clock.fast_forward(21_000)
    expect(status(page)).to_contain_text("run this cell again")
    clear(page)


def test_a_tap_counts_right_after_a_quick_stroke(alone):
    page = alone()
    draw_with_finger(page, "1")
    page.get_by_role("button", name="Read it").tap()
    expect(status(page)).to_have_text("Reading ...")
    assert page.evaluate("window.sent") == 1


def test_a_second_finger_does_not_draw(alone):
    page = alone()
    session = page.context.new_cdp_session(page)
    first, last = points(page, "1")[0], points(page, "7")[-1]
    fingers = [{"x": x, "y": y, "id": name} for name, (x, y) in enumerate([first, last])]
    for kind, count in [("touchStart", 1), ("touchStart", 2), ("touchEnd", 0)]:
        event = {"type": kind, "touchPoints": fingers[:count]}
        session.send("Input.dispatchTouchEvent", event)
    expect(canvas(page)).to_have_attribute("aria-label", "Your drawing: one stroke")
    draw_with_mouse(page, "7")
    expect(canvas(page)).to_have_attribute("aria-label", "Your drawing: 2 strokes")


@pytest.mark.parametrize(
    ("rule", "part", "fault"),
    [
        ("role-img-alt", 'setAttribute("aria-label"', 'setAttribute("data-label"'),
        ("button-name", '"Read it"', '""'),
        ("color-contrast", "color: inherit", "color: #aaa"),
    ],
)
def test_axe_would_find_a_fault(alone, rule, part, fault):
    assert violations(alone()) == []
    assert [found for found, _ in violations(alone(part, fault))] == [rule]

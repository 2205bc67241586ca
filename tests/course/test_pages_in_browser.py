"""The pages of executed notebooks, opened in Chromium at desktop and phone width."""

from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from nbformat.v4 import new_markdown_cell, new_notebook, new_output, new_raw_cell
from support.browser import open_chromium
from support.notebooks import code
from support.project import NOTEBOOKS

from mnist_course.notebooks import read_outcome
from mnist_course.pages import export_page
from mnist_course.run import run_notebooks

pytestmark = pytest.mark.browser

ALT = 'Two rows of gray "digits" & a <line>'
WIDTHS = (390, 1200)

PLANTED = ["01_read.html", "02_bundled.html", "03_fails.html", "index.html"]
PAGES = PLANTED + [f"{path.stem}.html" for path in NOTEBOOKS]
FIGURE = f"""
import base64, struct, zlib
from IPython.display import display
def chunk(kind, data):
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc
rows = bytes([0] + [128] * 1500) * 40
png = (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1500, 40, 8, 0, 0, 0, 0))
       + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
display({{"image/png": base64.b64encode(png).decode(), "text/plain": {ALT!r}}},
        metadata={{"image/png": {{"alt": {ALT!r}}}}}, raw=True)"""
WIDE = (
    """
import os, sys
from IPython.display import HTML, display
print("x" * 400)
print(os.path.expanduser("~/mnist"))
print("careful", file=sys.stderr)
display(HTML("<table><tr>" + "<td>unbreakable_value</td>" * 20 + "</tr></table>"
             "<script src='https://example.invalid/x.js'></script>"
             "<img alt='far' src='https://example.invalid/x.png'>"))
# a comment that is much longer than a phone is wide"""
    + ", and longer than a desktop" * 3
)
# What is meant to be seen in a page, and what it becomes when that is forgotten, by axe's rule.
FAULTS = [
    ("color-contrast", "color: #1f1f1f", "color: #999"),
    ("html-has-lang", '<html lang="en">', "<html>"),
    ("image-alt", ' alt="', ' data-alt="'),
    ("link-in-text-block", "a { color: var(--link)", "a { text-decoration: none; color: #222"),
    ("scrollable-region-focusable", 'tabindex="0"', ""),
]
LIGHT = ("minor", "moderate")
PROSE = f"""# Read *digits* & more

Long words: `{"unbreakable" * 20}` and {"unbreakable" * 20}.
![far](https://example.invalid/far.png)
This is told [elsewhere](https://example.invalid/) in more words.

| {" | ".join("abcdefghij")} |
| {" | ".join(["-"] * 10)} |
| {" | ".join(["unbreakable_value"] * 10)} |
"""


RECORD = """
from mnist_helpers.record import record_run
dataset = {{"name": {name!r}, "train": 1438, "test": 359, "sha256": "x"}}
dataset["text"] = "{name}: 1,438 training and 359 test digits"
metrics = {{"test_accuracy": 0.8, "test_loss": float("nan")}}
record_run("stub", parameters={{}}, digits=dataset, metrics=metrics, seconds={{}})"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    solution = code(
        "answer = 6 * 7  #" + " easy" * 30 + "\nprint(answer)", "solution", "count-solution"
    )
    solution.metadata.jupyter = {"source_hidden": True, "outputs_hidden": True}
    notebooks = {
        "01_read": [
            new_markdown_cell(PROSE),
            code("seed = 1", "parameters"),
            code(FIGURE, "nbval-ignore-output", "plot-examples"),
            code(WIDE, "check"),
            code("print('the whole program')", "complete-program"),
            code("answer = None", "exercise", "count"),
            solution,
            code(RECORD.format(name="MNIST"), "record"),
        ],
        "02_bundled": [
            new_markdown_cell("# Bundled"),
            code("seed = 1", "parameters"),
            code(RECORD.format(name="bundled digits")),
        ],
        "03_fails": [
            new_markdown_cell("No title"),
            code("seed = 1", "parameters"),
            code("open('<nowhere>')", "open-file"),
            code("1", "never-run"),
        ],
    }
    for stem, cells in notebooks.items():
        nbformat.write(new_notebook(cells=cells), folder / f"{stem}.ipynb")
    paths = [folder / f"{stem}.ipynb" for stem in notebooks]
    run_notebooks(paths, parameters={"seed": 2}, output=folder / "results")
    # The course's notebooks, with the outputs that are stored in them.
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        export_page(notebook, read_outcome(path), folder / "results" / f"{path.stem}.html")
    return folder / "results"


@pytest.fixture
def visit(browser, results):
    """Open a page of the results; any request beyond this machine's files fails the test."""
    requests = []
    refused = []
    pages = []

    def note_refusal(request):
        # Chromium announces what the page's own policy then keeps it from asking for.
        if request.failure == "csp":
            refused.append(request.url)

    def visit(name, width=1200):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("request", lambda request: requests.append(request.url))
        page.on("requestfailed", note_refusal)
        page.goto((results / name).as_uri())
        pages.append(page)
        return page

    yield visit
    for page in pages:
        page.close()
    assert requests
    foreign = [url for url in requests if not url.startswith(("file:", "data:"))]
    assert [url for url in foreign if url not in refused] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PLANTED)
def test_no_page_scrolls_sideways(visit, name, width):
    page = visit(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("html").get_attribute("lang") == "en"
    assert "width=device-width" in page.locator("meta[name=viewport]").get_attribute("content")
    assert page.locator("main").bounding_box()["width"] <= 840


def stored_alternatives(path):
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    return [picture.metadata["image/png"]["alt"] for picture in pictures]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_the_true_notebooks_make_good_pages(visit, name, width):
    page = visit(f"{name}.html", width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert "MNIST: 60,000" in page.locator("#page-digits").inner_text()
    images = page.locator("img")
    (path,) = [path for path in NOTEBOOKS if path.stem == name]
    assert images.evaluate_all("all => all.map(image => image.alt)") == stored_alternatives(path)
    assert images.evaluate_all("all => all.filter(i => i.naturalWidth == 0).length") == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_wide_things_scroll_or_shrink_inside_their_box(visit, width):
    page = visit("01_read.html", width)
    image = page.get_by_role("img", name=ALT, exact=True)
    box = image.bounding_box()
    column = page.locator("main").bounding_box()["width"]
    assert box["width"] / box["height"] == pytest.approx(1500 / 40, rel=0.1)
    assert image.locator("..").bounding_box()["width"] <= column
    if width < 640:
        assert box["width"] == 640
    else:
        assert box["width"] <= column
    scrolls = {
        "pre:has-text('a comment')": True,
        "[data-mime-type='text/html'] .table": True,
        ".jp-RenderedMarkdown .table": True,
        # On a wide page, its lines break.
        "[data-mime-type='text/plain'] pre:has-text('xxx')": width < 640,
    }
    for wide, expected in scrolls.items():
        box = page.locator(wide).first
        assert box.evaluate("box => box.scrollWidth > box.clientWidth") == expected, wide


def test_a_page_says_what_it_shows(visit):
    page = visit("01_read.html")
    assert page.title() == "Read *digits* & more"
    assert page.locator("#page-digits").inner_text() == (
        "Digits: MNIST: 1,438 training and 359 test digits."
    )
    digits_top = page.locator("#page-digits").bounding_box()["y"]
    assert digits_top < page.locator("h1").bounding_box()["y"] < 300
    names = page.locator(".cell-name").all_text_contents()
    assert [name.split(" · ")[0] for name in names] == [
        "Set for this run, in place of the values above:",
        "plot-examples",
        "count",
        "count-solution",
        "record",
    ]
    assert 0 <= float(names[1].split(" · ")[1].removesuffix(" s")) < 30
    assert page.get_by_text("the whole program").count() == 1
    assert page.get_by_text("0.8000").count() == 1
    page.get_by_role("link", name="All notebooks").click()
    assert page.url.endswith("/index.html")


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_a_page_of_stored_outputs_says_nothing_of_a_run(visit, name):
    names = visit(f"{name}.html").locator(".cell-name").all_text_contents()
    assert names and [text for text in names if "·" in text or "not run" in text] == []


def test_a_solution_is_closed_and_opens_with_the_keyboard(visit):
    page = visit("01_read.html")
    shown = page.get_by_text("answer = 6 * 7"), page.get_by_text("42", exact=True)
    assert page.get_by_text("answer = None").is_visible()
    assert page.locator("details:not([open]) > summary").all_text_contents() == ["Solution"]
    assert [part.is_visible() for part in shown] == [False, False]
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert [part.is_visible() for part in shown] == [True, True]


def test_color_alone_says_nothing(visit):
    page = visit("01_read.html")
    before = "box => getComputedStyle(box, '::before').content"
    said = page.locator("[data-mime-type='application/vnd.jupyter.stderr']:has-text('careful')")
    assert said.evaluate(before) == '"Error output:"'
    plain = page.locator("[data-mime-type='text/plain']:has-text('xxx')").first
    assert plain.evaluate(before) == "none"
    lines = "all => all.map(link => getComputedStyle(link).textDecorationLine)"
    assert set(page.locator("a:visible").evaluate_all(lines)) == {"underline"}


def test_the_bundled_digits_are_called_so(visit):
    text = visit("02_bundled.html").locator("#page-digits").inner_text()
    assert "359 test digits" in text and "MNIST could not be reached" in text
    assert "accuracies differ" in text


def test_a_failed_notebook_says_where_it_stopped(visit):
    page = visit("03_fails.html")
    assert page.title() == "03_fails"
    assert "stopped before it recorded its digits" in page.locator("#page-digits").inner_text()
    assert "open-file: FileNotFoundError" in page.locator("#page-stopped").inner_text()
    assert "'<nowhere>'" in page.locator("#page-stopped").inner_text()
    assert "never-run · not run" in page.locator(".cell-name").all_inner_texts()
    page.get_by_role("link", name="open-file").click()
    assert page.url.endswith("#page-failed") and page.locator("#page-failed").count() == 1


def test_the_index_lists_what_was_run(visit):
    page = visit("index.html")
    rows = page.locator("tbody tr")
    assert [row.locator("td").nth(1).inner_text() for row in rows.all()] == [
        "test accuracy 0.8000, test loss not finite",
        "test accuracy 0.8000, test loss not finite",
        "FAILED in open-file: FileNotFoundError: [Errno 2] No such file or directory: '<nowhere>'",
    ]
    assert page.locator("th[scope=row]").count() == 3
    page.get_by_role("link", name="01_read").click()
    assert page.title() == "Read *digits* & more"


def test_no_page_names_a_folder_of_this_computer(results):
    for page in results.glob("*.html"):
        for place in (results.parent, Path.home() / "mnist", Path.cwd()):
            assert str(place) not in page.read_text(encoding="utf-8")


# Links, and what opens or scrolls: all that is to be reached. Tab's stops are marked `reached`.
UNREACHED = """[...document.querySelectorAll("a[href], summary, main *")].filter(e =>
    e.checkVisibility() && !("reached" in e.dataset) && (e.matches("a[href], summary")
    || (e.scrollWidth > e.clientWidth && /auto|scroll/.test(getComputedStyle(e).overflowX))
)).map(e => e.outerHTML.slice(0, 200))"""
AT = "document.activeElement"


def tab_through(page):
    """Go to every stop of the Tab key; yield the name of each element."""
    while True:
        page.keyboard.press("Tab")
        if page.evaluate(f"{AT} == document.body || 'reached' in {AT}.dataset"):
            return
        page.evaluate(f"{AT}.dataset.reached = ''")
        yield page.evaluate(f"{AT}.tagName")


def scrolls(page):
    page.keyboard.press("ArrowRight")
    for _ in range(100):  # it glides, and the page's policy forbids `wait_for_function`
        if page.evaluate(f"{AT}.scrollLeft > 0"):
            return True
        page.wait_for_timeout(20)
    return False


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [*PLANTED, f"{NOTEBOOKS[0].stem}.html"])
def test_the_keyboard_reaches_everything(visit, name, width):
    page = visit(name, width)
    kinds = []
    for kind in tab_through(page):
        kinds.append(kind)
        assert page.evaluate(f"{AT}.matches('a, summary, [role=group][aria-label]')"), kind
        if kind == "SUMMARY":
            page.keyboard.press("Enter")
        if page.evaluate(f"{AT}.scrollWidth > {AT}.clientWidth"):
            assert scrolls(page), kind
    assert "A" in kinds and page.evaluate(UNREACHED) == []
    assert page.locator("details:not([open])").count() == 0


@pytest.mark.parametrize("name", PLANTED)
def test_every_stop_of_the_keyboard_is_seen(visit, name):
    page = visit(name, 390)
    for kind in tab_through(page):
        marked = page.screenshot()
        page.evaluate(f"{AT}.style.outline = 'none'")
        assert page.screenshot() != marked, f"{kind}: no mark shows where the keyboard is"


def test_what_the_keyboard_does_not_reach_is_noticed(visit, results, tmp_path):
    text = (results / "01_read.html").read_text(encoding="utf-8")
    fault = text.replace("<summary", "<summary tabindex='-1'").replace(
        "<a href", "<a tabindex='-1' href"
    )
    (tmp_path / "fault.html").write_text(fault, encoding="utf-8")
    page = visit(tmp_path / "fault.html")
    list(tab_through(page))
    unreached = page.evaluate(UNREACHED)
    assert [part[:2] for part in unreached] == ["<a", "<a", "<s"]


def findings(page):
    """Return what axe-core calls serious or critical, by rule; `details` are opened before."""
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = [v for v in Axe().run(page).response["violations"] if v["impact"] not in LIGHT]
    return {violation["id"]: [node["html"] for node in violation["nodes"]] for violation in found}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(visit, name, width):
    assert findings(visit(name, width)) == {}


@pytest.mark.parametrize("rule, part, fault", FAULTS)
def test_axe_finds_a_planted_fault(visit, results, tmp_path, rule, part, fault):
    text = (results / "01_read.html").read_text(encoding="utf-8")
    assert part in text
    (tmp_path / "fault.html").write_text(text.replace(part, fault), encoding="utf-8")
    assert set(findings(visit(tmp_path / "fault.html", 390))) == {rule}


@pytest.mark.parametrize("name", PAGES)
def test_the_policy_of_a_page_keeps_scripts_from_running(visit, name):
    page = visit(name)
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy.startswith("default-src 'none';") and "script" not in policy
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.text = "document.title = 'a script ran'";
        document.body.append(script);
    }""")
    assert page.title() != "a script ran"


# Each of these would lead away, ask for something, cover the page or swallow the rest of it.
HOSTILE = """
<meta http-equiv="refresh" content="0;url=elsewhere.html"><base href="elsewhere/">
<link rel="stylesheet" href="elsewhere.css"><link rel="prefetch" href="elsewhere.html">
<img src="elsewhere.png" onerror="location='elsewhere.html'"><input autofocus onfocus="x()">
<iframe src="elsewhere.html"></iframe><object data="elsewhere.svg"></object><embed src="elsewhere">
<svg onload="x()"><foreignObject><meta http-equiv="refresh" content="0;url=elsewhere.html">
</foreignObject></svg><form action="elsewhere.html"><button>Go on</button></form>
<p style="position: fixed; inset: 0; background: url(elsewhere.png)">covers</p>
<noscript><p title="</noscript><meta http-equiv=refresh content=0;url=elsewhere.html>"></noscript>
<a href="javascript:location='elsewhere.html'" ping="elsewhere">Click</a></div></details></main>
<table><caption><svg><style></table><!--"""


@pytest.fixture(params=["text/html", "text/markdown", "image/svg+xml", "prose"])
def hostile(request, tmp_path):
    """Return a page whose notebook wants to do harm; `elsewhere.html` lies beside it."""
    cell = new_markdown_cell(f"# Hostile\n\n{HOSTILE}")
    if request.param != "prose":
        cell = code("1")
        cell.outputs = [new_output("display_data", data={request.param: HOSTILE})]
    last = code("'the last cell'")
    outcome = {"notebook": "hostile", "record": None, "seconds": 1.5, "cell": None, "error": None}
    page = tmp_path / "hostile.html"
    export_page(new_notebook(cells=[cell, last]), outcome, page)
    (tmp_path / "elsewhere.html").write_text("elsewhere", encoding="utf-8")
    return page


COVERS = [
    '<span style="line-height: 0; font-size: 260px; background-color: #fff; color: #fff">█</span>',
    '<b style="border: 300px solid #fff">x</b>',
    '<b style="text-decoration: overline 400px #fff">over, and over</b>',
]


@pytest.mark.parametrize("cover", COVERS)
@pytest.mark.parametrize("new_cell", [new_markdown_cell, new_raw_cell])
def test_no_cell_covers_another_or_the_banner(browser, tmp_path, cover, new_cell):
    cells = [new_markdown_cell("the cell above"), new_cell(cover)]
    cells.append(new_markdown_cell("the cell below"))
    outcome = {"notebook": "covers", "record": None, "seconds": 1.5, "cell": "x", "error": "E"}
    export_page(new_notebook(cells=cells), outcome, tmp_path / "covers.html")
    page = browser.new_page()
    page.goto((tmp_path / "covers.html").as_uri())
    others = [
        page.locator(place) for place in (".banner", "text=the cell above", "text=the cell below")
    ]
    with_cover = [other.screenshot() for other in others]
    cell = page.locator(".jp-Cell").nth(1)
    assert cell.locator("[style]").count() == 1
    # It keeps its place, and what stands in it cannot be seen.
    cell.evaluate("cell => cell.style.visibility = 'hidden'")
    assert [other.screenshot() for other in others] == with_cover
    page.close()


def stay(browser, path):
    """Open a page and let it do what it wants; return its address, and all that it asked for."""
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    if page.url == path.as_uri():
        for link in page.get_by_text("Click", exact=True).all():
            link.click()
    text = page.inner_text("body")
    url = page.url
    page.close()
    return url, asked, text


def test_a_hostile_notebook_cannot_lead_away_or_hide_the_rest(browser, hostile):
    url, asked, text = stay(browser, hostile)
    assert url == hostile.as_uri()
    assert [address for address in asked if not address.startswith("data:")] == [url]
    assert "the last cell" in text and "All notebooks" in text


def test_a_page_that_leads_away_is_noticed(browser, hostile):
    text = hostile.read_text(encoding="utf-8")
    refresh = '<meta http-equiv="refresh" content="0;url=elsewhere.html">'
    hostile.write_text(text.replace("<nav>", f"{refresh}<nav>"), encoding="utf-8")
    url, asked, _ = stay(browser, hostile)
    assert url.endswith("/elsewhere.html") and url in asked


@pytest.mark.parametrize("ci, outcome", [("true", pytest.fail), ("", pytest.skip)])
def test_without_chromium_only_ci_fails(monkeypatch, ci, outcome):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome.Exception, match="none of chromium"), open_chromium():
        pass

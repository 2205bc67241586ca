"""The pages of executed notebooks, opened in Chromium at desktop and phone width."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import sync_playwright

from mnist_helpers.batch.run import run_notebooks
from mnist_helpers.pages import export_page

ALT = 'Two rows of gray "digits" & a <line>'
WIDTHS = (390, 1200)
NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
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
import os
from IPython.display import HTML, display
print("x" * 400)
print(os.path.expanduser("~/mnist"))
display(HTML("<table><tr>" + "<td>unbreakable_value</td>" * 20 + "</tr></table>"
             "<script src='https://example.invalid/x.js'></script>"
             "<img alt='far' src='https://example.invalid/x.png'>"))
# a comment that is much longer than a phone is wide"""
    + ", and longer than a desktop" * 3
)
PROSE = f"""# Read *digits* & more

Long words: `{"unbreakable" * 20}` and {"unbreakable" * 20}.
![far](https://example.invalid/far.png)

| {" | ".join("abcdefghij")} |
| {" | ".join(["-"] * 10)} |
| {" | ".join(["unbreakable_value"] * 10)} |
"""


def record_source(name):
    return (
        "from mnist_helpers.batch.record import record_run\nrecord_run('stub', parameters={}, "
        f"digits={{'name': {name!r}, 'train': 1438, 'test': 359, 'sha256': 'x', 'text': "
        f"'{name}: 1,438 training and 359 test digits'}},\n"
        "           metrics={'test_accuracy': 0.8, 'test_loss': float('nan')}, seconds={})"
    )


def code(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    notebooks = {
        "01_read": [
            new_markdown_cell(PROSE),
            code("seed = 1", "parameters"),
            code(FIGURE, "nbval-ignore-output", "plot-examples"),
            code(WIDE, "check"),
            code("print('the whole program')", "complete-program"),
            code(record_source("MNIST"), "record"),
        ],
        "02_bundled": [
            new_markdown_cell("# Bundled"),
            code("seed = 1", "parameters"),
            code(record_source("bundled digits")),
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
    for path in NOTEBOOKS:  # with the outputs that are stored in them
        export_page(path, folder / "results" / f"{path.stem}.html")
    return folder / "results"


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        reason = f"none of {', '.join(names)} is installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, results):
    """Open a page of the results; any request beyond this machine's files fails the test."""
    requests, refused, pages = [], [], []

    def visit(name, width=1200):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("request", lambda request: requests.append(request.url))
        # Chromium announces what the page's own policy then keeps it from asking for.
        page.on(
            "requestfailed",
            lambda request: request.failure == "csp" and refused.append(request.url),
        )
        page.goto((results / name).as_uri())
        pages.append(page)
        return page

    yield visit
    for page in pages:
        page.close()
    assert (
        requests
        and [
            url for url in requests if not url.startswith(("file:", "data:")) and url not in refused
        ]
        == []
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["01_read.html", "02_bundled.html", "03_fails.html", "index.html"])
def test_no_page_scrolls_sideways(visit, name, width):
    page = visit(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("html").get_attribute("lang") == "en"
    assert "width=device-width" in page.locator("meta[name=viewport]").get_attribute("content")
    assert page.locator("main").bounding_box()["width"] <= 840


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_the_true_notebooks_make_good_pages(visit, name, width):
    page = visit(f"{name}.html", width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert "MNIST: 60,000" in page.locator("#digits-used").inner_text()
    images = page.locator("img")
    (path,) = [path for path in NOTEBOOKS if path.stem == name]
    figures = path.read_text(encoding="utf-8").count('"image/png": "')
    assert images.count() == figures > 0
    assert images.evaluate_all("all => all.filter(i => i.alt.length < 40).length") == 0
    assert images.evaluate_all("all => all.filter(i => i.naturalWidth == 0).length") == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_wide_things_scroll_or_shrink_inside_their_box(visit, width):
    page = visit("01_read.html", width)
    image = page.get_by_role("img", name=ALT, exact=True)
    box, column = image.bounding_box(), page.locator("main").bounding_box()["width"]
    assert box["width"] / box["height"] == pytest.approx(1500 / 40, rel=0.1)
    assert image.locator("..").bounding_box()["width"] <= column
    assert box["width"] == 640 if width < 640 else box["width"] <= column
    for wide in (
        "pre:has-text('a comment')",
        "[data-mime-type='text/html']:has(td)",
        "[data-mime-type='text/plain']:has-text('xxx')",
        ".jp-RenderedMarkdown:has(td)",
    ):
        assert page.locator(wide).first.evaluate("box => box.scrollWidth > box.clientWidth"), wide


def test_a_page_says_what_it_shows(visit):
    page = visit("01_read.html")
    assert page.title() == "Read *digits* & more"
    assert page.locator("#digits-used").inner_text() == (
        "Digits: MNIST: 1,438 training and 359 test digits."
    )
    assert (
        page.locator("#digits-used").bounding_box()["y"]
        < page.locator("h1").bounding_box()["y"]
        < 300
    )
    names = page.locator(".cell-name").all_inner_texts()
    assert [name.split(" · ")[0] for name in names] == [
        "Set for this run, in place of the values above:",
        "plot-examples",
        "record",
    ]
    assert 0 <= float(names[1].split(" · ")[1].removesuffix(" s")) < 30
    assert page.get_by_text("the whole program").count() == 1
    assert page.get_by_text("0.8000").count() == 1
    page.get_by_role("link", name="All notebooks").click()
    assert page.url.endswith("/index.html")


def test_the_bundled_digits_are_called_so(visit):
    text = visit("02_bundled.html").locator("#digits-used").inner_text()
    assert "359 test digits" in text and "MNIST could not be reached" in text
    assert "accuracies differ" in text


def test_a_failed_notebook_says_where_it_stopped(visit):
    page = visit("03_fails.html")
    assert page.title() == "03_fails"
    assert "stopped before it recorded its digits" in page.locator("#digits-used").inner_text()
    assert "open-file: FileNotFoundError" in page.locator("#stopped").inner_text()
    assert "'<nowhere>'" in page.locator("#stopped").inner_text()
    assert "never-run · not run" in page.locator(".cell-name").all_inner_texts()
    page.get_by_role("link", name="open-file").click()
    assert page.url.endswith("#failed") and page.locator("#failed").count() == 1


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

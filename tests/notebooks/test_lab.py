"""A learner's JupyterLab in Chromium: the hand-out is opened, run, and used with the keyboard."""

import re
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from support.browser import screenshot_on_failure
from support.lab import (
    CELL,
    CELLS,
    KERNEL,
    RUN,
    TIMEOUT,
    ask,
    learners_lab,
    open_notebook,
    open_page,
)
from support.project import ROOT

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, lab):
    with open_page(browser, lab) as page:
        yield page


@pytest.mark.parametrize("name", ["00_start_here.ipynb", "01_dense_network.ipynb"])
def test_a_learner_runs_a_whole_notebook(page, lab, name):
    path = lab.work / name
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(r"epochs = \d+", "epochs = 1", cell.source)
    nbformat.write(notebook, path)
    with screenshot_on_failure(page, path.stem):
        open_notebook(page, name)
        page.evaluate(RUN)
        page.wait_for_function("window.done", timeout=5 * TIMEOUT)
        cells = [cell for cell in page.evaluate(CELLS) if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
        outputs = [output for cell in cells for output in cell["outputs"]]
        assert [output for output in outputs if output["output_type"] == "error"] == []
        assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
        assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        assert page.locator(".Toastify__toast").count() == 0
        if name.startswith("01"):
            check_live_curve(page, cells)


def check_live_curve(page, cells):
    (cell,) = [cell for cell in cells if "train-model" in cell["metadata"].get("tags", [])]
    bar, curves = cell["outputs"]
    assert "epochs in" in bar["data"]["text/plain"]
    assert "accuracy" in curves["metadata"]["image/png"]["alt"]
    most, different = page.evaluate("[window.seen.most, window.seen.pictures.size]")
    assert most == 1 and different >= 2  # it is drawn again, in place
    image = page.evaluate_handle(CELL, "train-model").as_element().wait_for_selector("img")
    image.scroll_into_view_if_needed()
    assert image.evaluate("image => image.naturalWidth") > 600


@pytest.fixture
def planted(lab):
    """A notebook with a solution, folded as those of the course are."""
    solution = new_code_cell(
        "# Solution\nanswer = 6 * 7",
        metadata={"tags": ["solution", "count-solution"]},
        execution_count=1,
    )
    solution.metadata.jupyter = {"source_hidden": True, "outputs_hidden": True}
    solution.outputs = [new_output("stream", text="Right: forty-two")]
    cells = [new_code_cell("print(6 * 7)"), new_markdown_cell("Text"), solution]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, lab.work / "planted.ipynb")
    return "planted.ipynb"


def test_shift_and_enter_run_a_cell_and_move_on(page, planted):
    with screenshot_on_failure(page, "shift-enter"):
        open_notebook(page, planted)
        active = "window.jupyterapp.shell.currentWidget.content.activeCellIndex"
        for step in (1, 2):
            page.keyboard.press("Shift+Enter")
            page.wait_for_function(f"{active} == {step}")
        page.locator(".jp-OutputArea-output", has_text="42").wait_for()
        # A cell's number comes with the kernel's last word, later than what the cell prints.
        page.wait_for_function(f"({CELLS})()[0].execution_count === 1")


def test_a_solution_is_folded_until_it_is_opened(page, planted):
    with screenshot_on_failure(page, "solution"):
        open_notebook(page, planted)
        shown = [page.get_by_text("answer = 6 * 7"), page.get_by_text("forty-two")]
        page.locator(".jp-InputPlaceholder").wait_for()
        assert [part.is_visible() for part in shown] == [False, False]
        page.locator(".jp-InputPlaceholder").click()
        page.locator(".jp-OutputPlaceholder").click()
        for part in shown:
            part.wait_for()


def test_the_solutions_of_the_course_are_folded(page, lab):
    shutil.copy(ROOT / "notebooks/01_dense_network.ipynb", lab.work / "tracked.ipynb")
    with screenshot_on_failure(page, "tracked"):
        open_notebook(page, "tracked.ipynb")
        folded = page.evaluate("""() => window.jupyterapp.shell.currentWidget.content.widgets
            .filter(cell => cell.model.type == "code")
            .filter(cell => cell.model.metadata.tags?.includes("solution"))
            .map(cell => [cell.inputHidden, cell.outputHidden, cell.model.sharedModel.source])""")
        assert folded and all(source and output for source, output, _ in folded)
        # JupyterLab shows the first line of what it folds: it must not give the answer away.
        assert [source for _, _, source in folded if not source.startswith("# Solution\n")] == []


def test_the_question_about_news_would_be_seen(page, lab):
    settings = lab.home / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    own = settings / "notification.jupyterlab-settings"
    own.write_text('{"fetchNews": "none"}')
    with screenshot_on_failure(page, "news"):
        page.reload()
        page.locator(".Toastify__toast", has_text="official Jupyter news").wait_for()
    own.unlink()


def test_a_failure_keeps_a_picture(browser, tmp_path):
    page = browser.new_page()
    with pytest.raises(AssertionError) as caught:
        with screenshot_on_failure(page, "planted", tmp_path):
            raise AssertionError("planted")
    page.close()
    assert caught.value.__notes__ == [f"What the browser showed is in {tmp_path}/planted.png."]
    assert (tmp_path / "planted.png").read_bytes().startswith(b"\x89PNG")


def test_a_failure_leaves_no_process(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01.ipynb").write_text("{}")
    with pytest.raises(ZeroDivisionError), learners_lab(tmp_path) as lab:
        ask(lab, "api/kernels", b"{}")
        family = [lab.process, *lab.process.children(recursive=True)]
        assert any("ipykernel_launcher" in process.cmdline() for process in family)
        raise ZeroDivisionError
    assert [process for process in family if process.is_running()] == []

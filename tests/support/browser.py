"""Chromium for the tests that need one, and a picture of what it showed when a test failed."""

import shutil
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

from support.project import ROOT
from support.tools import lacking

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCREENSHOTS = ROOT / "results" / "screenshots"


@contextmanager
def open_chromium():
    program = find_chromium()
    if program is None:
        lacking(f"none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


def find_chromium():
    for name in NAMES:
        program = shutil.which(name)
        if program:
            return program
    return None


@contextmanager
def screenshot_on_failure(page, name, folder=SCREENSHOTS):
    """Keep what `page` shows as `folder`/`name`.png when the block fails; the failure names it."""
    try:
        yield
    except BaseException as error:
        # Not Exception: a failure that pytest itself raises is none.
        page.screenshot(path=folder / f"{name}.png")
        error.add_note(f"What the browser showed is in {folder / name}.png.")
        raise

"""Chromium for the tests that need one, and a picture of what it showed when a test failed."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCREENSHOTS = Path(__file__).parents[2] / "results" / "screenshots"


@contextmanager
def open_chromium():
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        reason = f"none of {', '.join(NAMES)} is installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


@contextmanager
def screenshot_on_failure(page, name, folder=SCREENSHOTS):
    """Keep what `page` shows as `folder`/`name`.png when the block fails; the failure names it."""
    try:
        yield
    except BaseException as error:  # pytest's own failures are no Exceptions
        page.screenshot(path=folder / f"{name}.png")
        error.add_note(f"What the browser showed is in {folder / name}.png.")
        raise

"""What a test does when something it needs is not on this machine."""

import os

import pytest


def lacking(reason):
    """Skip, or fail where CI promises that every tool is there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)

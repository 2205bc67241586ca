"""What one try of the campaign came to."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """The outcome of one try.

    Attributes
    ----------
    part : str
        The part of the campaign, such as ``"kills"``.
    kind : str
        What was tried, such as ``"sweep, while renaming"``.
    fault : str
        What fell; empty when all held.
    """

    part: str
    kind: str
    fault: str = ""

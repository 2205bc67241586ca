"""Folders that are written whole or not at all."""

import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_folder(path):
    """Give a new, empty folder that takes the place of `path` when the block succeeds.

    When the block raises, `path` is as it was.

    Parameters
    ----------
    path : pathlib.Path
        The folder to write. Missing folders above it are made.

    Yields
    ------
    pathlib.Path
        The folder to fill.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = Path(place, "handout")
    ...     with atomic_folder(folder) as part:
    ...         _ = Path(part, "README.md").write_text("hello")
    ...     [file.name for file in folder.iterdir()]
    ['README.md']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside `path`, so that both are on one file system and renaming is enough.
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as beside:
        part = Path(beside, path.name)
        part.mkdir()
        yield part
        if path.exists():
            # It goes away together with the temporary folder.
            path.rename(Path(beside, f"{path.name} before"))
        part.rename(path)

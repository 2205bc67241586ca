"""Environment variables that keep a library from being imported or used: which one it was."""

import os
import traceback

# What Python calls the code of a module that runs when it is imported.
_IMPORTED = "<module>"

# Libraries that read variables at their first use, and in their errors name none: how the names of
# these begin. With OPENCV_FOR_THREADS_NUM=abc, OpenCV says "stoull".
_LATE_READERS = {"cv2": "OPENCV_"}

# Of what a variable holds, to be recognized in a message.
SHORTEST_VALUE = 3


def explain_failed_import(error):
    """Say which variable has made an import fail, or the first use of a library.

    Parameters
    ----------
    error : Exception
        With its traceback.

    Returns
    -------
    str or None
        None if no variable is known to be the cause.

    Examples
    --------
    >>> explain_failed_import(ValueError("invalid literal: 'abc'")) is None
    True
    """
    text = " ".join(str(error).split())
    library = type(error).__module__.partition(".")[0]
    if library in _LATE_READERS:
        names = [name for name in sorted(os.environ) if name.startswith(_LATE_READERS[library])]
        if names:
            return f"{library} has failed ({text}): unset the variable {' or '.join(names)}"
    frames = traceback.extract_tb(error.__traceback__)
    if not any(frame.name == _IMPORTED for frame in frames):
        return None
    names = quoted_variables(text)
    if not names:
        return None
    return f"a library cannot be imported ({text}): unset the variable {' or '.join(names)}"


def quoted_variables(text):
    """Find the environment variables whose name or whose value, in quotes, stands in a text.

    Parameters
    ----------
    text : str
        Such as an error's.

    Returns
    -------
    list of str

    Examples
    --------
    >>> quoted_variables("nothing is quoted")
    []
    """
    names = []
    for name, value in os.environ.items():
        # A short name, such as _ or PWD, may be part of any word; no library has a short one.
        is_named = "_" in name.strip("_") and name in text
        # A short value, such as 1, may stand in any text.
        is_quoted = len(value) >= SHORTEST_VALUE and repr(value) in text
        if is_named or is_quoted:
            names.append(name)
    return names

"""Environment variables that keep a library from being imported: which one it was."""

import os
import traceback

# What Python calls the code of a module that runs when it is imported.
_IMPORTED = "<module>"


def explain_failed_import(error):
    """Say which variable has made an import fail.

    Parameters
    ----------
    error : Exception
        With its traceback.

    Returns
    -------
    str or None
        None if the error did not arise in an import, or if it quotes no variable's value.

    Examples
    --------
    >>> explain_failed_import(ValueError("invalid literal: 'abc'")) is None
    True
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not any(frame.name == _IMPORTED for frame in frames):
        return None
    text = " ".join(str(error).split())
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
        if is_named or repr(value) in text:
            names.append(name)
    return names

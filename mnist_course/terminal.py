"""Text that a terminal can show."""

import sys


def printable(text):
    r"""Show control characters, and what the terminal cannot show, as escapes.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> printable("seven\x1b[31m.png")
    'seven\\x1b[31m.png'
    """
    shown = []
    for character in text:
        if character.isprintable():
            shown.append(character)
        else:
            shown.append(ascii(character)[1:-1])
    encoding = sys.stdout.encoding or "utf-8"
    return "".join(shown).encode(encoding, "backslashreplace").decode(encoding)

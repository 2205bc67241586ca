"""Texts of strangers in our messages: one line, not too long, and nothing that a terminal obeys."""

# An error's text may be a whole configuration.
LONGEST_QUOTE = 300
_CUT = " …"


def escape(text):
    r"""Show characters that a terminal would obey, or that end a line, as escapes.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(escape("red\x1b[31m"))
    red\x1b[31m
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def quote(text, longest=LONGEST_QUOTE):
    r"""Return the beginning of a text, in one line.

    Parameters
    ----------
    text : object
        What `str` makes a text of, of any length.
    longest : int
        Characters.

    Returns
    -------
    str

    Examples
    --------
    >>> print(quote("a\nb" * 100, longest=10))
    a ba ba …
    """
    # Far more than is quoted: of a text of megabytes, each word would be looked at.
    line = " ".join(str(text)[: 10 * longest].split())
    line = escape(line)
    if len(line) > longest:
        line = line[: longest - len(_CUT)].rstrip() + _CUT
    return line

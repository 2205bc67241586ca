"""Markup that notebooks bring: what of it may stand in a page.

A page shows what somebody else's notebook put out. Nothing of that may run, ask another host for
anything, lead its reader away without a click, or take the rest of the page along.
"""

import collections
import html
import re

from bleach.css_sanitizer import CSSSanitizer
from bleach.html5lib_shim import Filter
from bleach.sanitizer import Cleaner

# What the prose, tables and results of notebooks consist of. Of every other tag the text stays.
TAGS = frozenset(
    """
    a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em
    figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span
    strike strong sub summary sup table tbody td tfoot th thead tr tt u ul var
    """.split()
)
# What these hold is no text for readers, so that it goes as well.
DROPPED_TAGS = frozenset(["script", "style", "iframe", "noscript", "title"])

ATTRIBUTES = {
    "a": ["href"],
    "col": ["span"],
    "colgroup": ["span"],
    "details": ["open"],
    "img": ["alt", "height", "src", "width"],
    "ol": ["start"],
    "table": ["border"],
    "td": ["colspan", "rowspan"],
    "th": ["colspan", "rowspan", "scope"],
}
COMMON_ATTRIBUTES = ["class", "dir", "id", "lang", "style", "title"]
# So begin the ids of the page itself, to which its own links lead: the first of two is taken.
PAGE_ID = "page-"

# Colors, letters and lines. Nothing that moves a box: it could cover what others wrote.
STYLES = [
    "background-color",
    "border",
    "border-collapse",
    "border-color",
    "border-style",
    "border-width",
    "color",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "line-height",
    "overflow-x",
    "text-align",
    "text-decoration",
    "text-decoration-color",
    "vertical-align",
    "white-space",
]

PROTOCOLS = ["http", "https", "mailto"]
# The address of a picture that a notebook holds itself; every other one is a request.
PICTURE = "data:image/"
# The time that parsing takes grows with the square of the depth: 50,000 tags took six minutes.
MAX_DEPTH = 200
TAG = re.compile("<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# So does that for the attributes of one tag: 20,000 of them took ten seconds.
MAX_ATTRIBUTES = 50
# A tag with more of them, as browsers read it. The possessive repeats (``*+``) and the atomic
# group keep the search itself from trying the same text in many ways.
CROWDED_TAG = re.compile(
    r"</?[a-zA-Z][^\s/>]*+"
    r"(?>[\s/]*+[^\s/>][^\s/>=]*+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>\"'][^\s>]*+|))?)"
    f"{{{MAX_ATTRIBUTES + 1}}}"
)
# Seconds are what a page may take: 48,000 tags take half of one.
MAX_TAGS = 50_000
# Of what is shown as it was written; what is left out is in the notebook.
MAX_WRITTEN_CHARACTERS = 200_000
REST_IS_IN_NOTEBOOK = "\n[The rest is too long for a page: it is in the notebook.]\n"
# Either these hold nothing, or the next one of them ends the one before.
NEVER_DEEP = frozenset("br col dd dt hr img input li link meta p td th tr wbr".split())

# Browsers take these out of an address before they read it.
SKIPPED_IN_ADDRESSES = re.compile(r"[\x00-\x20\x7f-\xa0\s]+")


def clean_markup(text):
    """Keep the harmless part of HTML, read as browsers read it; every tag is closed.

    Parameters
    ----------
    text : str
        HTML; it need not be well-formed.

    Returns
    -------
    str

    Examples
    --------
    >>> clean_markup('<meta http-equiv="refresh" content="0"><b onclick="x()">9 of 10')
    '<b>9 of 10</b>'
    """
    if takes_too_long(text):
        # Nobody writes that by hand: shown as it was written.
        return f"<pre>{html.escape(shorten_text(text))}</pre>"
    # Made anew each time, since it keeps what it is reading.
    cleaner = Cleaner(
        tags=TAGS | DROPPED_TAGS,
        attributes=_is_allowed,
        protocols=[*PROTOCOLS, "data"],
        strip=True,
        filters=[_Dropping],
        css_sanitizer=CSSSanitizer(allowed_css_properties=STYLES, allowed_svg_properties=[]),
    )
    return cleaner.clean(text)


def shorten_text(text):
    """Cut what is too long for a page, and say where the rest is.

    Examples
    --------
    >>> shorten_text("9 of 10")
    '9 of 10'
    """
    if len(text) <= MAX_WRITTEN_CHARACTERS:
        return text
    return text[:MAX_WRITTEN_CHARACTERS] + REST_IS_IN_NOTEBOOK


def takes_too_long(text):
    """Say whether cleaning HTML would take more than seconds.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool

    Examples
    --------
    >>> takes_too_long("<b>9 of 10</b>"), takes_too_long("<i>" * 1000)
    (False, True)
    """
    # Character references take their time as well.
    if text.count("<") > MAX_TAGS or text.count("&") > MAX_TAGS:
        return True
    return CROWDED_TAG.search(text) is not None or _depth(text) > MAX_DEPTH


def _depth(text):
    """Count how many tags lie within each other, at most."""
    deepest = 0
    depth = 0
    n_open = collections.Counter()
    for slash, name in TAG.findall(text):
        name = name.lower()
        if name in NEVER_DEEP:
            continue
        if not slash:
            depth += 1
            n_open[name] += 1
        elif n_open[name] > 0:
            # An end without a beginning ends nothing.
            depth -= 1
            n_open[name] -= 1
        deepest = max(deepest, depth)
    return deepest


class _Dropping(Filter):
    """Leaves out the elements of `DROPPED_TAGS` with all that they hold."""

    def __iter__(self):
        depth = 0
        for token in super().__iter__():
            is_dropped = token.get("name") in DROPPED_TAGS
            if is_dropped and token["type"] == "StartTag":
                depth += 1
            elif is_dropped and token["type"] == "EndTag":
                depth -= 1
            elif not is_dropped and depth == 0:
                yield token


def _is_allowed(tag, name, value):
    """Say whether a tag may keep an attribute."""
    if tag == "img" and name == "src":
        return _plain_address(value).startswith(PICTURE)
    if tag == "a" and name == "href":
        return _leads_by_click(value)
    if name == "id" and html.unescape(value).startswith(PAGE_ID):
        return False
    return name in COMMON_ATTRIBUTES or name in ATTRIBUTES.get(tag, [])


def _leads_by_click(address):
    """Say whether a link leads to a place or to a page beside this one; it may run nothing."""
    before_path = re.split("[/?#]", _plain_address(address))[0]
    protocol, colon, _ = before_path.partition(":")
    return colon == "" or protocol in PROTOCOLS


def _plain_address(address):
    """Return an address as a browser reads it, without character references."""
    return SKIPPED_IN_ADDRESSES.sub("", html.unescape(address)).lower()

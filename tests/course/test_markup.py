"""What of a notebook's markup may stand in a page; test_pages_in_browser.py opens hostile ones."""

import html.parser
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_course.markup import MAX_DEPTH, clean_markup

HARMLESS = {
    "a table": '<table><tbody><tr><td colspan="2">9</td></tr></tbody></table>',
    "Keras' summary": '<pre style="white-space:pre;overflow-x:auto;">x\n</pre>',
    "highlighted code": '<div class="highlight"><pre><span></span>1\n</pre></div>',
    "a heading": '<h2 id="a-b">a b<a class="anchor-link" href="#a-b">¶</a></h2>',
    "links": '<a href="https://keras.io/">a</a><a href="02.html?x=1:2#y">b</a>',
    "mail": '<a href="mailto:a@example.org">c</a>',
    "its own picture": '<img src="data:image/png;base64,AAAA" alt="a" width="9">',
    "text": "1 &lt; 2 &amp; 3",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_stays_as_it_is(name):
    assert clean_markup(HARMLESS[name]) == HARMLESS[name]


@pytest.mark.parametrize(
    ("hostile", "kept"),
    [
        ("<meta http-equiv=refresh content='0;url=//x'>a", "a"),
        ("<base href=//x><link rel=stylesheet href=//x>a", "a"),
        ("<form action=//x><button formaction=//y>a</button></form>", "a"),
        ("<iframe src=//x>b</iframe><object data=x></object><embed src=x>a", "a"),
        ("<script>b</script><style>b{}</style>a", "a"),
        ("<b onclick=x autofocus onfocus=x>a</b>", "<b>a</b>"),
        ("<a href=javascript:x>a</a>", "<a>a</a>"),
        ("<a href='java\tscr&#105;pt&colon;x'>a</a>", "<a>a</a>"),
        ("<a href=data:text/html,x ping=//x target=_top download>a</a>", "<a>a</a>"),
        ("<img src=//x srcset=//y alt=a>", '<img alt="a">'),
        ("<p style='color: red; position: fixed; background: url(//x)'>a", None),
        ("<svg><a href=//x><foreignObject><meta></foreignObject>a", '<a href="//x">a</a>'),
        ("</div></main></body>a", "a"),
        ("a<!-- b", "a"),
        ("a<style>b", "a"),
        ("<textarea>a", "a"),
        ("<noscript><p title='</noscript><img src=x onerror=x>'>a</noscript>", None),
        ("<b><i>a", "<b><i>a</i></b>"),
        # The banner's link leads there.
        ("<b id=page-failed>a</b><i id=&#112age-failed>b</i>", "<b>a</b><i>b</i>"),
    ],
)
def test_what_could_run_fetch_or_lead_away_is_taken_out(hostile, kept):
    cleaned = clean_markup(hostile)
    assert Faults(cleaned).found == []
    if kept is not None:
        assert cleaned == kept


def test_the_time_is_bounded_however_deep_tags_lie():
    for tag in ("div", "b", "table><tr><td", "svg", "details"):
        start = time.process_time()
        cleaned = clean_markup(f"<{tag}>" * 20_000)
        assert cleaned.startswith("<pre>&lt;")
        assert time.process_time() - start < 2, tag
    assert clean_markup("<p>a<br>" * MAX_DEPTH * 2).startswith("<p>a<br></p>")


def test_the_time_is_bounded_however_many_attributes_a_tag_has():
    for attribute in (" a%d=1", "/a%d", ' a%d="1"', "a%d='1'"):
        tag = "<p " + "".join(attribute % number for number in range(20_000)) + ">x"
        start = time.process_time()
        assert clean_markup(tag).startswith("<pre>&lt;p ")
        assert time.process_time() - start < 2, attribute


class Faults(html.parser.HTMLParser):
    """Notes every tag, attribute and address that could do something, and what is not closed."""

    TAGS = {"a", "b", "br", "div", "i", "img", "p", "pre", "span", "svg", "table", "td", "tr"}
    TAGS |= {"tbody", "details", "summary", "h1", "h2", "code", "em", "li", "ul", "strong"}
    ATTRIBUTES = {"alt", "class", "href", "id", "src", "style", "title", "open"}

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.open_tags = []
        self.feed(text)
        self.close()
        self.found += [f"{tag} is not closed" for tag in self.open_tags]

    def handle_starttag(self, tag, attributes):
        if tag not in self.TAGS - {"svg"}:
            self.found.append(tag)
        if tag not in ("br", "img"):
            self.open_tags.append(tag)
        for name, value in attributes:
            address = "".join((value or "").lower().split())
            if name not in self.ATTRIBUTES:
                self.found.append(name)
            if name == "src" and not address.startswith("data:image/"):
                self.found.append(value)
            if name == "href" and ":" in address and not address.startswith(("http", "mailto:")):
                self.found.append(value)
            if name == "style" and ("url" in address or "position" in address):
                self.found.append(value)

    def handle_endtag(self, tag):
        if not self.open_tags or self.open_tags.pop() != tag:
            self.found.append(f"/{tag}")

    def handle_comment(self, data):
        self.found.append(f"<!--{data}")

    def handle_decl(self, declaration):
        self.found.append(declaration)

    unknown_decl = handle_decl
    handle_pi = handle_decl


# Pieces that mean something to a browser, and any text between them.
PIECES = """
    < > </ /> " ' = & ; <!-- --> <![CDATA[ ]]> <? <! <a <b> </b> <img <p> <table> <tr> <td> </table>
    <svg> <math> <mtext> <style> </style> <script> </script> <title> </title> <textarea> <noscript>
    <meta <base <form <iframe <object <link <template> <select> <frameset> <plaintext> <details
    http-equiv=refresh content=0 onerror=x onload=x href= src= style= javascript: java&#115;cript:
    data:text/html, data:image/png, //x url(//x) position:fixed &colon; &Tab; &#x0; srcdoc= ping=
""".split()
MARKUP = st.lists(
    st.one_of(st.sampled_from([*PIECES, " ", "\n"]), st.text(max_size=3)), max_size=25
)


@given(MARKUP)
@settings(derandomize=True, deadline=None, max_examples=150)
def test_whatever_comes_only_the_harmless_stays(pieces):
    assert Faults(clean_markup("".join(pieces))).found == []


def test_a_fault_would_be_seen():
    text = "<p onclick=x><script></script><a href=javascript:x><img src=//x></a><!--a-->"
    assert Faults(text).found == [
        "onclick",
        "script",
        "javascript:x",
        "//x",
        "<!--a",
        "p is not closed",
    ]


@pytest.mark.parametrize("text", ["<ul><li></x>" * 300, "<i></b>" * 300, "<div></x>" * 300])
def test_ends_that_end_nothing_hide_no_depth(text):
    # A browser nests them; read as markup, their time grows with the square of the depth.
    assert clean_markup(text).startswith("<pre")
    assert not clean_markup("<div><i>a</i></div>" * 300).startswith("<pre")

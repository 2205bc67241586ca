"""A pad under a notebook's cell, to draw a digit on with a pen, a finger, a mouse or keys."""

from pathlib import Path

import anywidget
import numpy as np

# Pixels each way; pad.js has the same number.
SIZE = 280
# An answer is a sentence or two: what is longer is cut.
MOST_CHARACTERS = 2000
# Shown where a notebook is only looked at, and in pages made of it.
HINT = (
    "A pad to draw a digit on: open this notebook in JupyterLab or Jupyter Notebook "
    "and run this cell, and it is here."
)


class DigitPad(anywidget.AnyWidget):
    """A pad to draw a digit on; as the last line of a cell, it is shown under it.

    The button "Read it" brings the drawing here: it is then in `image`, and goes to the function
    that `on_submit` was given. Where no pad can be shown, a sentence stands in its place.

    Examples
    --------
    >>> def tell_ink(image):
    ...     share = (image < 128).mean()
    ...     return f"{share:.0%} of the page is ink."
    >>> pad = DigitPad()
    >>> pad.on_submit(tell_ink)
    >>> pad  # doctest: +SKIP
    """

    _esm = Path(__file__).with_name("pad.js")
    _css = Path(__file__).with_name("pad.css")

    def __init__(self):
        super().__init__()
        self._image = None
        self._answer = _confirm
        self.on_msg(self._receive)

    @property
    def image(self):
        """The drawing that was last submitted.

        Returns
        -------
        ndarray of uint8, shape (280, 280), or None
            A copy; 255 is the page, 0 the ink. None if nothing was submitted yet.
        """
        if self._image is None:
            return None
        return self._image.copy()

    def on_submit(self, function):
        """Let `function` answer each drawing, instead of the function before.

        Parameters
        ----------
        function : callable
            Takes a drawing as in `image` and returns the answer, a text that is shown under the
            drawing. If the function fails, what went wrong is shown there.

        Raises
        ------
        TypeError
            If `function` cannot be called.
        """
        if not callable(function):
            raise TypeError(f"`function` must take a drawing and return a text; got {function!r}.")
        self._answer = function

    def clear(self):
        """Empty the page, as the button "Clear" does; `image` stays what was last submitted."""
        self.send({"clear": True})

    def _receive(self, widget, content, buffers):
        """Keep the drawing that pad.js sent, and send the answer back."""
        try:
            pixels = np.frombuffer(buffers[0], np.uint8).reshape(SIZE, SIZE)
            # The buffer is read-only, and not ours to keep.
            self._image = pixels.copy()
            answer = str(self._answer(self.image))
        except BaseException as error:
            # An error in a widget's callback only reaches a log: it is shown where one looks. So
            # are the two that would end the kernel or get lost: `exit()`, and an interrupt.
            answer = f"This did not work. {_describe(error)}"
        self.send({"answer": _as_plain_text(answer)})

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        data["text/plain"] = HINT
        return data, metadata


def _confirm(image):
    return "The drawing has arrived: it is in the pad's `image`."


def _describe(error):
    """Return an error's class and text; a class of somebody's own may fail at its own text."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except BaseException:
        return f"{kind}, whose own text cannot be read."


def _as_plain_text(text):
    """Shorten a text, and show as escapes what is no character to read; lines stay lines."""
    # A class derived from str may do anything.
    text = str.__str__(text)
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS] + " …"
    shown = []
    for character in text:
        if character.isprintable() or character in "\n\t":
            shown.append(character)
        else:
            shown.append(ascii(character)[1:-1])
    return "".join(shown)

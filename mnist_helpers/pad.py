"""A pad under a notebook's cell, to draw a digit on with a pen, a finger, a mouse or keys."""

from pathlib import Path

import anywidget
import numpy as np

SIZE = 280  # pixels each way; pad.js has the same number
HINT = (
    "A pad to draw a digit on: open this notebook in JupyterLab or Jupyter Notebook "
    "and run this cell, and it is here."
)


class DigitPad(anywidget.AnyWidget):
    """A pad to draw a digit on; as the last line of a cell, it is shown under it.

    "Read it" brings the drawing here: it is then in `image`, and goes to the function that
    `on_submit` was given. Where nothing can be shown, a sentence stands in its place.

    Examples
    --------
    >>> pad = DigitPad()
    >>> pad.on_submit(lambda image: f"{(image < 128).mean():.0%} of the page is ink.")
    >>> pad
    """

    _esm = Path(__file__).with_name("pad.js")
    _css = Path(__file__).with_name("pad.css")

    def __init__(self):
        super().__init__()
        self._image = None
        self._answer = lambda image: "The drawing has arrived: it is in the pad's `image`."
        self.on_msg(self._receive)

    @property
    def image(self):
        """The drawing that was last submitted.

        Returns
        -------
        ndarray of uint8, shape (280, 280), or None
            A copy; 255 is the page, 0 the ink. None, if nothing was submitted yet.
        """
        return None if self._image is None else self._image.copy()

    def on_submit(self, function):
        """Let `function` answer each drawing; it takes the place of the one before.

        Parameters
        ----------
        function : callable
            Takes a drawing as `image` gives it and returns the answer, a text that is shown
            under the drawing. If it fails, what went wrong is shown there.
        """
        if not callable(function):
            raise TypeError(f"`function` must take a drawing and return a text; got {function!r}.")
        self._answer = function

    def clear(self):
        """Empty the page, as the button "Clear" does; `image` stays what was last submitted."""
        self.send({"clear": True})

    def _receive(self, _, content, buffers):
        try:
            self._image = np.frombuffer(buffers[0], np.uint8).reshape(SIZE, SIZE).copy()
            answer = str(self._answer(self.image))
        except Exception as error:  # nobody would see it anywhere else
            answer = f"This did not work. {type(error).__name__}: {error}"
        self.send({"answer": answer})

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/plain": HINT}, metadata

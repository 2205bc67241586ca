"""What the notebooks of this tutorial call; importing it imports nothing heavy."""

__version__ = "1.0.0"


def in_notebook():
    """Tell whether this runs in a Jupyter kernel, where outputs can be redrawn in place.

    Returns
    -------
    bool

    Examples
    --------
    >>> in_notebook()
    False
    """
    try:
        shell = get_ipython()
    except NameError:
        # IPython defines the name; plain Python does not know it.
        return False
    return hasattr(shell, "kernel")

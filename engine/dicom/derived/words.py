"""Sentences that fit into elements."""

import textwrap

__all__ = ["shorten"]


def shorten(text: str, width: int, placeholder: str = " [...]") -> str:
    """Return what ``textwrap.shorten`` does, without its search for places to break where nothing has to be cut.

    Examples
    --------
    >>> shorten("as  it is ", 8), shorten("cut to words", 9, placeholder=" ...")
    ('as it is', 'cut ...')
    """
    collapsed = " ".join(text.split())
    return collapsed if len(collapsed) <= width else textwrap.shorten(collapsed, width, placeholder=placeholder)

"""One self-contained HTML file that shows what a model did to an image.

``document`` is what all reports share; ``page`` gathers, ``facts`` words it, ``statistics`` and ``images`` compute, ``charts`` describes the figures for plotly,
and ``assets`` holds the template, the style sheet and the viewer that runs in the reader's browser.
"""

from .page import write_report

__all__ = ["write_report"]

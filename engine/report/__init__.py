"""Self-contained HTML files: what a model did to an image, and what was measured in one.

``document`` is what all of them share. For the report of a model, ``page`` gathers, ``facts`` words it, ``statistics`` and
``images`` compute, and ``charts`` describes the figures for plotly; ``quality_page``, ``sharpness_page`` and ``noise_page``
show measurements, with the figures of ``curves`` and the pictures of ``rasters``. ``assets`` holds the templates, the style
sheet and the scripts that run in the reader's browser.
"""

from .page import write_report

__all__ = ["write_report"]

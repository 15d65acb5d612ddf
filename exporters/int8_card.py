"""What a card says about the graph of int8."""

from typing import TYPE_CHECKING

from .markdown import markdown

if TYPE_CHECKING:
    from .quantise import Report

__all__ = ["carried_over", "with_section"]

_HEADING = "## Int8"
_IMAGES = """{heading}

The graph of int8 (`int8.npz` holds its schemes) computes {number} of the {all} convolutions of eight channels or more in 8 bits, {share:.0%} of their multiplications; the others,
sums and skips included, stay in float. Against float32, relative to the truth, on simulated frames from the fewest counts of training to the most
and on the golden ones ({engine}; `photopeak export {name} --to bundle --precision int8 -o OUT` measures again):

{table}
"""
_FINDINGS = """{heading}

The graph of int8 (`int8.npz` holds its schemes) computes {number} of the {all} convolutions of eight channels or more in 8 bits, {share:.0%} of their multiplications; the others
stay in float. On the golden frames it finds what float32 finds, and no probability changes by more than {loss:.4f}
({engine}; `photopeak export {name} --to bundle --precision int8 -o OUT` measures again).
"""


def with_section(card: str, report: "Report") -> str:
    """Return a card with what a quantisation measured, in place of what an earlier one did.

    Parameters
    ----------
    card : str
        Model card, Markdown.
    report : Report
        What the quantisation did.
    """
    rows = [(f"from {least:g} dB on", f"{loss:.3f} dB") for least, loss in report.by_level]
    text = (_IMAGES if report.by_level else _FINDINGS).format(
        heading=_HEADING,
        number=len(report.layers) - len(report.in_float),
        all=len(report.layers),
        share=report.share,
        engine=report.engine,
        name=report.model,
        loss=report.loss,
        table=markdown(("PSNR of float32", "mean loss"), rows),
    )
    return f"{_without_section(card).rstrip()}\n\n{text}"


def carried_over(card: str, before: str) -> str:
    r"""Return a card that was written anew, with the section on int8 of the one before.

    Parameters
    ----------
    card, before : str
        Model cards, Markdown.

    Examples
    --------
    >>> carried_over("# a\n", "# b\n\n## Int8\n\nMeasured.\n")
    '# a\n\n## Int8\n\nMeasured.\n'
    """
    kept = before[len(_without_section(before)) :].lstrip()
    return f"{card.rstrip()}\n\n{kept}" if kept else card


def _without_section(card: str) -> str:
    """Return a card up to its section on int8, which is the last one."""
    return card.partition(f"\n{_HEADING}\n")[0]

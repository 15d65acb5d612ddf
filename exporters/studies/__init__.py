"""``photopeak study``: measurements that the documentation quotes, each one command.

Every study is a file of this package with one function, which becomes a command of its name.
"""

import typer

from .acquisition_time import acquisition_time
from .adaptation import adaptation
from .bone_classify import bone_classify
from .bone_scan import bone_scan
from .calibration import calibration
from .cam import cam
from .coil import coil
from .ct import ct
from .cxr_view import cxr_view
from .denoise import denoise
from .domain import domain
from .engines import engines
from .liver import liver
from .niqe import niqe
from .parathyroid import parathyroid
from .sr import sr
from .volume import volume

__all__ = ["app"]

app = typer.Typer(help="Run a study and print its table.", no_args_is_help=True)
for _command in (
    acquisition_time,
    adaptation,
    bone_classify,
    bone_scan,
    calibration,
    cam,
    coil,
    ct,
    cxr_view,
    denoise,
    domain,
    engines,
    liver,
    niqe,
    parathyroid,
    sr,
    volume,
):
    app.command()(_command)

"""``photopeak export``."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..engine.cli.console import JsonOption, answer, paused, progress, say
from ..engine.errors import UsageError

if TYPE_CHECKING:
    from ..engine.bundle import Bundle
    from ..engine.matrix import MatrixSize
    from ..engine.providers import Precision


@dataclass(frozen=True)
class Asked:
    """What the command line asks a target for.

    Parameters
    ----------
    model : str
        Name of a model that ships, the folder of a bundle, or a network of the user's own.
    output : Path
        Where the target's files shall lie.
    precisions : tuple of {"fp32", "bf16", "fp16", "int8"}
        Empty where none is named: the target's own choice.
    matrices : tuple of MatrixSize
        Empty where none is named.
    options : dict
        Options that one target alone takes, by their names; those left out are absent.
    tell : callable
        Told in words what is being done.
    """

    model: str
    output: Path
    precisions: "tuple[Precision, ...]"
    matrices: "tuple[MatrixSize, ...]"
    options: dict[str, Any]
    tell: Callable[[str], None]

    @cached_property
    def bundle(self) -> "Bundle":
        """The bundle that `model` names, opened when a target first asks for it."""
        from ..engine.zoo import load_bundle

        return load_bundle(self.model)


@dataclass(frozen=True)
class Target:
    """Something that a bundle can be made into.

    Parameters
    ----------
    name : str
        What follows ``--to``.
    what : str
        What it gives, for the help.
    takes : frozenset of str
        Options besides the model and the place.
    make : callable
        Does it; returns what the command has to tell programs, with a ``summary`` for people.
    """

    name: str
    what: str
    takes: frozenset[str]
    make: Callable[[Asked], dict[str, Any]]


def _onnx(asked: Asked) -> dict[str, Any]:
    from .onnx_file import export_onnx

    complete = bool(asked.options.get("complete"))
    report = export_onnx(
        asked.bundle, asked.output, precisions=asked.precisions or ("fp32",), complete=complete, tell=asked.tell
    )
    return {**report.found(), "summary": report.summary()}


def _bioimageio(asked: Asked) -> dict[str, Any]:
    from .bioimageio import AUTHORS, require_bioimageio, write_bioimageio

    require_bioimageio()
    write_bioimageio(asked.bundle, asked.output, authors=asked.options.get("author", AUTHORS), tell=asked.tell)
    return {"summary": "valid, and its test has passed; open it in Fiji with deepImageJ."}


def _web(asked: Asked) -> dict[str, Any]:
    from .new_folder import new_folder
    from .web import export_web

    with new_folder(asked.output) as folder:
        asked.tell("gathering the page and its runtime")
        made = export_web(
            asked.bundle,
            folder,
            packages=asked.options.get("packages"),
            webgpu=not asked.options.get("wasm-only", False),
        )
    summary = f"{made.size / 1e6:.1f} MB; README.txt there says how to serve it."
    return {"digest": asked.bundle.digest, "files": made.files, "size": made.size, "summary": summary}


def _tensorrt(asked: Asked, library: str) -> dict[str, Any]:
    from .new_folder import new_folder
    from .tensorrt import EngineRequest, build_engines

    request = EngineRequest(library) if library == "tensorrt-rtx" else EngineRequest(library, capabilities=())
    capabilities = tuple(asked.options.get("capability", request.capabilities))
    request = replace(
        request,
        precisions=asked.precisions or request.precisions,
        matrices=asked.matrices or request.matrices,
        capabilities=capabilities,
    )
    with new_folder(asked.output) as folder:
        files = build_engines(asked.bundle, folder, request, tell=asked.tell)
    engines = [{"path": asked.output / file.path.name, "record": file.record.model_dump(mode="json")} for file in files]
    seconds = sum(file.record.seconds for file in files)
    summary = f"{len(files)} engine{'s' if len(files) > 1 else ''}, built in {seconds:.1f} s; engines.json and the records beside them say for what."
    return {"digest": asked.bundle.digest, "engines": engines, "summary": summary}


def _bundle(asked: Asked) -> dict[str, Any]:
    if "precision" in asked.options:
        return _quantised(asked)
    return _own(asked)


def _quantised(asked: Asked) -> dict[str, Any]:
    if asked.precisions != ("int8",) or set(asked.options) - {"precision", "max-loss-db"}:
        raise UsageError(
            "a bundle is given a graph in int8 by --precision int8, with --max-loss-db at most; fp16 and bf16 it has."
        )
    _require("fitting a graph in int8", "torch", "scipy", "skimage")
    from .new_folder import new_folder
    from .quantise import quantise_bundle

    with new_folder(asked.output) as folder:
        made, report = quantise_bundle(
            asked.bundle, folder, max_loss_db=asked.options.get("max-loss-db", 0.1), tell=asked.tell
        )
    loss = f"{report.loss:.3f}" + (" of a probability" if made.manifest.analysis else " dB")
    summary = f"{report.share:.0%} of the multiplications are in int8, which costs {loss}."
    return {"name": made.name, "digest": made.digest, "report": report, "summary": summary}


def _own(asked: Asked) -> dict[str, Any]:
    options = asked.options
    if "example" not in options or "task" not in options or "max-loss-db" in options:
        raise UsageError(
            "a bundle of your own network needs --example and --task, and --truth where it gives images; one with a graph in "
            "int8 of a bundle needs --precision int8."
        )
    _require("exporting a network", "torch", "onnxscript", "scipy", "skimage")
    from .own import About, to_bundle
    from .own.loading import load_about, load_example, load_network

    example = load_example(options["example"])
    truth = load_example(options["truth"]) if "truth" in options else None
    about = load_about(options["about"]) if "about" in options else About()
    module = load_network(asked.model)
    own = to_bundle(
        module, example, task=options["task"], truth=truth, about=about, output=asked.output, tell=asked.tell
    )
    found = {"name": own.bundle.name, "digest": own.bundle.digest, "parity": own.parity, "providers": own.providers}
    summary = f"{sum(check.passed is True for check in own.checks)} checks passed; card.md says what is not known."
    return {**found, "checks": own.checks, "summary": summary}


_PAGE = frozenset({"packages", "wasm-only"})
_ENGINES = frozenset({"precision", "matrix", "capability"})
_OWN = frozenset({"example", "truth", "task", "about", "precision", "max-loss-db"})
TARGETS = (
    Target("onnx", "a folder with the graph and a report on its parity", frozenset({"precision", "complete"}), _onnx),
    Target("bioimageio", "a package for Fiji with deepImageJ, a folder or .zip", frozenset({"author"}), _bioimageio),
    Target("web", "a static page that runs a model of images in the browser", _PAGE, _web),
    Target("tensorrt", "engines for the GPU that is here", _ENGINES, partial(_tensorrt, library="tensorrt")),
    Target(
        "tensorrt-rtx",
        "engines for kinds of GPUs, built without one",
        _ENGINES,
        partial(_tensorrt, library="tensorrt-rtx"),
    ),
    Target("bundle", "a checked bundle of your own network in PyTorch, or one that also runs in int8", _OWN, _bundle),
)


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="Name of a model that ships, or the folder of a bundle; for a network of your own FILE.py:FUNCTION."
        ),
    ],
    to: Annotated[str, typer.Option(help="; ".join(f"{target.name}: {target.what}" for target in TARGETS) + ".")],
    output: Annotated[Path, typer.Option("--output", "-o", help="What to write; it must not be there yet.")],
    precision: Annotated[
        str | None, typer.Option(help="fp32, bf16, fp16 or int8; several separated by commas.")
    ] = None,
    complete: Annotated[
        bool | None,
        typer.Option("--complete", help="onnx: put scaling and conservation, which the engine does, into the graph."),
    ] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="bioimageio: who made the model; may be given several times.")
    ] = None,
    matrix: Annotated[
        str | None, typer.Option(help="tensorrt: sizes that engines are tuned for, such as 128,256,1024x256.")
    ] = None,
    capability: Annotated[
        list[str] | None,
        typer.Option(help="tensorrt-rtx: a kind of GPU, such as SM89; may be given several times."),
    ] = None,
    packages: Annotated[
        Path | None, typer.Option(help="web: folder with the archives of npm, for machines without a network.")
    ] = None,
    wasm_only: Annotated[
        bool | None, typer.Option("--wasm-only", help="web: leave out the runtime for WebGPU, 27 MB.")
    ] = None,
    example: Annotated[
        Path | None,
        typer.Option(help="bundle: images of the kind that the network was trained on; .npy, or what 'run' reads."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="bundle: what should ideally come out for each example, or its class (.npy).")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="bundle: denoise, super-resolution, detection or classification.")
    ] = None,
    max_loss_db: Annotated[
        float | None,
        typer.Option(help="bundle with --precision int8: loss of PSNR that is admitted, by default 0.1 dB."),
    ] = None,
    about: Annotated[
        Path | None, typer.Option(help="bundle: TOML with what only you know, such as title, licence, units, labels.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make something else of a model, such as files for other runtimes, or a bundle of a network of your own.

    Example: photopeak export pet-denoise --to onnx --precision fp32,fp16 -o pet-denoise-onnx
    Example: photopeak export scint-denoise --to bioimageio -o scint-denoise.zip
    Example: photopeak export net.py:trained --to bundle --task denoise --example low.npy --truth high.npy -o my-denoiser
    """
    target = _find(to)
    given: dict[str, Any] = {"precision": precision, "complete": complete, "author": author}
    given |= {"matrix": matrix, "capability": capability, "packages": packages, "wasm-only": wasm_only}
    given |= {"example": example, "truth": truth, "task": task, "about": about, "max-loss-db": max_loss_db}
    options = {name: value for name, value in given.items() if value is not None and value is not False and value != []}
    _refuse_foreign(target, options)
    from .new_folder import require_new

    with answer(as_json) as found, progress(f"exporting {model}", shown=not as_json) as bar:
        require_new(output)
        asked = Asked(
            model=model,
            output=output,
            precisions=_precisions(options.get("precision", "")),
            matrices=_matrices(options.get("matrix", "")),
            options=options,
            tell=lambda doing: bar.update(bar.task_ids[0], description=f"exporting {model}: {doing}"),
        )
        made = target.make(asked)
        summary = made.pop("summary")
        found |= {"model": model, "target": target.name, "output": output, **made}
        with paused(bar):
            if not as_json:
                say(f"wrote {output}; {summary}")


def _find(name: str) -> Target:
    for target in TARGETS:
        if target.name == name:
            return target
    raise UsageError(f"there is no target {name!r}; use {', '.join(target.name for target in TARGETS)}.")


def _refuse_foreign(target: Target, options: dict[str, Any]) -> None:
    """Refuse options that the target would not heed."""
    if foreign := sorted(set(options) - target.takes):
        names = ", ".join(f"--{name}" for name in foreign)
        raise UsageError(f"{names} means nothing to {target.name}; leave it out.")


def _require(task: str, *modules: str) -> None:
    if missing := [name for name in modules if find_spec(name) is None]:
        raise UsageError(f"{task} needs {', '.join(missing)}, not installed here: pip install 'photopeak[train]'.")


def _precisions(text: str) -> "tuple[Precision, ...]":
    """Return the precisions that a list with commas names, each once."""
    from ..engine.providers import PRECISIONS

    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if word not in PRECISIONS:
            raise UsageError(f"{word!r} is not a precision; use {', '.join(PRECISIONS)}.")
    return tuple(precision for precision in PRECISIONS if precision in words)


def _matrices(text: str) -> "tuple[MatrixSize, ...]":
    """Return the matrix sizes that a list with commas names, each once."""
    from ..engine.matrix import MatrixSize

    return tuple(dict.fromkeys(MatrixSize.parse(word) for word in text.split(",") if word.strip()))

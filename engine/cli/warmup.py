"""``photopeak warmup``."""

from time import perf_counter

from .console import JsonOption, print_json, progress, say


def warmup(as_json: JsonOption = False) -> None:
    """Compile all kernels now, so that later commands and programs need not.

    Without it, each kernel is compiled where it is first needed, and kept. The result is the same.

    Example: photopeak warmup
    """
    from ...kernels.compilation import cache_folder, planned, warm_up

    start = perf_counter()
    done = []
    with progress("Compiling", shown=not as_json) as bar:
        task = bar.task_ids[0]
        bar.update(task, total=planned())
        for one in warm_up():
            done.append(one)
            bar.update(task, advance=1, description=one.kernel)
    fresh, seconds, folder = sum(one.compiled for one in done), perf_counter() - start, cache_folder()
    if as_json:
        kernels = [one._asdict() for one in done]
        print_json({"compiled": fresh, "ready": len(done), "seconds": seconds, "folder": folder, "kernels": kernels})
        return
    say(f"{fresh} kernels compiled in {seconds:.1f} s, {len(done) - fresh} were ready. They are kept in {folder}.")

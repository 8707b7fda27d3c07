"""Parts of a benchmark, each in a process of its own, so that its peak memory is its own."""

import json
import resource
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]
Part = Callable[[Namespace], Json]


def named_parts(module: Mapping[str, Any]) -> dict[str, Part]:
    """The functions `part_*` of a module's globals by the rest of their name, in their order."""
    return {
        name.removeprefix("part_"): function
        for name, function in module.items()
        if name.startswith("part_")
    }


def run_part(part: Part, args: Namespace) -> Json:
    """Run a part here; `peak_mb` is the largest memory that this process has had."""
    result = part(args)
    return {**result, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def start_part(module: str, name: str) -> Json:
    """Run `python -m MODULE` with this process's arguments and `--part NAME`; its last line."""
    command = [sys.executable, "-m", module, *sys.argv[1:], "--part", name]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: Json = json.loads(run.stdout.splitlines()[-1])
    return result


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started

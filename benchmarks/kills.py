"""`kill -9` at random times: every rerun completes with the bytes of an undisturbed run.

    python -m benchmarks.kills --kills 20
    python -m benchmarks.kills --kills 50 --stages repro    # the whole dvc repro

Makes a tiny project of procedural scenes in a temporary folder, runs its stages once undisturbed,
then kills `extract`, `cluster`, `annotate`, `train` and `index` again and again, one to three times
before each rerun: half of the times are drawn over the whole life of the process, half over the
part after its first file. After each rerun every file under data/ and results/ is compared with the
undisturbed run, and nothing temporary may be left, neither `.part` files nor `.scratch` nor files
in TMPDIR. After each kill, no file under its final name may be half written (`torn`).
`repro` kills `dvc repro` with the stage that it runs, from a fresh clone on, one to five times
before it may complete.

The last line is one JSON object; the exit code is 1 when anything differs.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

import stages  # noqa: F401 - the process settings of the commands
from tests.support.killing import OUTPUTS, REPRO, Victim, kill_repro, kill_stage


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each stage")
    parser.add_argument("--seed", type=int, default=0, help="of the times")
    parser.add_argument("--stages", nargs="*", default=list(OUTPUTS), choices=[*OUTPUTS, REPRO])
    return parser.parse_args()


def main() -> None:
    args = parse()
    tallies = {}
    with tempfile.TemporaryDirectory() as folder:
        victim_up_to = cache(lambda last: Victim.make(Path(folder) / last, last))
        for stage in args.stages:
            victim = victim_up_to(REPRO if stage == REPRO else "index")
            started = time.monotonic()
            if stage == REPRO:
                tallies[stage] = kill_repro(victim, args.kills, args.seed)
            else:
                tallies[stage] = kill_stage(victim, stage, args.kills, args.seed)
            first, end = victim.seconds[stage]
            print(
                f"{stage:9s} undisturbed {end:.1f} s, writing after {first:.1f} s; "
                f"{time.monotonic() - started:.0f} s for {tallies[stage]}",
                flush=True,
            )
    print(json.dumps({stage: asdict(tally) for stage, tally in tallies.items()}))
    sys.exit(0 if all(tally.passed for tally in tallies.values()) else 1)


if __name__ == "__main__":
    main()

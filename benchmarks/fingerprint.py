"""How long `fingerprint` takes on a folder of files, the first time and when nothing changed.

    python -m benchmarks.fingerprint --files 17000 --kilobytes 110     # the size of PASCAL VOC 2012
    python -m benchmarks.fingerprint --files 200000 --kilobytes 1

Makes a pool folder of such files in a temporary folder (they are no photographs; nothing decodes
them here), 1000 in a sub-folder, and runs the stage in a process of its own: first with nothing
remembered, then twice more, then after one file changed. The page cache is warm. Times are those of
the whole command, with the start of Python. The last line is one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=17_000)
    parser.add_argument("--kilobytes", type=int, default=110, help="of each file")
    parser.add_argument("--folder", type=Path, help="where to make them; default: the system's")
    return parser.parse_args()


def make(folder: Path, files: int, size: int) -> None:
    start = os.urandom(size)
    for number in range(files):
        place = folder / f"{number // 1000:04d}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"{number:07d}.jpg").write_bytes(number.to_bytes(8, "big") + start[8:])


def run(project: Path) -> tuple[float, float]:
    """Seconds on the clock and of CPU time that the stage takes."""
    started, before = time.perf_counter(), os.times()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages.fingerprint"]
    subprocess.run(command, cwd=project, env=environment, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return round(time.perf_counter() - started, 2), round(cpu, 2)


def main() -> None:
    args = parse()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        project = Path(name)
        make(project / "pool", args.files, args.kilobytes * 1000)
        shutil.copy(ROOT / "params.yaml", project)
        yaml = YAML()
        params = yaml.load((project / "params.yaml").read_text(encoding="utf-8"))
        params["unlabeled"] = ["train", "pool"]
        with (project / "params.yaml").open("w", encoding="utf-8") as stream:
            yaml.dump(params, stream)
        time.sleep(3)  # a file that changed in the last two seconds is not remembered
        found = {"files": args.files, "kilobytes": args.kilobytes, "first": run(project)}
        found["again"] = [run(project), run(project)]
        (project / "pool/0000/0000000.jpg").write_bytes(b"other")
        found["one changed"] = run(project)
        memory = [*(project / ".scratch/fingerprints").iterdir()]
        found["memory_mb"] = round(sum(p.stat().st_size for p in memory) / 1e6, 1)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

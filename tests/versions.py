"""All tests with other versions: the lowest that pyproject.toml allows, or another Python.

    python -m tests.versions --lowest
    python -m tests.versions --python ~/.pyenv/versions/3.13.0/bin/python
    python -m tests.versions --lowest -- tests/mining/test_pooling.py

Makes an environment in --venv (kept: a second run installs nothing that is there), installs the
project with the extra `dev` by uv, for `--lowest` with each direct dependency at its lower bound,
prints all versions and runs the tests. The exit code is pytest's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="that the environment is made of")
    parser.add_argument("--lowest", action="store_true", help="lower bounds of pyproject.toml")
    parser.add_argument("--venv", type=Path, help="default: a folder in the temporary folder")
    parser.add_argument("arguments", nargs="*", help="of pytest; default: all tests, two workers")
    return parser.parse_args()


def install(python: Path, lowest: bool) -> None:
    """The project with its tests' needs; uv resolves in seconds what takes pip an hour."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]
    subprocess.run(pip, check=True)
    uv = [str(python), "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    resolution = "lowest-direct" if lowest else "highest"
    subprocess.run([*uv, "--resolution", resolution, "-e", f"{ROOT}[dev]"], check=True)


def main() -> None:
    args = parse()
    name = "fsslib-" + Path(args.python).resolve().name + ("-lowest" if args.lowest else "")
    venv = (args.venv or Path(tempfile.gettempdir()) / name).resolve()
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([args.python, "-m", "venv", str(venv)], check=True)
    install(python, args.lowest)
    subprocess.run([str(python), "-m", "pip", "list", "--format=freeze"], check=True)
    environment = {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(venv),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    arguments = args.arguments or ["-n", "2", "--dist", "loadfile"]
    if args.lowest:  # old releases warn of each other
        arguments += ["-W", "default"]
    done = subprocess.run([str(python), "-m", "pytest", *arguments], cwd=ROOT, env=environment)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()

"""Tells setuptools that the folder `stages/` is the package `fsslib.commands`.

A checkout runs a step as `python -m stages.extract`, as dvc.yaml says. Installed, the same files
are `fsslib.commands`, so that a wheel brings one top-level name, `fsslib`. All else is in
pyproject.toml.
"""

from setuptools import find_packages, setup

COMMANDS = "fsslib.commands"

setup(
    package_dir={COMMANDS: "stages"},
    packages=[
        *find_packages(include=["fsslib", "fsslib.*"]),
        COMMANDS,
        *(f"{COMMANDS}.{name}" for name in find_packages("stages")),
    ],
)

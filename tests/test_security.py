"""No module of ours runs what a file or a user says."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(p for top in ("fsslib", "stages") for p in (ROOT / top).rglob("*.py"))
NAMES = {"eval", "exec", "compile", "__import__"}
MODULES_REFUSED = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "yaml",
}
METHODS = {("os", "system"), ("os", "popen"), ("tarfile", "extractall"), ("np", "load"),
           ("numpy", "load"), ("YAML", "unsafe"), ("tempfile", "mktemp")}  # fmt: skip
ALLOWED_PICKLE = {"UnpicklingError"}
"""Of the module pickle: the name of an error that torch raises."""


def dotted(node):
    """`a.b.c` of nested attributes, else nothing."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def faults(source):
    """What a module must not hold, as `line: what`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        what = fault(node)
        if what:
            found.append(f"{node.lineno}: {what}")
    return found


def fault(node):
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES_REFUSED:
        return f"from {node.module}"
    if isinstance(node, ast.Import):
        names = {a.name.split(".")[0] for a in node.names} & (MODULES_REFUSED - {"pickle"})
        return f"import {names}" if names else ""
    if isinstance(node, ast.Attribute) and dotted(node).startswith("pickle."):
        return "" if node.attr in ALLOWED_PICKLE else dotted(node)
    if not isinstance(node, ast.Call):
        return ""
    options = {k.arg: k.value for k in node.keywords}
    return call_fault(dotted(node.func), node.args, options)


def call_fault(name, arguments, options):
    head, _, last = name.rpartition(".")
    if name in NAMES or (head.split(".")[-1], last) in METHODS:
        return name
    if "shell" in options:
        return f"{name} with shell"
    if (
        name == "torch.load"
        and ast.unparse(options.get("weights_only", ast.Constant(None))) != "True"
    ):
        return "torch.load without weights_only=True"
    kind = options.get("typ", arguments[0] if arguments else None)
    safe = isinstance(kind, ast.Constant) and kind.value in ("safe", "rt")
    if last == "YAML" and kind is not None and not safe:
        return "YAML that is neither safe nor round-trip"
    if last in ("extract", "extractall") and "tar" in head.lower() and "filter" not in options:
        return f"{name} without a filter"
    return ""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_runs_what_it_reads(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("source", [
    "import pickle\npickle.load(f)", "import pickle\npickle.loads(b)", "from pickle import load",
    "import yaml", "from yaml import load", "eval('1')", "exec(x)", "__import__(x)",
    "torch.load(p)", "torch.load(p, weights_only=False)", "torch.load(p, weights_only=x)",
    "subprocess.run(c, shell=True)", "subprocess.run(c, shell=x)", "os.system(c)", "os.popen(c)",
    "np.load(p)", "YAML(typ='unsafe')", "YAML(typ=x)", "YAML('unsafe')", "tar.extractall(p)",
    "import joblib", "import dill as d", "tempfile.mktemp()",
])  # fmt: skip
def test_the_test_finds_each_of_them(source):
    assert faults(source)


@pytest.mark.parametrize("source", [
    "import pickle\ntry:\n    f()\nexcept pickle.UnpicklingError:\n    pass",
    "torch.load(p, weights_only=True)", "subprocess.run(['git'])", "YAML(typ='safe', pure=True)",
    "YAML()", "json.load(f)", "tar.extractall(p, filter='data')", "model.eval()",
])  # fmt: skip
def test_the_test_lets_pass_what_is_safe(source):
    assert faults(source) == []

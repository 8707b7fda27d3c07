"""A stage in a blink: writes outputs that are a digest of its params and of what it reads.

`python fake_stage.py STAGE [FOLD]` in place of `python -m stages.STAGE`, so that a test can ask DVC
what it runs. Every run adds its name to the file that `FAKE_LOG` names.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

from ruamel.yaml import YAML

stage, fold = sys.argv[1], (sys.argv[2:] or [""])[0]
load = YAML(typ="safe").load
body, params = load(Path("dvc.yaml"))["stages"][stage], load(Path("params.yaml"))


def paths(*lists: str) -> list[Path]:
    entries = [e for name in lists for e in body.get(name, [])]
    names = [next(iter(e)) if isinstance(e, dict) else e for e in entries]
    return [Path(name.replace("${item.fold}", fold)) for name in names]


digest = hashlib.sha256(f"{stage} {fold}".encode())
for key in body.get("params", []):
    digest.update(json.dumps([key, params[key]]).encode())
for dep in paths("deps"):
    if dep.suffix != ".py":
        files = sorted(p for p in dep.rglob("*") if p.is_file()) if dep.is_dir() else [dep]
        for file in files:
            digest.update(file.read_bytes())
number = int(digest.hexdigest()[:4], 16) % 1000 / 10
values = {"miou": number, "miou_std": 0.5, "fb_iou": 60.0, "folds": {"0": number, "1": number}}
for out in paths("outs", "metrics", "plots"):
    file = out if out.suffix else out / "content.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    if file.suffix == ".json":
        file.write_text(json.dumps({"parameters": 4000000, "shot1": values, "shot5": values}))
    else:
        file.write_text(f"step\tloss\n0\t{digest.hexdigest()}\n")
with Path(os.environ["FAKE_LOG"]).open("a") as log:
    log.write(f"{stage}@{fold}\n" if fold else f"{stage}\n")

"""The commands around the pipeline with bad arguments and bad files."""

# ruff: noqa: E501 - a case a line

import pytest
from typer.testing import CliRunner

from stages.tools.fss import app
from tests.support.world import (
    EPISODES,
    FEATURES,
    IMAGE,
    MANIFEST,
    MASK,
    MODEL,
    PSEUDO,
    Case,
    all_of,
    cut,
    gone,
    link,
    nothing,
    picture,
    put,
    set_params,
)

SUPPORT = f"--support {IMAGE} {MASK}"
QUERY = "--query photos/JPEGImages/v00.png photos/JPEGImages/v01.png --out found --workers 1"
PREDICT = f"predict {SUPPORT} {QUERY}"
TRAINED = f"{PREDICT} --model data/train/0"
FOLDER = "data folder --images photos/JPEGImages --masks photos/SegmentationClass --out made"
NO_MASK = put("m.png", b"")
CASES = [
    # predict
    Case("no support", f"predict {QUERY}", nothing, "nothing to look for: give --support"),
    Case("no query", f"predict {SUPPORT} --out found", nothing, "", 2),
    Case("one value of a support", f"predict --support {IMAGE} {QUERY}", nothing, "", 2),
    Case("query missing", f"predict {SUPPORT} --query gone.jpg --out found", nothing, "gone.jpg"),
    Case("query folder empty", f"predict {SUPPORT} --query none --out found",
         put("none/readme", b""), "none"),
    Case("support missing", PREDICT, gone(IMAGE), "t00.png does not exist"),
    Case("support truncated", PREDICT, cut(IMAGE, 0.5), "t00.png cannot be read"),
    Case("mask missing", PREDICT, gone(MASK), "t00.png does not exist"),
    Case("mask a JPEG", f"predict --support {IMAGE} m.jpg {QUERY}",
         put("m.jpg", picture("L", "JPEG")), "m.jpg is a JPEG"),
    Case("mask of another size", f"predict --support {IMAGE} m.png {QUERY}",
         put("m.png", picture("L", "PNG", (10, 10))), "m.png is 10x10 px, its photograph"),
    Case("mask empty", f"predict --support {IMAGE} m.png {QUERY}", NO_MASK, "m.png cannot be read"),
    Case("mask value absent", f"{PREDICT} --mask-value 77", nothing, "holds no pixel of value 77"),
    Case("mask value 256", f"{PREDICT} --mask-value 256", nothing, "", 2),
    Case("threshold 2", f"{PREDICT} --threshold 2", nothing, "", 2),
    Case("threshold nan", f"{PREDICT} --threshold nan", nothing, "", 2),
    Case("model missing", f"{PREDICT} --model gone", nothing, "gone does not exist: name a trained"),
    Case("model folder empty", f"{PREDICT} --model photos", nothing, "holds no model.safetensors"),
    Case("model of a fold that is not there", f"{PREDICT} --model data/train/7", nothing,
         "data/train/7 does not exist"),
    Case("a name that timm has not", f"{PREDICT} --model timm:no_such_net", nothing,
         "has no model 'no_such_net'"),
    Case("a backbone that is none", f"{PREDICT} --backbone vgg16", nothing, "'vgg16' is not one of"),
    Case("a backbone without installed weights", f"{PREDICT} --backbone resnet50", nothing,
         "holds nothing for resnet50"),
    Case("a calibration that is not there", f"{PREDICT} --calibration c.json", nothing,
         "calibration c.json does not exist"),
    Case("model truncated", TRAINED, cut(MODEL, 0.5), "is not a state dict"),
    Case("model a photograph", f"{PREDICT} --model {IMAGE}", nothing, "is not a state dict"),
    Case("index missing", f"{PREDICT} --index gone", nothing, "gone holds no region index"),
    Case("classes missing", f"{PREDICT} --classes gone.safetensors", nothing, "does not exist"),
    Case("classes are a model", f"{PREDICT} --classes {MODEL}", nothing, "expected 'classes'"),
    Case("presence no JSON", TRAINED, put("data/train/0/model.presence.json", b"{"),
         "is not readable JSON"),
    Case("presence a list", TRAINED, put("data/train/0/model.presence.json", b"[]"),
         "is no calibration"),
    Case("presence of NaN", TRAINED,
         put("data/train/0/model.presence.json",
             b'{"encoder": "x", "settings": {}, "middle": NaN, "width": NaN, "threshold": NaN}'),
         "are not finite"),
    Case("out a file", f"predict {SUPPORT} --query {IMAGE} --out params.yaml", nothing, "is a file"),
    Case("out the queries", f"predict {SUPPORT} --query photos/JPEGImages --out photos/JPEGImages", nothing,
         "is the folder of the queries"),
    Case("device: tpu", f"{PREDICT} --device tpu", nothing, "tpu"),
    # calibrate, export, info
    Case("--fold 9", f"calibrate --fold 9 --model {MODEL}", nothing, "--fold 9 is not one of 0 to 1"),
    Case("no model", "calibrate", gone(MODEL), "holds no model.safetensors"),
    Case("no manifest", "calibrate", gone(MANIFEST), "run the stage 'prepare' again"),
    Case("model random", "calibrate --model random", nothing, "give --model a file"),
    Case("trials 3", "calibrate --trials 3", nothing, "", 2),
    Case("too many shots", "calibrate --shots 50", nothing, "has 51 images"),
    Case("model missing", "export --model gone", nothing, ""),
    Case("file missing", "info gone", nothing, "gone is not a file"),
    Case("a folder", "info photos", nothing, "photos is not a file"),
    Case("a photograph", f"info {IMAGE}", nothing, "is neither .safetensors, HDF5, zip nor .json"),
    Case("params.yaml", "info params.yaml", nothing, "is neither .safetensors, HDF5, zip nor .json"),
    Case("model truncated", f"info {MODEL}", cut(MODEL, 0.001), "is damaged"),
    Case("features truncated", f"info {FEATURES}", cut(FEATURES, 0.5), "is damaged"),
    Case("masks truncated", f"info {PSEUDO}", cut(PSEUDO, 0.5), "zip"),
    Case("episodes truncated", f"info {EPISODES}", cut(EPISODES, 0.5), "is not readable JSON"),
    Case("a JSON list", "info x.json", put("x.json", b"[]"), "is neither a manifest nor"),
    Case("JSON too deep", "info x.json", put("x.json", b"[" * 99_999), "is not readable JSON"),
    Case("a link to itself", "info x", link("x", "x"), "x is not a file"),
    # preset, sweep, table
    Case("unknown preset", "preset everything", nothing, "everything"),
    Case("params broken", "preset procedural", put("params.yaml", b"k: ["), "not readable YAML"),
    Case("unknown sweep", "sweep table99", nothing, "table99"),
    Case("outside of git", "sweep table3", nothing, ""),
    Case("unknown table", "table table99", nothing, "table99"),
    Case("unknown format", "table table3 --format pdf", nothing, "--format pdf: choose one of"),
    Case("a picture without a name", "table table3 --format png", nothing, "needs --out FILE"),
    # data
    Case("images missing", FOLDER, gone("photos/JPEGImages"), "is not a folder: check the path"),
    Case("masks missing", FOLDER, gone("photos/SegmentationClass"), "is not a folder"),
    Case("mask without photograph", FOLDER, gone(IMAGE), "has no photograph in"),
    Case("mask suffix", f"{FOLDER} --mask-suffix _m", nothing, "holds no mask that ends in '_m'"),
    Case("out taken", FOLDER, put("made/x", b""), "made is not empty: remove it"),
    Case("out a link", FOLDER, link("made", "photos"), "made is not a folder"),
    Case("one list", f"{FOLDER} --train photos/ImageSets/train.txt", nothing, "go together"),
    Case("classes missing", f"{FOLDER} --classes gone.yaml", nothing, "gone.yaml does not exist"),
    Case("classes a list of lists", f"{FOLDER} --classes c.yaml", put("c.yaml", b"classes: [[1]]"),
         "is not a name"),
    Case("classes of bytes", f"{FOLDER} --classes c.yaml", put("c.yaml", b"\xff\xfe"), "c.yaml"),
    Case("classes too deep", f"{FOLDER} --classes c.yaml",
         put("c.yaml", b"classes: " + b"[" * 5000), "is not readable YAML"),
    Case("a class of id 300", f"{FOLDER} --classes c.yaml", put("c.yaml", b"classes: {300: x}"),
         "an id is a whole number of 1 to 254"),
    Case("a date of no calendar", f"{FOLDER} --classes c.yaml",
         put("c.yaml", b"classes: {1: 2024-99-99}"), "is not readable YAML"),
    Case("val share 1.5", f"{FOLDER} --val-share 1.5", nothing, "", 2),
    Case("a photograph is a pipe", "data check photos --processes 1",
         all_of(gone(IMAGE), lambda project: __import__("os").mkfifo(project / IMAGE)), "see above"),
    Case("check of nothing", "data check gone", nothing, "gone is not a folder"),
    Case("check of a file", "data check params.yaml", nothing, "is not a folder"),
    Case("unknown dataset", "data check photos --dataset x", nothing, "dataset 'x' is not one of"),
    Case("archive missing", "data pascal --voc gone.tar --out made", nothing, "gone.tar"),
    Case("archive of text", "data pascal --voc v.tar --out made", put("v.tar", b"text"), "v.tar"),
    Case("annotations of text", "data coco --images photos --annotations a.json --out made",
         put("a.json", b"text"), "a.json"),
    Case("annotations too deep", "data coco --images photos --annotations a.json --out made",
         put("a.json", b"[" * 99_999), "a.json"),
    # options of stages
    Case("episodes elsewhere", "evaluate --fold 0 --episodes gone.json", nothing, "gone.json does not"),
    Case("episodes of another fold", f"evaluate --fold 1 --episodes {EPISODES}", nothing,
         "is of fold 0, not 1: give --fold 0"),
    Case("257 workers", "extract", set_params(**{"runtime.workers": 257}), "runtime.workers: 257"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_arguments_are_refused(check, case):
    check(case)


@pytest.mark.parametrize("args", [["nothing"], ["--nothing"], ["data", "nothing"]])
def test_an_unknown_command_is_a_wrong_call(args):
    assert CliRunner().invoke(app, args).exit_code == 2

"""Results as text, checked character by character."""

import csv
import io

from fsslib.evaluation.result_files import class_rows, results_table, scores

FOLDS = {
    0: {
        "shot1": {"miou": 40.126, "classes": {"cat": 50.5, "cow": 29.75},
                  "episodes": {"cat": 700, "cow": 300, "eel": 0}},
        "shot5": {"miou": 52.0, "classes": {"cat": 60.0, "cow": 44.0},
                  "episodes": {"cat": 710, "cow": 290, "eel": 0}},
    },
    2: {
        "shot1": {"miou": None, "classes": {}, "episodes": {}},
        "shot5": {"miou": 61.5, "classes": {"pot, plant": 61.5}, "episodes": {"pot, plant": 9}},
    },
}  # fmt: skip
OVERALL = {
    "shot1": {"miou": 40.126, "miou_std": 1.004, "fb_iou": 60.0},
    "shot5": {"miou": 56.75, "miou_std": None, "fb_iou": 71.239},
}


def test_results_table_is_markdown_with_a_column_a_fold():
    assert results_table(FOLDS, OVERALL) == (
        "|  | fold 0 | fold 2 | mean | ± std | FB-IoU |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| 1-shot mIoU | 40.13 | - | 40.13 | 1.00 | 60.00 |\n"
        "| 5-shot mIoU | 52.00 | 61.50 | 56.75 | - | 71.24 |\n"
    )


def test_scores_are_the_few_numbers_that_experiments_are_compared_by():
    detailed = {shot: {**v, "classes": {"cat": 1}, "seeds": [0]} for shot, v in OVERALL.items()}
    assert scores(detailed, {}) == OVERALL


def test_class_rows_hold_each_drawn_class_shot_and_fold_once():
    text = class_rows(FOLDS)
    assert "\r" not in text
    assert list(csv.reader(io.StringIO(text))) == [
        ["class", "shot", "iou", "episodes", "fold"],
        ["cat", "1", "50.5", "700", "0"],
        ["cow", "1", "29.75", "300", "0"],
        ["cat", "5", "60.0", "710", "0"],
        ["cow", "5", "44.0", "290", "0"],
        ["pot, plant", "5", "61.5", "9", "2"],
    ]


def test_other_entries_of_the_metrics_are_no_rows():
    folds = {0: {**FOLDS[0], "fold": 0}}
    assert class_rows(folds) == class_rows({0: FOLDS[0]})

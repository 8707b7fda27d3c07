"""Tables of experiments, checked character by character; the picture by its size and colours."""

import io
from dataclasses import replace

from PIL import Image

from fsslib.experiments.paper import Published
from fsslib.experiments.sweeps import Experiment
from fsslib.experiments.table import (
    Comparison,
    Measured,
    Row,
    comparison_csv,
    comparison_markdown,
)
from fsslib.pictures.table import OURS, PAPER, comparison_picture

ROWS = (
    Row(
        Experiment("t-a", "FG", {}, Published((50.0, 60.0), 55.0)),
        Measured({0: 51.234, 1: None}, 51.234, 0.25),
    ),
    Row(Experiment("t-b", "BG", {}, Published((52.0, 62.0), 57.0)), None),
)
TABLE = Comparison("t", "Table T", "1-shot mIoU", (0, 1), ROWS, [])


def test_in_the_papers_setting_its_numbers_stand_in_brackets():
    assert comparison_markdown(TABLE) == (
        "**Table T** (1-shot mIoU in percent)\n\n"
        "|  | fold 0 | fold 1 | mean | ± std |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| FG | 51.23 (50.0) | - (60.0) | 51.23 (55.0) | 0.25 |\n"
        "| BG |  |  | not run |  |\n"
        "\nIn brackets the paper's numbers: this is its setting.\n"
        "\nnot run: `fss sweep t` queues it.\n"
    )


def test_in_another_setting_a_marked_column_and_a_sentence():
    table = replace(TABLE, departures=["dataset procedural (paper: pascal)", "k 3 (paper: 5)"])
    text = comparison_markdown(table)
    assert "| ± std | paper † |\n" in text
    assert "| FG | 51.23 | - | 51.23 | 0.25 | 55.0 |\n" in text
    assert (
        "\n† Not the paper's setting: dataset procedural (paper: pascal); k 3 (paper: 5). Its "
        "numbers cannot be compared with ours; the order of the rows can.\n"
    ) in text


def test_rows_of_older_code_are_starred():
    text = comparison_markdown(replace(TABLE, rows=[replace(ROWS[0], older_code=True)]))
    assert "| FG\\* | 51.23" in text
    assert text.endswith("\\* Run with other code than the present one.\n")


def test_a_sweep_that_the_paper_has_no_table_of_says_nothing_about_it():
    row = Row(Experiment("beta-0", "beta = 0", {}), Measured({0: 1.0, 1: 3.0}, 2.0, None))
    table = replace(TABLE, rows=[row], departures=["k 3 (paper: 5)"])
    assert comparison_markdown(table).endswith("| beta = 0 | 1.00 | 3.00 | 2.00 | - |\n")


def test_further_columns_hold_ours_and_the_papers():
    published = Published((), 62.1, {"FPS": 27.8})
    measured = Measured({0: 40.0, 1: 42.0}, 41.0, 0.5, {"FPS": 9.0, "M": None})
    row = Row(Experiment("t-1", "1-shot", {}, published), measured)
    table = replace(TABLE, rows=[row], extras=("FPS", "M"))
    assert "| 1-shot | 40.00 | 42.00 | 41.00 (62.1) | 0.50 | 9.00 (27.8) | - |" in (
        comparison_markdown(table)
    )


def test_csv_has_ours_and_the_papers_apart():
    assert comparison_csv(TABLE) == (
        "experiment,label,status,fold 0,fold 1,mean,std,"
        "paper fold 0,paper fold 1,paper mean,paper's setting\n"
        "t-a,FG,done,51.234,,51.234,0.25,50,60,55,yes\n"
        "t-b,BG,not run,,,,,52,62,57,yes\n"
    )


def pixels(table):
    picture = Image.open(io.BytesIO(comparison_picture(table)))
    return {colour: count for count, colour in picture.getcolors(100000)}


def test_the_picture_has_a_bar_for_what_was_run_and_a_mark_for_every_published_row():
    picture = Image.open(io.BytesIO(comparison_picture(TABLE)))
    colours = [
        picture.getpixel((x, y)) for x in range(picture.width) for y in range(picture.height)
    ]
    assert colours.count(OURS) > 1000
    assert colours.count(PAPER) > 2 * 60
    without = replace(TABLE, rows=[replace(ROWS[0], measured=None)])
    picture = Image.open(io.BytesIO(comparison_picture(without)))
    assert OURS not in {c for _, c in picture.getcolors(100000)}

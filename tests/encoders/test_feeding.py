"""One pass that feeds the encoder: order, bounds, errors, memory; in threads and in processes."""

import itertools
import os
import threading
import time

import numpy as np
import pytest
import torch

from fsslib.encoders.feeding import feed
from fsslib.encoders.work import Feeding, Loaded, Tally, Work
from fsslib.errors import FsslibError

SIZES = [(6, 8), (8, 6), (6, 6)]
HANDS = pytest.mark.parametrize("processes", [False, True])


class Mean:
    """An encoder on the CPU: (B, H, W, 3) -> (B, 1, 1, 1), the mean; fits `fits` photographs."""

    device = torch.device("cpu")

    def __init__(self, fits=1000, seconds=0.0):
        self.fits, self.seconds, self.seen = fits, seconds, []

    def encode(self, pixels):
        if len(pixels) > self.fits:
            raise torch.cuda.OutOfMemoryError
        self.seen.append(tuple(pixels.shape))
        time.sleep(self.seconds)
        return pixels.float().mean(dim=(1, 2, 3)).view(-1, 1, 1, 1)


def photograph(number, sizes=SIZES):
    return np.full((*sizes[number % len(sizes)], 3), number % 251, np.uint8)


def make_work(load=None, in_worker=False, finish=None):
    def load_one(number):
        image = photograph(number)
        return Loaded(image, (image[:, :, 0].copy(),), (image[::-1],), {"number": number})

    def reduce(features, planes, notes):
        assert len(features) == len(planes[0]) == len(notes)
        return features.flatten(1), planes[0].amax(dim=(1, 2))

    def end(number, loaded, found):
        assert loaded.note["number"] == number
        assert (loaded.photograph == loaded.planes[0][:, :, None]).all()
        assert (loaded.photograph == loaded.kept[0][::-1]).all()
        return number, float(found[0][0]), int(found[1])

    def single(number):
        return number, float(number % 251), number % 251

    return Work(single, load or load_one, reduce, finish or end, in_worker)


def plan(encoder, **changes):
    return Feeding(**({"encoder": encoder, "batch": 4, "workers": 2, "tally": Tally()} | changes))


def expected(count):
    return [(n, float(n % 251), n % 251) for n in range(count)]


@HANDS
@pytest.mark.parametrize("in_worker", [False, True])
def test_results_come_in_order_from_batches_of_one_size(processes, in_worker):
    encoder = Mean()
    feeding = plan(encoder, processes=processes, window=24)
    assert list(feed(make_work(in_worker=in_worker), range(90), feeding)) == expected(90)
    assert sum(feeding.tally.batches) == 90
    assert max(feeding.tally.batches) == 4
    assert np.mean(feeding.tally.batches) > 3
    assert {shape[1:3] for shape in encoder.seen} == set(SIZES)
    assert feeding.tally.most_held <= 24


@pytest.mark.parametrize(("window", "batch"), list(itertools.product([1, 2, 5, 200], [2, 3, 64])))
def test_any_window_and_batch_give_the_same(window, batch):
    feeding = plan(Mean(), window=window, batch=batch)
    work = make_work()
    assert list(feed(work, range(37), feeding)) == expected(37)


def test_every_size_once_and_one_larger_than_the_memory_of_a_worker():
    sizes = [(4 + n, 5) for n in range(11)] + [(1300, 1200)]

    def load(number):
        image = photograph(number, sizes)
        return Loaded(image, (image[:, :, 0].copy(),), (image[::-1],), {"number": number})

    feeding = plan(Mean(), processes=True)
    found = list(feed(make_work(load, in_worker=True), range(12), feeding))
    assert found == expected(12)
    assert feeding.tally.batches == [1] * 12


def test_one_by_one_on_a_cpu_and_without_a_batch_encoder():
    def never(*_):
        raise AssertionError

    work = Work(lambda n: n * n, never, never, never)
    for feeding in (Feeding(Mean()), Feeding(None, batch=9), Feeding(Mean(), batch=1)):
        assert list(feed(work, range(5), feeding)) == [0, 1, 4, 9, 16]
    assert list(feed(make_work(), [], plan(Mean()))) == []


@HANDS
@pytest.mark.parametrize("where", ["load", "finish"])
def test_an_error_surfaces_at_its_item_and_ends_the_pass(processes, where):
    def load(number):
        if number == 13 and where == "load":
            raise FsslibError("image 13 is broken: replace it")
        image = photograph(number)
        return Loaded(image, (image[:, :, 0].copy(),), (image[::-1],), {"number": number})

    def finish(number, loaded, found):
        if number == 13 and where == "finish":
            raise FsslibError("image 13 is broken: replace it")
        return number

    threads = threading.active_count()
    results = feed(
        make_work(load, True, finish), range(100), plan(Mean(), processes=processes, window=30)
    )
    assert [next(results) for _ in range(13)] == list(range(13))
    with pytest.raises(FsslibError, match="image 13 is broken"):
        next(results)
    assert threading.active_count() == threads


def test_a_bug_in_a_process_keeps_its_traceback():
    def load(number):
        return 1 // 0

    with pytest.raises(ZeroDivisionError) as caught:
        list(feed(make_work(load), range(3), plan(Mean(), processes=True)))
    assert "in load" in caught.value.__notes__[0]


def test_a_killed_process_is_one_line():
    def load(number):
        os._exit(9)

    with pytest.raises(FsslibError, match="was killed, perhaps because memory was short"):
        list(feed(make_work(load), range(3), plan(Mean(), processes=True)))


@pytest.mark.parametrize("step", ["encode", "reduce"])
def test_an_error_of_the_device_ends_the_pass(step):
    encoder = Mean()
    work = make_work()

    def fail(*_):
        raise RuntimeError("no kernel")

    if step == "encode":
        encoder.encode = fail
    else:
        work = Work(work.single, work.load, fail, work.finish)
    with pytest.raises(RuntimeError, match="no kernel"):
        list(feed(work, range(9), plan(encoder)))


def test_short_memory_halves_the_batch_and_says_so_once():
    said = []
    feeding = plan(Mean(fits=3), batch=16, told=said.append)
    assert list(feed(make_work(), range(200), feeding)) == expected(200)
    assert len(said) == 1
    assert "go" in said[0]
    assert feeding.tally.halved == 2
    assert max(feeding.tally.batches[-5:]) == 2


def test_a_photograph_that_does_not_fit_is_one_line():
    with pytest.raises(FsslibError, match="a photograph of 8x6 px does not fit in the memory"):
        list(feed(make_work(), range(20), plan(Mean(fits=0))))


def test_a_slow_consumer_holds_the_pass_up():
    feeding = plan(Mean(), window=12)
    results = feed(make_work(), range(60), feeding)
    for number in range(60):
        if number % 10 == 0:
            time.sleep(0.02)
        assert next(results)[0] == number
    results.close()
    assert feeding.tally.most_held <= 12
    assert feeding.tally.most_waiting <= 12


@HANDS
def test_leaving_early_ends_threads_and_processes(processes):
    threads = threading.active_count()
    results = feed(make_work(), range(10_000), plan(Mean(), processes=processes))
    assert next(results)[0] == 0
    results.close()
    assert threading.active_count() == threads

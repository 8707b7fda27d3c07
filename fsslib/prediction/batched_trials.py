"""Trials of `calibration.score_trials` in batches, for a GPU: the same scores, to rounding."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from fsslib.data.scaling import scale_photograph
from fsslib.encoders.feeding import feed
from fsslib.encoders.lanes import Arrays
from fsslib.encoders.running import PhotographEncoder
from fsslib.encoders.work import Feeding, Loaded, Work
from fsslib.evaluation.batched import support_work
from fsslib.evaluation.passes import Reader
from fsslib.evaluation.protocol import UNCHANGED
from fsslib.evaluation.supports import SupportBank, make_bank, needs
from fsslib.prediction.calibration import Trial, trials_by_query
from fsslib.prediction.presence import presence_scores
from fsslib.prediction.typical import Moments, Typical
from fsslib.rectification.rectify import Rectification


def score_trials_in_batches(
    encode: PhotographEncoder,
    read_image: Reader,
    read_mask: Reader,
    trials: Sequence[Trial],
    rectification: Rectification = UNCHANGED,
    *,
    feeding: Feeding,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[float], Typical]:
    """Score every trial by `prediction_score`.

    Args:
        encode: the encoder.
        read_image: image id -> photograph (H, W, 3).
        read_mask: see `score_trials`.
        trials: see `score_trials`.
        rectification: see `score_trials`.
        feeding: how photographs get to the encoder.
        on_progress: see `score_trials`.

    Returns:
        See `score_trials`.
    """
    wanted = needs([t.episode for t in trials])
    groups = trials_by_query(trials)
    moments, supports = Moments(), support_work(encode, read_image, read_mask)
    done, total = iter(range(1, len(wanted) + len(groups) + 1)), len(wanted) + len(groups)

    def told(results: Iterator[Any]) -> Iterator[Any]:
        for result in results:
            on_progress(next(done), total)
            yield result

    def pool(features: Tensor, planes: Sequence[Tensor], notes: Sequence[Any]) -> Sequence[Tensor]:
        found = supports.reduce(features, planes, notes)
        moments.add_batch(features)  # last, since a batch that did not fit comes again in halves
        return found

    pooled = feed(replace(supports, reduce=pool), wanted, feeding)
    bank = make_bank(told(pooled), rectification, encode.device)
    typical = moments.typical().to(encode.device)
    work = question_work(encode, read_image, trials, bank, typical)
    scores: dict[int, float] = {}
    for part in told(feed(work, sorted(groups), feeding)):
        scores |= part
    return [scores[i] for i in range(len(trials))], typical


def question_work(
    encode: PhotographEncoder,
    read_image: Reader,
    trials: Sequence[Trial],
    bank: SupportBank,
    typical: Typical,
) -> Work[str, dict[int, float]]:
    """Score the trials of each query; results are scores by the number of the trial."""
    groups = trials_by_query(trials)

    def load(query: str) -> Loaded:
        photograph = scale_photograph(read_image(query), encode.long_side)
        return Loaded(photograph, note=groups[query])

    def ask(features: Tensor, planes: Sequence[Tensor], notes: Sequence[Any]) -> list[Tensor]:
        foreground, _ = bank.of_episodes([trials[i].episode for group in notes for i in group])
        parts = foreground[:, 0].split([len(group) for group in notes])
        found = features.new_zeros(len(notes), max(map(len, notes)))
        for row, feature, part in zip(found, features, parts, strict=True):
            row[: len(part)] = presence_scores(feature, part, typical)
        return [found]

    def answer(query: str, loaded: Loaded, found: Arrays) -> dict[int, float]:
        return dict(zip(groups[query], found[0].tolist(), strict=False))

    def single(query: str) -> dict[int, float]:
        loaded = load(query)
        found = ask(encode(loaded.photograph)[None], (), [loaded.note])[0][0]
        return answer(query, loaded, (found.cpu().numpy(),))

    return Work(single, load, ask, answer)

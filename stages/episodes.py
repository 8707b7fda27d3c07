"""`episodes`: draws the evaluation episodes of a fold and freezes them."""

from fsslib.evaluation.episode_files import save_episodes
from fsslib.evaluation.episodes import draw_episode_set, never_drawn

from .support import paths
from .support.common import FoldOption, command, make_app, say
from .support.inputs import chosen_folds, open_manifest, read_params
from .support.params import (
    EpisodesParams,
)
from .support.params_file import (
    stage_params,
)


@command
def main(fold: FoldOption = None) -> None:
    """Draw the evaluation episodes of the fold's novel classes and freeze them (section 4.1).

    Reads shots, seeds, episodes, ways, protocol, min_pixels and min_images from params.yaml, and
    data/prepare/. Writes data/episodes/<fold>/episodes.json, readable JSON with a hash of its
    content. With these inputs, an episode is a function of its seed and number alone.
    """
    everything = read_params()
    params = stage_params(EpisodesParams, everything)
    manifest = open_manifest()
    for number in chosen_folds(fold, everything):
        drawn = draw_episode_set(
            manifest,
            number,
            params.seeds,
            params.episodes,
            params.shots,
            params.ways,
            params.min_pixels,
            params.protocol,
            params.min_images,
        )
        save_episodes(drawn, paths.episodes(number))
        missing = [manifest.classes[c] for c in never_drawn(drawn.episodes, drawn.novel)]
        left_out = f", never drawn: {', '.join(missing)}" if missing else ""
        say(f"fold {number}: {len(drawn.episodes)} episodes{left_out}")


app = make_app(main)

if __name__ == "__main__":
    app()

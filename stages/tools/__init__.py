"""Commands beside the pipeline: data, prediction, experiments."""

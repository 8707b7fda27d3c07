"""The steps of the pipeline as commands; each is thin and calls one library function."""

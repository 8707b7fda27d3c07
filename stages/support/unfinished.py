"""Part of the name of unfinished work, which is continued only on the files that it began with."""

from fsslib.files.shards import file_digest

from . import paths


def unfinished_key(*names: str) -> list[str | None]:
    """Hashes of fingerprints, for scratch keys: unfinished work is not continued on other files.

    None stands for a fingerprint that is not there, since a stage that is run by hand needs none.
    """
    files = [paths.fingerprint(name) for name in names]
    return [file_digest(file) if file.is_file() else None for file in files]

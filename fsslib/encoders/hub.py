"""The hub that timm downloads from: without network an answer at once, and what is cached works."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlparse
from urllib.request import getproxies

from huggingface_hub import constants

SECONDS = 5
"""To wait for the hub's first answer."""


@contextmanager
def impatient() -> Iterator[None]:
    """Ask the hub only where it can be reached; elsewhere only the cache.

    Its client tries six times for each file and writes a line each time: a minute without network.
    """
    log = logging.getLogger("huggingface_hub")
    level, offline = log.level, constants.HF_HUB_OFFLINE
    log.setLevel(logging.ERROR)
    constants.HF_HUB_OFFLINE = offline or not _reachable()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        log.setLevel(level)


def _reachable() -> bool:
    """Whether the hub takes a connection; behind a proxy only the client itself can tell."""
    address = urlparse(constants.ENDPOINT)
    if getproxies() or address.hostname is None:
        return True
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname, port), timeout=SECONDS).close()
    except OSError:
        return False
    return True

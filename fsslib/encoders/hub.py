"""The hub that timm downloads from; without network, cached files work and others fail at once."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlparse
from urllib.request import getproxies

from huggingface_hub import constants

SECONDS = 5
"""Seconds to wait for a connection to the hub."""


@contextmanager
def impatient() -> Iterator[None]:
    """Use the hub only if it can be reached, otherwise only the local cache.

    Without network, the hub's client tries six times for each file and logs a line each time, which
    takes a minute.
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
    """Whether the hub accepts a connection; True behind a proxy, where only the client can tell."""
    address = urlparse(constants.ENDPOINT)
    if getproxies() or address.hostname is None:
        return True
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname, port), timeout=SECONDS).close()
    except OSError:
        return False
    return True

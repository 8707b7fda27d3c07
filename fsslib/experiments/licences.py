"""Licences as the Hugging Face Hub's cards name them."""

import re

from fsslib.errors import FsslibError

_NAMES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m afl-3.0 artistic-2.0 bsl-1.0
bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1
eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc mpl-2.0 ms-pl odc-by odbl
osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl
"""

KNOWN = frozenset(_NAMES.split())
"""Identifiers that a card's `license` may have. The hub refuses a card with another one, which
therefore becomes `license: other` with a `license_name`."""

_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")


def licence_fields(licence: str | None) -> dict[str, str]:
    """The entries of a card's head: `license`, and `license_name` where the hub knows it not.

    Raises:
        FsslibError: the text has not the form of an SPDX identifier.
    """
    if licence is None:
        return {}
    check_licence(licence)
    name = licence.lower()
    # SPDX writes GPL-3.0-only; the hub's identifier is gpl-3.0.
    known = re.sub(r"-(only|or-later)$", "", name)
    if known in KNOWN:
        return {"license": known}
    return {"license": "other", "license_name": name}


def check_licence(licence: str) -> None:
    """Raise `FsslibError` unless the text has the form of an SPDX identifier."""
    if not _FORM.fullmatch(licence):
        raise FsslibError(
            f"licence {licence!r:.80} is no identifier: give one of SPDX, such as CC-BY-4.0, "
            "Apache-2.0 or CC-BY-NC-4.0"
        )

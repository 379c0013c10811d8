"""Profile files of Delta Sharing: where a recipient's client asks, and by which token.

Source: https://github.com/delta-io/delta-sharing/blob/main/PROTOCOL.md#profile-file-format
"""

from __future__ import annotations

import datetime as dt

from pipeline.delivery.tokens import Issued


def profile_of(origin: str, issued: Issued) -> dict[str, object]:
    """The content of a profile file, to be written as JSON and kept like a password.

    Args:
        origin: Scheme, host and port of the portal.
        issued: A token for sharing, just made.
    """
    return {
        "shareCredentialsVersion": 1,
        "endpoint": f"{origin}/sharing",
        "bearerToken": issued.secret,
        "expirationTime": issued.expires.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }

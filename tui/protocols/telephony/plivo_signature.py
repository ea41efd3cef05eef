"""Computes and checks signatures of Plivo's requests, in version 3 (plivo-python, utils/signature_v3.py)."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit, urlunsplit


def signature(token: str, url: str, nonce: str) -> str:
    """Returns the signature of a GET request. ``token`` is the account's auth token; the query must be sorted."""
    parts = urlsplit(url)
    members = sorted(parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join(f"{name}={value}" for name, value in members)
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    signed = f"{bare}?{query}.{nonce}" if query else f"{bare}.{nonce}"
    return b64encode(hmac.new(token.encode(), signed.encode(), sha256).digest()).decode()


_SIGNATURE, _NONCE = "X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce"


def signature_headers(token: str, url: str, nonce: str) -> Mapping[str, str]:
    """Returns the headers that sign a GET request for the URL."""
    return {_SIGNATURE: signature(token, url, nonce), _NONCE: nonce}


def is_signed(header: Callable[[str], str], token: str, url: str) -> bool:
    """Returns whether the request's headers contain a valid signature for the URL."""
    due = signature(token, url, header(_NONCE)).encode()
    return any(hmac.compare_digest(due, seen.encode()) for seen in header(_SIGNATURE).split(","))

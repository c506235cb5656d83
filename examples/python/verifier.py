"""Checks access tokens of Relatch: signature, issuer, audience, type, times, and whether the session still lives.

Nothing here asks Relatch per request: keys and status lists are fetched now and then, and kept.
"""

import base64
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

import jwt

ALGORITHMS = ["ES256", "EdDSA", "RS256"]
# A status list has at most 2^20 entries of one bit; what inflates to more is not one of ours.
LIST_BYTES_MAX = 131_072
# How long Relatch may take to answer, in seconds.
PATIENCE = 5


class TokenRefused(Exception):
    """The token is not accepted: answer 401. Any other error means that nobody can tell now: answer 503."""


def _fetch(url, **headers):
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return 304, error.headers, b""
        raise


def _decode(token, keys, kind, **options):
    """The claims of a genuine JWT of this type. PyJWT looks at everything but the type."""
    try:
        typ = jwt.get_unverified_header(token).get("typ")
        if not isinstance(typ, str) or typ.lower().removeprefix("application/") != kind:
            raise TokenRefused(f"not of the type {kind}")
        return jwt.decode(token, keys.get_signing_key_from_jwt(token), algorithms=ALGORITHMS, leeway=0, **options)
    except jwt.PyJWKClientConnectionError:
        raise
    except (jwt.PyJWTError, jwt.PyJWKClientError) as error:
        raise TokenRefused(str(error)) from error


class StatusList:
    """One status list: fetched anew when its `ttl` is over, by one request however many ask."""

    def __init__(self, uri, keys):
        self._uri, self._keys, self._lock = uri, keys, threading.Lock()
        self._bits, self._etag, self._ttl = b"", None, 0
        self._fresh_until = self._expires_at = 0.0

    def is_revoked(self, index):
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                try:
                    self._refresh()
                except Exception:
                    # An old list is better than none, until it says itself that it is too old.
                    if time.time() >= self._expires_at:
                        raise
            bits = self._bits
        if not isinstance(index, int) or not 0 <= index < len(bits) * 8:
            raise TokenRefused("the status list has no such entry")
        return bits[index // 8] >> (index % 8) & 1 == 1

    def _refresh(self):
        asked = time.monotonic()
        known = {"If_None_Match": self._etag} if self._etag else {}
        status, headers, body = _fetch(self._uri, Accept="application/statuslist+jwt", **known)
        if status != 304:
            options = {"require": ["iat", "exp", "sub"], "verify_aud": False}
            claims = _decode(body.decode("ascii"), self._keys, "statuslist+jwt", options=options)
            packed = claims["status_list"]
            if claims["sub"] != self._uri or packed["bits"] != 1:
                raise ValueError("this is another status list")
            compressed = base64.urlsafe_b64decode(packed["lst"] + "=" * (-len(packed["lst"]) % 4))
            self._bits = zlib.decompressobj().decompress(compressed, LIST_BYTES_MAX)
            self._etag, self._ttl, self._expires_at = headers.get("ETag"), max(1, claims.get("ttl", 15)), claims["exp"]
        self._fresh_until = asked + self._ttl


class Verifier:
    """Reads where things are from Relatch's metadata."""

    def __init__(self, issuer, audience):
        # An issuer with a path has it behind the well-known one (RFC 8414).
        parts = urllib.parse.urlsplit(issuer)
        path = f"/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"
        metadata = json.loads(_fetch(f"{parts.scheme}://{parts.netloc}{path}")[2])
        if metadata["issuer"] != issuer:
            raise ValueError(f"the issuer is {metadata['issuer']}, not {issuer}")
        self._issuer, self._audience = issuer, audience
        self._origin = urllib.parse.urlsplit(metadata["jwks_uri"])[:2]
        # Fetched again when a token names a key that is not known yet, though not more often than each five seconds.
        self._keys = jwt.PyJWKClient(metadata["jwks_uri"], timeout=PATIENCE, cooldown_duration=5)
        self._lists, self._lock = {}, threading.Lock()

    def claims(self, token):
        """The claims of a token that is accepted now. Raises TokenRefused for any other."""
        options = {"require": ["iss", "aud", "sub", "client_id", "iat", "exp", "jti"]}
        claims = _decode(token, self._keys, "at+jwt", issuer=self._issuer, audience=self._audience, options=options)
        status = claims.get("status", {}).get("status_list")
        # Tokens of service accounts have no status: an API that takes those too leaves this check out.
        if not status:
            raise TokenRefused("nobody can tell whether its session still lives")
        if self._list(status["uri"]).is_revoked(status["idx"]):
            raise TokenRefused("the session has ended")
        return claims

    def _list(self, uri):
        if urllib.parse.urlsplit(uri)[:2] != self._origin:
            raise TokenRefused("the status list is somebody else's")
        with self._lock:
            return self._lists.setdefault(uri, StatusList(uri, self._keys))

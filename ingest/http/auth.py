"""Who a sender is: the bearer token of a request names its source, and nothing that the request says does."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from apportion.domain.errors import ConfigError
from ingest.http.answers import Refusal

CHALLENGE: Final = 'Bearer realm="apportion"'


class Tokens:
    """The tokens that are believed, kept as digests only.

    Attributes:
        open_to: the source of requests without a token; None where every request needs one.
    """

    def __init__(self, tokens: Mapping[str, str], *, open_to: str | None) -> None:
        """Args: tokens by the name of their source; `open_to` counts only where there is none.

        Raises: ConfigError when two sources have the same token, or one that no header can carry.
        """
        for name, token in tokens.items():
            if not re.fullmatch(r"[!-~]+", token):
                said = f"sources:{name}: has a token with a space, a line end or a letter beyond ASCII; headers cannot carry it"
                raise ConfigError([said])
        self._digests = {name: _digest(token.encode()) for name, token in tokens.items()}
        self.open_to = None if tokens else open_to
        first: dict[bytes, str] = {}
        for name, digest in self._digests.items():
            if first.setdefault(digest, name) != name:
                said = f"sources:{name}: has the token of {first[digest]}; give each HTTP source a token of its own"
                raise ConfigError([said])

    def source(self, authorizations: list[bytes]) -> str:
        """Whose token a request carries. Every token is compared, so that time tells nothing about any of them.

        Args:
            authorizations: values of the request's Authorization headers.

        Raises: Refusal (401) when it carries none, or one that is not known.
        """
        if self.open_to is not None:
            return self.open_to
        if not self._digests:
            sentence = "no token is configured, and without one requests are taken on loopback only; set [http] token"
            raise Refusal(401, sentence, www_authenticate=CHALLENGE)
        scheme, _, token = (authorizations[0] if len(authorizations) == 1 else b"").strip().partition(b" ")
        sent = _digest(token.strip())
        found = [name for name, digest in self._digests.items() if hmac.compare_digest(digest, sent)]
        if scheme.lower() != b"bearer" or not found:
            sentence = "send the token of an HTTP source as `Authorization: Bearer TOKEN`"
            raise Refusal(401, sentence, www_authenticate=CHALLENGE)
        return found[0]


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()

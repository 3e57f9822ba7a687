"""Which fields of an urlencoded form are secret: by their own name, and doubtful ones by the fields beside them.

The rule: what is secret in a URL is secret in a form, too, since the same protocols send both; but forms are written by
people as well, where a `code` is a currency, a `key` a file, a `signature` the end of a letter. Such a doubtful name
counts where the form is one of OAuth or of a signed request, which the names of other fields tell, or where its value
is a digest. Sources: RFC 6749, 4.1; OAuth 2.0 Form Post Response Mode; AWS's and Alipay's signed forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from otel_har.redaction.decoded import unquoted
from otel_har.redaction.names import Names

_BESIDE = re.compile(
    r"(?:\A|&)(?:grant_type|client_id|client_assertion_type|redirect_uri|response_type|response_mode|code_verifier"
    r"|code_challenge|session_state|id_token|access_token|oauth_consumer_key|oauth_timestamp|AWSAccessKeyId|AccessKeyId"
    r"|SignatureMethod|SignatureVersion|sign_type|openid\.mode)=",
    re.IGNORECASE,
)
_STATE = re.compile(r"(?:\A|&)state=")
_KEY = re.compile(r"(?:\A|&)key=[^&]")
_SIGNED = re.compile(r"(?:\A|&)(?:sig|hmac)=[^&]")
_LONG_CODE = re.compile(r"(?:\A|&)code=[^&\s+]{16}")
_SIGNATURES = frozenset({"hmac", "sig", "sign", "signature"})
_DIGEST = re.compile(r"(?=[^\d]{0,64}\d)(?:[0-9A-Fa-f]{32,}|[A-Za-z0-9+/_-]{22,}={0,2})")


class FormNames:
    """The names of one form.

    Args:
        text: The form, as it is written.
        names: The names of secrets.
    """

    def __init__(self, text: str, names: Names) -> None:
        self._names = names
        self._is_protocol = (
            _BESIDE.search(text) is not None
            or (_STATE.search(text) is not None and _LONG_CODE.search(text) is not None)
            or (_KEY.search(text) is not None and _SIGNED.search(text) is not None)
        )

    def is_secret(self, name: str, written: str) -> bool:
        """Whether the value of a field is secret; the name decoded, the value perhaps not."""
        names = self._names
        if names.form(name):
            return True
        if not names.query(name):
            return False
        return self._is_protocol or (name.lower() in _SIGNATURES and _DIGEST.fullmatch(unquoted(written)) is not None)


def form_of(pairs: Iterable[object]) -> str:
    """The form that `postData.params` are of, as it is written."""
    named = [pair for pair in pairs if isinstance(pair, Mapping)]
    return "&".join(f"{quote(str(pair.get('name')))}={quote(str(pair.get('value', '')))}" for pair in named)

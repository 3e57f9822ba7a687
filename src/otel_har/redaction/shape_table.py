"""How the tokens of known services begin, go on and how long they are.

The rule: facts alone; `shapes` reads with them. A pattern is a fixed beginning and one run of one kind of character at
its end, so that it is read forward once.
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Token:
    """The form of a token.

    Attributes:
        rule: Its name.
        pattern: What it looks like from its beginning.
        unlike: What does not stand before it, besides letters and digits: the more, the commoner its beginning is.
            A form that may fail after a long run has all of that run here but letters and digits, so that no run is
            read from several places.
        check: What it must be besides.
    """

    rule: str
    pattern: re.Pattern[str]
    unlike: str = ""
    check: Callable[[str], bool] | None = None


def _is_mixed(token: str) -> bool:
    """Whether it has a digit, and both cases or a long run: no words joined by hyphens."""
    tail = token[3:]
    if not any(map(str.isdigit, tail)):
        return False
    return tail != tail.lower() or max(map(len, re.split("[-_]", tail))) >= _LONG_RUN


def _is_varied(token: str) -> bool:
    """Whether it has many characters, unlike the zeros of a picture in base64."""
    return len(set(token)) >= _VARIED


def _is_percent_encoded(token: str) -> bool:
    return "%" in token


def _has_digit(token: str) -> bool:
    return any(map(str.isdigit, token))


_LONG_RUN = 24

_VARIED = 20

_CHECKS: dict[str, Callable[[str], bool]] = {"AAAAAAAAAAAAAAAAAAAAA": _is_percent_encoded}
_CHECKS |= dict.fromkeys(("gAAAAAB", "EAA", "AQVN", "cflt", "y0_"), _is_varied)

_WORD = "A-Za-z0-9_-"
_ALNUM = "A-Za-z0-9"
_HEX = "0-9a-f"

_PLAIN: tuple[tuple[str, str, str, int], ...] = (
    # rule, beginnings, kind of character, at least so many of them
    ("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", "A-Za-z0-9_", 30),
    ("github-token", "github_pat_", "A-Za-z0-9_", 22),
    (
        "gitlab-token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct- GR1348941",
        "A-Za-z0-9_.-",
        16,
    ),
    ("slack-token", "xoxa- xoxb- xoxc- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xapp-", "A-Za-z0-9.-", 10),
    ("slack-token", "xoxd-", "A-Za-z0-9.%/+=-", 10),
    ("google-oauth-token", "ya29.", _WORD, 20),
    ("google-client-secret", "GOCSPX-", _WORD, 20),
    ("stripe-key", "sk_live_ sk_test_ rk_live_ rk_test_", _ALNUM, 10),
    ("stripe-webhook-secret", "whsec_", "A-Za-z0-9+/=", 16),
    ("npm-token", "npm_", _ALNUM, 30),
    ("pypi-token", "pypi-AgE", _WORD, 30),
    ("hugging-face-token", "hf_ api_org_", _ALNUM, 30),
    ("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", _HEX, 40),
    ("shopify-token", "shpat_ shpca_ shppa_ shpss_ shptka_", "A-Fa-f0-9", 32),
    ("square-token", "sq0atp- sq0csp- sq0idb-", _WORD, 20),
    ("dropbox-token", "sl.", _WORD, 60),
    ("databricks-token", "dapi", _HEX, 32),
    ("doppler-token", "dp.pt. dp.st. dp.sa. dp.ct. dp.scim. dp.audit.", "A-Za-z0-9_.-", 30),
    ("linear-token", "lin_api_ lin_oauth_ lin_wh_", _ALNUM, 30),
    ("new-relic-key", "NRAK- NRAL- NRJS- NRIQ- NRII- NRBR-", _WORD, 15),
    ("sentry-token", "sntrys_ sntryu_ sntrya_", "A-Za-z0-9_=+/", 30),
    ("vault-token", "hvs. hvb. hvr.", _WORD, 20),
    ("age-key", "AGE-SECRET-KEY-1", "A-Za-z0-9", 50),
    ("atlassian-token", "ATATT3x ATCTT3x ATSTT3x ATBB ATOATT", "A-Za-z0-9_=-", 24),
    ("fly-token", "fm1r_ fm2_ fo1_", "A-Za-z0-9+/=_,-", 30),
    ("docker-token", "dckr_pat_ dckr_oat_", _WORD, 20),
    ("grafana-token", "glc_ glsa_", "A-Za-z0-9_+/=", 30),
    ("postman-key", "PMAK-", "a-f0-9-", 40),
    ("pulumi-token", "pul-", _HEX, 40),
    ("notion-token", "ntn_", _ALNUM, 40),
    ("figma-token", "figd_ figu_ figdr_", _WORD, 20),
    ("netlify-token", "nfp_ nfc_ nfo_ nfu_", _ALNUM, 30),
    ("supabase-token", "sbp_ sb_secret_", "A-Za-z0-9_", 20),
    ("planetscale-token", "pscale_tkn_ pscale_pw_ pscale_oauth_", "A-Za-z0-9_.=-", 30),
    ("rubygems-key", "rubygems_", _HEX, 40),
    ("brevo-key", "xkeysib- xsmtpsib-", "A-Za-z0-9-", 60),
    ("openai-like-key", "gsk_ xai- pplx- nvapi- tvly- pcsk_ lsv2_pt_ lsv2_sk_ csk-", _WORD, 30),
    ("replicate-token", "r8_", _ALNUM, 30),
    ("tailscale-key", "tskey-", "A-Za-z0-9-", 20),
    ("heroku-token", "HRKU-", _WORD, 30),
    ("dynatrace-token", "dt0c01. dt0s01. dt0s16.", "A-Z0-9.", 60),
    ("contentful-token", "CFPAT-", _WORD, 40),
    ("buildkite-token", "bkua_", _ALNUM, 30),
    ("sonar-token", "squ_ sqp_ sqa_", _HEX, 40),
    ("shippo-token", "shippo_live_ shippo_test_", _HEX, 40),
    ("typeform-token", "tfp_", "A-Za-z0-9_.=-", 40),
    ("readme-key", "rdme_", "a-z0-9", 60),
    ("prefect-key", "pnu_ pnb_", _ALNUM, 30),
    ("duffel-token", "duffel_live_ duffel_test_", "A-Za-z0-9_=-", 40),
    ("adafruit-key", "aio_", _ALNUM, 26),
    ("easypost-key", "EZAK EZTK", _ALNUM, 50),
    ("flutterwave-key", "FLWSECK- FLWSECK_TEST-", "A-Za-z0-9-", 12),
    ("posthog-key", "phx_", _ALNUM, 40),
    ("confluent-token", "cflt", "A-Za-z0-9+/", 56),
    ("plaid-token", "access-sandbox- access-development- access-production-", "0-9a-f-", 36),
    ("facebook-token", "EAA", _ALNUM, 80),
    ("twitter-bearer", "AAAAAAAAAAAAAAAAAAAAA", "A-Za-z0-9%", 40),
    ("onepassword-token", "ops_eyJ", "A-Za-z0-9_=-", 100),
    ("yandex-token", "AQVN y0_", _WORD, 35),
    ("hubspot-token", "pat-na1- pat-na2- pat-eu1-", "A-Fa-f0-9-", 36),
    ("vercel-token", "vcp_ vck_", _ALNUM, 24),
    ("circleci-token", "CCIPAT_ CCIPRJ_", "A-Za-z0-9_", 30),
    ("fernet-token", "gAAAAAB", "A-Za-z0-9_=-", 90),
    (
        "paseto",
        "v1.local. v2.local. v3.local. v4.local. v1.public. v2.public. v3.public. v4.public.",
        "A-Za-z0-9_.-",
        40,
    ),
    (
        "paserk",
        "k1.local. k2.local. k3.local. k4.local. k1.secret. k2.secret. k3.secret. k4.secret.",
        "A-Za-z0-9_-",
        40,
    ),
    ("dropbox-token", "sl.u.", _WORD, 60),
    ("openvsx-token", "ovsxp_ ovsxat_", _WORD, 30),
)

_STRICT = frozenset(
    {
        "gAAAAAB",
        "sl.",
        "dapi",
        "hf_",
        "AAAAAAAAAAAAAAAAAAAAA",
        "AQVN",
        "pul-",
        "EAA",
        "cflt",
        "aio_",
        "y0_",
        "csk-",
        "r8_",
    }
)
"""Beginnings that are common within other words."""

_COMMON = "-_.+"

_ANYWHERE = {"AKIA": "", "ASIA": "", "AIza": "", "SG.": "", "1//0": "", "eyJ": "-_", "eyAi": "-_", "ewo": "-_"}
"""Beginnings that are unlikely within other words, and what they do not stand behind."""

_JWT = r"e[yw][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*)?"

_FIXED: tuple[tuple[str, str, str, Callable[[str], bool] | None], ...] = (
    # rule, beginning, pattern from the beginning on, check
    ("aws-access-key", "AKIA", "AKIA[A-Z0-9]{16}(?![A-Za-z0-9])", None),
    ("aws-access-key", "ASIA", "ASIA[A-Z0-9]{16}(?![A-Za-z0-9])", None),
    ("aws-access-key", "ABIA", "ABIA[A-Z0-9]{16}(?![A-Za-z0-9])", None),
    ("aws-access-key", "ACCA", "ACCA[A-Z0-9]{16}(?![A-Za-z0-9])", None),
    ("alibaba-access-key", "LTAI", "LTAI[A-Za-z0-9]{12,24}(?![A-Za-z0-9])", _has_digit),
    ("tencent-secret-id", "AKID", "AKID[A-Za-z0-9]{32}(?![A-Za-z0-9])", _has_digit),
    # Three parts of base64, the last of an unsecured one empty (RFC 7519, 6.1); five of an encrypted one (RFC 7516).
    ("jwt", "eyJ", _JWT, None),
    ("jwt", "eyAi", _JWT, None),
    ("jwt", "ewo", _JWT, None),
    ("google-api-key", "AIza", "AIza[A-Za-z0-9_-]{35}", None),
    ("google-refresh-token", "1//0", "1//0[A-Za-z0-9_-]{20,}", None),
    ("telegram-token", "AA", "(?:(?<=[0-9]{8}:)|(?<=[0-9]{8}%3[Aa]))AA[A-Za-z0-9_-]{32,34}(?![A-Za-z0-9_-])", None),
    ("google-auth-code", "4/0A", "4/0A[A-Za-z0-9_-]{20,}", None),
    ("twilio-key", "SK", "SK[0-9a-f]{32}(?![A-Za-z0-9])", None),
    ("resend-key", "re_", "re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,26}(?![A-Za-z0-9])", None),
    ("sendgrid-key", "SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,}", None),
    ("mailgun-key", "key-", "key-[0-9a-f]{32}(?![A-Za-z0-9])", None),
    ("api-key", "sk-", "sk-[A-Za-z0-9_-]{18,}", _is_mixed),
    ("api-key", "sk_", "sk_[0-9a-f]{40,64}(?![A-Za-z0-9])", None),
    ("square-token", "EAAA", "EAAA[A-Za-z0-9_-]{60}(?![A-Za-z0-9])", _is_varied),
    ("airtable-token", "pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", None),
    ("artifactory-key", "AKCp", "AKCp[A-Za-z0-9]{69}(?![A-Za-z0-9])", _has_digit),
    ("artifactory-token", "cmVmdGtuOj", "cmVmdGtuOj[A-Za-z0-9]{54}(?![A-Za-z0-9])", None),  # `reftkn:` in base64
    ("nuget-key", "oy2", "oy2[a-z0-9]{43}(?![A-Za-z0-9])", _has_digit),
    ("crates-token", "cio", "cio[A-Za-z0-9]{32}(?![A-Za-z0-9])", _is_varied),
    (
        "launchdarkly-key",
        "sdk-",
        "sdk-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}(?![A-Za-z0-9])",
        None,
    ),
    ("discord-token", "mfa.", r"mfa\.[A-Za-z0-9_-]{84}(?![A-Za-z0-9_-])", None),
    ("notion-token", "secret_", "secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])", None),
    ("mapbox-token", "sk.eyJ", r"sk\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", None),
)


def _tokens() -> Iterable[tuple[str, Token]]:
    for rule, beginning, written, check in _FIXED:
        yield beginning, Token(rule, re.compile(written), unlike=_ANYWHERE.get(beginning, _COMMON), check=check)
    for rule, several, kind, least in _PLAIN:
        for beginning in several.split():
            pattern = re.compile(f"{re.escape(beginning)}[{kind}]{{{least},}}")
            yield (
                beginning,
                Token(rule, pattern, unlike=_COMMON if beginning in _STRICT else "", check=_CHECKS.get(beginning)),
            )


def _by_beginning() -> dict[str, tuple[Token, ...]]:
    table: dict[str, tuple[Token, ...]] = {}
    for beginning, token in _tokens():
        table[beginning] = (*table.get(beginning, ()), token)
    return table


TOKENS = _by_beginning()
"""The forms of tokens by how they begin."""

RUN_TOKENS = {
    r"[MNO][A-Za-z0-9_-]{23,27}\.": Token(
        "discord-token",
        re.compile(r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}(?![A-Za-z0-9_-])"),
    ),
    "[0-9a-f]{32}-[u0-9a-f]": Token(
        "mail-service-key",
        re.compile("[0-9a-f]{32}-(?:us[0-9]{1,2}|[0-9a-f]{8}-[0-9a-f]{8})(?![A-Za-z0-9-])"),
        unlike=_COMMON,
    ),
    "[A-Za-z0-9_~.-]{3}[0-9]Q~": Token(
        "azure-client-secret", re.compile("[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{26,36}"), unlike=_COMMON
    ),
}
"""The forms of tokens that have no beginning of their own, by what they begin like."""


def may_have_run_token(found: bytes, apart: bytes, words: Iterable[bytes]) -> bool:
    """Whether runs may have a token without a beginning of its own, told by the rarest of each of the forms above.

    Args:
        found: The runs, each behind a space.
        apart: The same with a space for all that is neither letter nor digit.
        words: What stands between the spaces then.
    """
    if b"Q~" in found or any(start in apart for start in (b" M", b" N", b" O")):
        return True
    return _HEXADECIMAL_WORD in map(len, words)


_HEXADECIMAL_WORD = 32


def _by_start() -> dict[str, tuple[Token, ...]]:
    table: dict[str, tuple[Token, ...]] = {}
    for beginning, tokens in TOKENS.items():
        table[beginning[:3]] = (*table.get(beginning[:3], ()), *tokens)
    return table


BY_START = _by_start()
"""The forms of tokens by the first three characters of their beginnings, or by all of a shorter one."""


def outlined(text: str) -> str:
    """The text with a 0 for each digit: what texts say again and again with other numbers in it."""
    return text.encode("utf-8", "surrogatepass").translate(_OUTLINE).decode("utf-8", "surrogatepass")


_OUTLINE = bytes.maketrans(b"123456789", b"000000000")


def _first_three(beginnings: Iterable[str]) -> Iterable[str]:
    for beginning in beginnings:
        word = _SEPARATOR.split(beginning)[0]
        yield word[:3]
        if word == beginning:  # no separator ends it: more of the word may follow
            for length in range(1, 4 - len(word)):
                yield from (word + "".join(rest) for rest in itertools.product(_LETTERS_AND_DIGITS, repeat=length))


_SEPARATOR = re.compile("[_./+~-]")
_LETTERS_AND_DIGITS = string.ascii_letters + string.digits


def _alternatives(words: Iterable[str]) -> str:
    tails: dict[str, list[str]] = {}
    for word in words:
        tails.setdefault(word[:1], []).append(word[1:])
    if "" in tails:  # the longer ones are read by the text itself
        return ""
    parts = [re.escape(first) + _alternatives(rest) for first, rest in tails.items()]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


class Beginnings:
    """How tokens begin.

    Args:
        several: Beginnings.

    Attributes:
        pattern: All of them; what begins alike is compared once.
        first_three: How words begin with which a token may, words being what no other characters of tokens part: all of
            a shorter one.
    """

    def __init__(self, several: Iterable[str]) -> None:
        beginnings = sorted(set(several))
        self.pattern = _alternatives(beginnings)
        self.first_three = frozenset(one.encode() for one in _first_three(beginnings))


BEGINNINGS = Beginnings(TOKENS)
OUTLINED_BEGINNINGS = Beginnings(map(outlined, TOKENS))
"""As they are in a text that is `outlined`."""

"""What must stay as it is, though it looks like a secret or stands under a name that looks like a secret's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from servers.canned import Canned
from servers.planting import FORM, JSON

if TYPE_CHECKING:
    from servers.planting import Planting

UUID = "123e4567-e89b-42d3-a456-426614174000"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
TRACE_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

REQUEST_HEADERS = (
    ("Accept", "application/json, text/plain;q=0.5"),
    ("Accept-Language", "en-GB,en;q=0.9"),
    ("Cache-Control", "no-cache"),
    ("If-None-Match", 'W/"33a64df551425fcc55e4d42a148795d9f25f89d4"'),
    ("If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ("Keep-Alive", "timeout=5, max=1000"),
    ("Idempotency-Key", UUID),
    ("X-Request-Id", "f058ebd6-02f7-4d3f-942e-904344e8cde5"),
    ("X-Correlation-Id", "0af7651916cd43dd8448eb211c80319c"),
    ("X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678"),
    ("X-Amz-Date", "20240101T000000Z"),
    ("X-Amz-Content-Sha256", SHA256),
    ("X-Authority", "tokenizer.a.test"),
    ("X-Author", "Jane Secretary"),
    ("X-B3-SpanId", "00f067aa0ba902b7"),
    ("Referer", "https://a.test/list?page=2&author=jane&next_page_token=CAUQAA#top"),
)

RESPONSE_HEADERS = (
    ("Content-Type", JSON),
    ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("ETag", '"5d41402abc4b2a76b9719d911017c592"'),
    ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ("Keep-Alive", "timeout=5"),
    ("Server", "nginx/1.25.3"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("Content-Security-Policy", "default-src 'self'; script-src https://cdn.a.test"),
    ("Vary", "Accept-Encoding, Authorization, Cookie"),
    ("Access-Control-Allow-Headers", "Authorization, X-Api-Key, X-CSRF-Token"),
    ("X-RateLimit-Limit-Tokens", "150000"),
    ("X-RateLimit-Remaining-Tokens", "149984"),
    ("X-Amz-Request-Id", "4442587FB7D0A2F9"),
    ("X-Runtime", "0.123456"),
    ("Content-Digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
    ("Location", "/articles/123e4567?author=jane&page=2"),
)

QUERY = (
    ("author", "jane"),
    ("page", "2"),
    ("page_token", "CAUQAA"),
    ("nextToken", "eyMxMjM"),
    ("cursor", "c2Vjb25kLXBhZ2U"),
    ("keyword", "secret garden"),
    ("sort_key", "created_at"),
    ("id", UUID),
    ("since", "2024-01-01T00:00:00Z"),
    ("sha", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("max_tokens", "5"),
    ("signal", "strong"),
)

FIELDS: dict[str, Any] = {
    "id": 12345678901234567890,
    "uuid": UUID,
    "author": "Jane Austen",
    "authors": ["Jane", "Ann"],
    "authored_by": "jane",
    "authority": "a.test:443",
    "tokenizer": "cl100k_base",
    "tokens": 17,
    "tokenized": ["to", "ken"],
    "token_type": "bearer",
    "token_count": 42,
    "max_tokens": 5,
    "prompt_tokens": 9,
    "usage": {"total_tokens": 14, "completion_tokens_details": {"reasoning_tokens": 3}},
    "expires_in": 3600,
    "next_page_token": "CAUQAA",
    "nextPageToken": "CDIQAA",
    "continuation_token": "aGVsbG8gd29ybGQ",
    "cursor": "c2Vjb25kLXBhZ2U",
    "secretary": "Ann Other",
    "passenger": "Bob",
    "passengers": [{"name": "Bob", "seat": "12A"}],
    "bypass": "northern",
    "compass": "south-west",
    "passage": "to India",
    "passed": 12,
    "signal": "SIGTERM",
    "signature_algorithm": "RS256",
    "monkey": "capuchin",
    "keyboard": "qwertz",
    "keyword": "garden",
    "hotkey": "ctrl+s",
    "primary_key": "id",
    "foreign_key": "author_id",
    "sort_key": "created_at",
    "public_key": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
    "key": "language",
    "cookie_policy": "strict",
    "password_required": True,
    "has_password": False,
    "password": None,
    "token": "",
    "secret": None,
    "etag": "33a64df551425fcc55e4d42a148795d9f25f89d4",
    "sha256": SHA256,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "created_at": "2024-01-01T12:34:56.789Z",
    "updated": 1704112496789,
    "mime": "application/vnd.api+json",
    "amount": 1234.5600,
    "big": 123456789012345678901234567890,
    "text": "The secret garden, by the author of The Little Princess: a token of thanks for your keyboard.",
    "url": "https://a.test/authors?page=2&max_tokens=5",
    "email": "jane@a.test",
    "status": "authorized",
    "error_code": "invalid_token",
    "country_code": "GB",
    "session_count": 3,
    "password_min_length": 12,
    "blob": "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
}

FORM_FIELDS = (("author", "jane"), ("max_tokens", "5"), ("comment", "no secrets here"), ("page_token", "CAUQAA"))

COUNT = len(REQUEST_HEADERS) + len(RESPONSE_HEADERS) + len(QUERY) + len(FIELDS) + len(FORM_FIELDS)
"""How many there are."""

JSON_TEXT = json.dumps(FIELDS, indent=1)
FORM_TEXT = urlencode(FORM_FIELDS)


def add_harmless(planting: Planting) -> None:
    """Add the exchanges that have all of it, and no secret."""
    planting.exchange(
        "harmless",
        rest=f"?{urlencode(QUERY)}",
        headers=(*REQUEST_HEADERS, ("Content-Type", JSON)),
        body=JSON_TEXT.encode(),
        answer=Canned(JSON_TEXT.encode(), RESPONSE_HEADERS),
    )
    planting.exchange("harmless-form", headers=(("Content-Type", FORM),), body=FORM_TEXT.encode())

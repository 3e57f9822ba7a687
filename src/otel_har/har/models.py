"""HAR 1.2 as immutable models: tolerant in what they read, strict in what they write.

The policy, in one place:

- Names are Python's (`started_date_time`); files have HAR's (`startedDateTime`). Both are taken, HAR's are written.
- Reading is tolerant, so that every file a browser would show can be read: `null` counts as missing; what HAR 1.2
  requires and real files lack gets a neutral default (-1 for a size that is not known or a phase that did not apply,
  an empty list, an empty string), which is then written; numbers may be strings and strings numbers. What has no
  neutral value stays required: when a page or an entry started, and an entry's request.
- Nothing is lost: dates and texts stay as they were, integers stay integers, and unknown members, above all the custom
  fields (HAR 1.2: "must start with an underscore"), are kept and written back. Custom fields declared here take any
  JSON value, since other producers give them other shapes.
- What is written is JSON that every reader takes: no `null` member, no NaN or Infinity (numbers of HAR must be finite;
  inside a foreign value they are written as strings, as protobuf's JSON mapping does), no lone surrogates (U+FFFD).

Field descriptions are the specification's: http://www.softwareishard.com/blog/har-12-spec/
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import PydanticSerializationError, to_jsonable_python

from otel_har.har.bodies import body_bytes, without_surrogates
from otel_har.har.dates import parse_instant

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Browser",
    "Cache",
    "CacheState",
    "Content",
    "Cookie",
    "Creator",
    "Entry",
    "Har",
    "HarModel",
    "Header",
    "Log",
    "Page",
    "PageTimings",
    "PostData",
    "PostParameter",
    "QueryParameter",
    "Request",
    "Response",
    "Timings",
]

Number: TypeAlias = int | float
"""Milliseconds or bytes. Sizes are integers by HAR 1.2; files with decimals exist and are shown by browsers."""

Foreign: TypeAlias = Any
"""Any JSON value, kept as it is: a custom field that other producers give another shape than we do."""


class HarModel(BaseModel):
    """What all parts of a HAR have in common.

    Instances are immutable; `model_copy(update=...)` makes changed ones. Sequences are tuples.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        ser_json_inf_nan="strings",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _tolerate(cls, data: Any, handler: "ModelWrapValidatorHandler[Self]") -> "Self":
        """Count `null` as missing, and put U+FFFD where pydantic stumbles over a lone surrogate."""
        if isinstance(data, dict) and None in data.values():
            data = {name: value for name, value in data.items() if value is not None}
        try:
            return handler(data)
        except ValidationError as error:
            if isinstance(data, dict) and any(one["type"] == "string_unicode" for one in error.errors()):
                return handler(_writable(data))
            raise

    @property
    def extensions(self) -> Mapping[str, Any]:
        """The custom fields by their HAR names (`_priority`), read-only: declared ones that are set, then others."""
        found = {}
        for name, field in type(self).model_fields.items():
            if field.alias is not None and field.alias.startswith("_") and getattr(self, name) is not None:
                found[field.alias] = getattr(self, name)
        found.update((name, value) for name, value in (self.model_extra or {}).items() if name.startswith("_"))
        return MappingProxyType(found)

    def to_json(self, indent: int | None = None) -> bytes:
        """Return this part as UTF-8 JSON with HAR's names and without `null` members.

        Args:
            indent: Spaces per level; None for the compact form on one line.

        Raises:
            pydantic_core.PydanticSerializationError: A custom field holds what has no form in JSON.
        """
        try:
            return self.__pydantic_serializer__.to_json(self, indent=indent, by_alias=True, exclude_none=True)
        except PydanticSerializationError:
            # Lone surrogates, or a foreign value nested deeper than pydantic-core descends: the thorough way.
            separators = (",", ":") if indent is None else (",", ": ")
            return json.dumps(
                _writable(self.model_dump()),
                default=to_jsonable_python,
                ensure_ascii=False,
                allow_nan=False,
                indent=indent,
                separators=separators,
            ).encode()

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As pydantic's, but without members that are None unless `exclude_none=False` asks for them."""
        options.setdefault("exclude_none", True)
        return super().model_dump(**options)

    def model_dump_json(self, **options: Any) -> str:
        """As pydantic's, but without members that are None unless `exclude_none=False` asks for them."""
        options.setdefault("exclude_none", True)
        return super().model_dump_json(**options)


class Creator(HarModel):
    """The application that wrote the log."""

    name: str = ""
    version: str = ""
    comment: str | None = None


class Browser(HarModel):
    """The browser, or other user agent, that made the requests."""

    name: str = ""
    version: str = ""
    comment: str | None = None


class PageTimings(HarModel):
    """Milliseconds since the page started; -1: not known or not applicable."""

    on_content_load: Number = Field(default=-1, alias="onContentLoad")
    on_load: Number = Field(default=-1, alias="onLoad")
    comment: str | None = None


class Page(HarModel):
    """A group of entries: a browser's page, or here a trace."""

    started_date_time: str = Field(alias="startedDateTime")
    id: str = ""
    title: str = ""
    page_timings: PageTimings = Field(default=PageTimings(), alias="pageTimings")
    comment: str | None = None

    @property
    def started_at(self) -> datetime:
        """`started_date_time` as a datetime with time zone; raises HarFormatError when it is no ISO 8601 date-time."""
        return parse_instant(self.started_date_time)


class Cookie(HarModel):
    """A cookie of a request (name and value), or of a response (with the attributes of Set-Cookie)."""

    name: str = ""
    value: str = ""
    path: str | None = None
    domain: str | None = None
    expires: str | None = None
    http_only: bool | None = Field(default=None, alias="httpOnly")
    secure: bool | None = None
    same_site: str | None = Field(default=None, alias="sameSite")
    comment: str | None = None


class Header(HarModel):
    """One header line; repeated headers are repeated, in their order."""

    name: str = ""
    value: str = ""
    comment: str | None = None


class QueryParameter(HarModel):
    """One parameter of the query string, decoded; duplicates and order are kept."""

    name: str = ""
    value: str = ""
    comment: str | None = None


class PostParameter(HarModel):
    """One field of a posted form."""

    name: str = ""
    value: str | None = None
    file_name: str | None = Field(default=None, alias="fileName")
    content_type: str | None = Field(default=None, alias="contentType")
    comment: str | None = None


class PostData(HarModel):
    """The body of a request.

    HAR 1.2: "text and params fields are mutually exclusive." So neither is made up when a file has only the other.
    `encoding` is proposed for HAR 1.3: `base64` where the body is not text.
    """

    mime_type: str = Field(default="", alias="mimeType")
    text: str | None = None
    params: tuple[PostParameter, ...] | None = None
    encoding: str | None = None
    comment: str | None = None
    body_state: Foreign = Field(default=None, alias="_bodyState")
    """Why `text` is not the whole body: `truncated`, `partial`, `unread` or `dropped`; None: it is the whole."""
    file: Foreign = Field(default=None, alias="_file")
    """The name of a file with the body, beside the HAR in an archive (Playwright's), in the place of `text`."""

    def body(self) -> bytes | None:
        """Return the exact bytes of `text`, None without one; raises HarFormatError when it is not what it claims."""
        return None if self.text is None else body_bytes(self.text, self.encoding)


class Request(HarModel):
    """The request as it was sent. Sizes are in bytes, -1: not known."""

    method: str = ""
    url: str = ""
    http_version: str = Field(default="", alias="httpVersion")
    cookies: tuple[Cookie, ...] = ()
    headers: tuple[Header, ...] = ()
    query_string: tuple[QueryParameter, ...] = Field(default=(), alias="queryString")
    post_data: PostData | None = Field(default=None, alias="postData")
    headers_size: Number = Field(default=-1, alias="headersSize")
    """From the request line through the blank line."""
    body_size: Number = Field(default=-1, alias="bodySize")
    """On the wire."""
    comment: str | None = None


class Content(HarModel):
    """The body of a response, decoded."""

    size: Number = -1
    """Length of the decoded body in bytes, -1: not known."""
    compression: Number | None = None
    """Bytes saved: `size` - `bodySize`."""
    mime_type: str = Field(default="x-unknown", alias="mimeType")
    text: str | None = None
    encoding: str | None = None
    comment: str | None = None
    body_state: Foreign = Field(default=None, alias="_bodyState")
    """Why `text` is not the whole body: `truncated`, `partial`, `unread` or `dropped`; None: it is the whole."""
    file: Foreign = Field(default=None, alias="_file")
    """The name of a file with the body, beside the HAR in an archive (Playwright's), in the place of `text`."""

    def body(self) -> bytes | None:
        """Return the exact bytes of `text`, None without one; raises HarFormatError when it is not what it claims."""
        return None if self.text is None else body_bytes(self.text, self.encoding)


class Response(HarModel):
    """The response as it was received; the defaults are those of a request that got none. Sizes: bytes, -1: not known.

    Chrome writes status 0, empty texts and lists and `content {size: 0, mimeType: "x-unknown"}` for such a request.
    """

    status: int = 0
    status_text: str = Field(default="", alias="statusText")
    http_version: str = Field(default="", alias="httpVersion")
    cookies: tuple[Cookie, ...] = ()
    headers: tuple[Header, ...] = ()
    content: Content = Content(size=0)
    redirect_url: str = Field(default="", alias="redirectURL")
    headers_size: Number = Field(default=-1, alias="headersSize")
    """From the status line through the blank line."""
    body_size: Number = Field(default=-1, alias="bodySize")
    """On the wire; 0 when it came from a cache (304)."""
    comment: str | None = None
    transfer_size: Foreign = Field(default=None, alias="_transferSize")
    """Chrome's: bytes on the wire, headers included; a number."""
    error: Foreign = Field(default=None, alias="_error")
    """Chrome's: why there is no response, or not a whole one; a string."""
    trailers: Foreign = Field(default=None, alias="_trailers")
    """Ours: the trailer fields of a chunked body; objects like those of `headers`."""


class CacheState(HarModel):
    """What a cache held for the request."""

    expires: str | None = None
    last_access: str | None = Field(default=None, alias="lastAccess")
    e_tag: str | None = Field(default=None, alias="eTag")
    hit_count: Number | None = Field(default=None, alias="hitCount")
    comment: str | None = None


class Cache(HarModel):
    """The cache before and after the request; empty when nothing is known."""

    before_request: CacheState | None = Field(default=None, alias="beforeRequest")
    after_request: CacheState | None = Field(default=None, alias="afterRequest")
    comment: str | None = None


class Timings(HarModel):
    """The phases in milliseconds; -1: did not apply. `connect` includes `ssl`, so that `ssl` adds nothing to a sum."""

    blocked: Number = -1
    dns: Number = -1
    connect: Number = -1
    ssl: Number = -1
    send: Number = 0
    wait: Number = 0
    receive: Number = 0
    comment: str | None = None


class Entry(HarModel):
    """One HTTP exchange."""

    pageref: str | None = None
    started_date_time: str = Field(alias="startedDateTime")
    """ISO 8601 with offset, exactly as in the file."""
    time: Number = 0
    """Milliseconds: the sum of the applicable timings."""
    request: Request
    response: Response = Response()
    cache: Cache = Cache()
    timings: Timings = Timings()
    server_ip_address: str | None = Field(default=None, alias="serverIPAddress")
    connection: str | None = None
    comment: str | None = None
    connection_id: Foreign = Field(default=None, alias="_connectionId")
    """Chrome's: which connection carried the exchange; a string."""
    resource_type: Foreign = Field(default=None, alias="_resourceType")
    """Chrome's: `fetch`, `xhr`, `websocket`, `eventsource`, `document`, `other`..."""
    server_port: Foreign = Field(default=None, alias="_serverPort")
    """Playwright's: the remote port; an integer."""
    initiator: Foreign = Field(default=None, alias="_initiator")
    """Chrome's: what made the request; an object with `type` and, for a script, `stack`."""
    chunks: Foreign = Field(default=None, alias="_chunks")
    """WebPageTest's: how the body came; objects of `ts`, milliseconds since the page's start, and `bytes`."""
    event_source_messages: Foreign = Field(default=None, alias="_eventSourceMessages")
    """Chrome's: server-sent events; objects of `time`, seconds since the epoch, `eventName`, `eventId`, `data`."""
    web_socket_messages: Foreign = Field(default=None, alias="_webSocketMessages")
    """Chrome's: objects with `type` (`send`, `receive`), `time` (epoch seconds), `opcode` and `data`; an array."""
    otel: Foreign = Field(default=None, alias="_otel")
    """Ours: `traceId`, `spanId`, `parentSpanId`, `scope`, `status`, `attributes`; an object."""

    @property
    def started_at(self) -> datetime:
        """`started_date_time` as a datetime with time zone; raises HarFormatError when it is no ISO 8601 date-time."""
        return parse_instant(self.started_date_time)


class Log(HarModel):
    """The log: who wrote it, the pages, the entries."""

    version: str = "1.2"
    creator: Creator = Creator()
    browser: Browser | None = None
    pages: tuple[Page, ...] = ()
    entries: tuple[Entry, ...] = ()
    comment: str | None = None


class Har(HarModel):
    """A whole HAR document."""

    log: Log


def _writable(value: Any) -> Any:
    """Return a copy of a JSON-like value that any JSON writer can write as UTF-8."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {_writable(name): _writable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value

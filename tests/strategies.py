"""Hypothesis strategies for HAR documents, of the shapes the models allow: any text, any number, any foreign field."""

from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from otel_har.har.models import (
    Browser,
    Cache,
    CacheState,
    Content,
    Cookie,
    Creator,
    Entry,
    Har,
    HarModel,
    Header,
    Log,
    Page,
    PageTimings,
    PostData,
    PostParameter,
    QueryParameter,
    Request,
    Response,
    Timings,
)

_Model = TypeVar("_Model", bound=HarModel)

texts = st.text(st.characters(codec="utf-8"), max_size=12)
"""Any text that UTF-8 can write."""

integers = st.integers(-1, 1 << 70)
milliseconds = st.integers(-1, 10_000) | st.floats(-1, 1e9, allow_nan=False)
instants = st.datetimes(timezones=st.timezones()).map(lambda instant: instant.isoformat())

json_values = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value, nested ones with null in them too."""

present_values = json_values.filter(lambda value: value is not None)
"""Any value a member may have: a member that is null counts as missing."""


def foreign_members(model: type[HarModel]) -> SearchStrategy[dict[str, Any]]:
    """Members that the model does not declare, custom fields and others."""
    declared = {name for key, field in model.model_fields.items() for name in (key, field.alias)}
    names = (texts.map("_".__add__) | texts).filter(lambda name: name not in declared)
    return st.dictionaries(names, present_values, max_size=2)


def _parts(model: type[_Model], **members: SearchStrategy[Any]) -> SearchStrategy[_Model]:
    """Instances with any of the members given or left out, and any foreign ones."""
    required = {name: members.pop(name) for name in list(members) if model.model_fields[name].is_required()}
    declared = st.fixed_dictionaries(required, optional=members)
    return st.builds(lambda ours, foreign: model.model_validate({**ours, **foreign}), declared, foreign_members(model))


def _tuples(elements: SearchStrategy[Any]) -> SearchStrategy[tuple[Any, ...]]:
    return st.lists(elements, max_size=2).map(tuple)


_products = {"name": texts, "version": texts, "comment": texts}
creators = _parts(Creator, **_products)
browsers = _parts(Browser, **_products)

_pairs = {"name": texts, "value": texts, "comment": texts}
headers = _parts(Header, **_pairs)
query_parameters = _parts(QueryParameter, **_pairs)
post_parameters = _parts(PostParameter, **_pairs, file_name=texts, content_type=texts)
cookies = _parts(
    Cookie,
    **_pairs,
    path=texts,
    domain=texts,
    expires=instants,
    http_only=st.booleans(),
    secure=st.booleans(),
    same_site=texts,
)

pages = _parts(
    Page,
    started_date_time=instants,
    id=texts,
    title=texts,
    page_timings=_parts(PageTimings, on_content_load=milliseconds, on_load=milliseconds),
    comment=texts,
)

post_data = _parts(
    PostData,
    mime_type=texts,
    text=texts,
    params=_tuples(post_parameters),
    encoding=texts,
    body_state=present_values,
)

requests = _parts(
    Request,
    method=texts,
    url=texts,
    http_version=texts,
    cookies=_tuples(cookies),
    headers=_tuples(headers),
    query_string=_tuples(query_parameters),
    post_data=post_data,
    headers_size=integers,
    body_size=integers,
)

contents = _parts(
    Content,
    size=integers,
    compression=integers,
    mime_type=texts,
    text=texts,
    encoding=texts,
    body_state=present_values,
)

responses = _parts(
    Response,
    status=st.integers(0, 999),
    status_text=texts,
    http_version=texts,
    cookies=_tuples(cookies),
    headers=_tuples(headers),
    content=contents,
    redirect_url=texts,
    headers_size=integers,
    body_size=integers,
    transfer_size=present_values,
    error=present_values,
)

_cache_states = _parts(CacheState, expires=texts, last_access=texts, e_tag=texts, hit_count=integers)
caches = _parts(Cache, before_request=_cache_states, after_request=_cache_states)

timings = _parts(
    Timings,
    blocked=milliseconds,
    dns=milliseconds,
    connect=milliseconds,
    ssl=milliseconds,
    send=milliseconds,
    wait=milliseconds,
    receive=milliseconds,
)

entries = _parts(
    Entry,
    pageref=texts,
    started_date_time=instants,
    time=milliseconds,
    request=requests,
    response=responses,
    cache=caches,
    timings=timings,
    server_ip_address=st.ip_addresses().map(str),
    connection=texts,
    comment=texts,
    connection_id=present_values,
    resource_type=present_values,
    server_port=present_values,
    initiator=present_values,
    web_socket_messages=present_values,
    otel=present_values,
)

logs = _parts(
    Log,
    version=texts,
    creator=creators,
    browser=browsers,
    pages=_tuples(pages),
    entries=_tuples(entries),
    comment=texts,
)

hars = _parts(Har, log=logs)

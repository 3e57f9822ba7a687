"""Compressed streams that follow each other."""

from __future__ import annotations

import zlib

import pytest

from otel_har.mapping.inflating import MAX_STREAMS, SLICE_BYTES, Inflater, StreamDecoder

ENDED = b"\x03\x00"  # a deflate stream of nothing (RFC 1951): one final block


def _raw() -> StreamDecoder:
    return zlib.decompressobj(-15)


class _Sliced(bytes):
    """Bytes that note what is taken of them."""

    def __init__(self, *_: object) -> None:
        self.taken: list[int] = []

    def __getitem__(self, key: object) -> bytes:  # type: ignore[override] # slices alone are taken here
        assert isinstance(key, slice)
        part = super().__getitem__(key)
        self.taken.append(len(part))
        return part


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize("size", [1, 7, 100, 10_000_000])
def test_streams_in_pieces_of_any_size(size: int) -> None:
    """Where a piece of the data ends does not matter."""
    texts = [b"one", b"", bytes(range(256)) * 100, b"four"]
    data = b"".join(map(_deflated, texts))
    inflater = Inflater(_raw)
    pieces = [
        piece for start in range(0, len(data), size) for piece in inflater.pieces(data[start : start + size], 100_000)
    ]
    assert b"".join(texts) == b"".join(pieces)
    assert (4, True, False) == (inflater.ended, inflater.at_end, inflater.full)


@pytest.mark.parametrize("streams", [ENDED * 50_000, _deflated(b"x") * 20_000, _deflated(bytes(10_000_000))])
def test_zlib_is_given_little_at_a_time(streams: bytes) -> None:
    """What zlib copies at the end of a stream is a slice at most, not all that stands behind it."""
    data = _Sliced(streams)
    inflater = Inflater(_raw)
    for _ in inflater.pieces(data, 100_000_000):
        pass
    assert inflater.at_end
    assert SLICE_BYTES >= max(data.taken)
    assert inflater.ended + len(streams) / SLICE_BYTES + 1 >= len(data.taken)


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_streams_is_bounded(more: int) -> None:
    """A stream more than the most is not read."""
    inflater = Inflater(_raw)
    assert MAX_STREAMS == sum(1 for _ in inflater.pieces(ENDED * (MAX_STREAMS + more), 1))
    assert (MAX_STREAMS, bool(more), not more) == (inflater.ended, inflater.full, inflater.at_end)


def test_the_room_is_bounded() -> None:
    """No more is decoded than there is room for, of one stream or of many."""
    bomb = _deflated(bytes(10_000_000))
    assert 1000 == sum(map(len, Inflater(_raw).pieces(bomb, 1000)))
    assert 1000 == sum(map(len, Inflater(_raw).pieces(_deflated(bytes(300)) * 10, 1000)))

"""Sealed files: what was written comes back whole, or not at all."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hayat_fhir.errors import Unavailable
from hayat_fhir.security.sealing import Sealed, key_of, new_salt, unsealed

_SECRET = b"s" * 32


def _sealed(path: Path, *parts: bytes) -> Sealed:
    salt = new_salt()
    sealed = Sealed(path, key_of(_SECRET, salt), salt)
    for part in parts:
        sealed.write(part)
    sealed.close()
    return sealed


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 150_000), max_size=4))
def test_what_is_sealed_comes_back(tmp_path: Path, sizes: list[int]) -> None:
    """Whatever the sizes of the parts; size and digest are of the plain text, which is not in the file."""
    path = tmp_path / "file"
    path.unlink(missing_ok=True)
    parts = [bytes([number + 65]) * size for number, size in enumerate(sizes)]
    sealed = _sealed(path, *parts)
    text = b"".join(parts)
    assert b"".join(unsealed(path, _SECRET)) == text
    assert (sealed.size, sealed.digest) == (len(text), b64encode(sha1(text, usedforsecurity=False).digest()).decode())
    assert b"A" * 32 not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_was_touched_is_refused(tmp_path: Path) -> None:
    """A changed bit, a chunk less, an end cut off, another site's secret."""
    path = tmp_path / "file"
    _sealed(path, b"x" * 200_000)
    whole = path.read_bytes()
    second = 24 + 4 + 64 * 1024 + 16
    damaged = {
        "bit": whole[:-1] + bytes([whole[-1] ^ 1]),
        "end": whole[:-40],
        "last chunk": whole[: 24 + 3 * (4 + 64 * 1024 + 16)],
        "first chunk": whole[:24] + whole[second:],
        "magic": b"X" + whole[1:],
    }
    for name, content in damaged.items():
        path.write_bytes(content)
        with pytest.raises(Unavailable):
            list(unsealed(path, _SECRET))
        assert name
    path.write_bytes(whole)
    with pytest.raises(Unavailable):
        list(unsealed(path, b"t" * 32))
    with pytest.raises(Unavailable):
        list(unsealed(tmp_path / "missing", _SECRET))

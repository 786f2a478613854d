"""Tags of the DICOM JSON model, by keyword and back. PS3.6, PS3.18 F.2."""

from __future__ import annotations

from functools import lru_cache

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword


@lru_cache(maxsize=4096)
def keyword_of(tag: str) -> str:
    """The keyword of a tag such as ``00100020``; empty for a private or unknown one."""
    return keyword_for_tag(int(tag, 16))


@lru_cache(maxsize=4096)
def tag_of(keyword: str) -> str:
    """The tag of a keyword.

    Raises:
        KeyError: There is none.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{tag:08X}"


@lru_cache(maxsize=4096)
def vr_of(keyword: str) -> str:
    """The VR of a keyword.

    Raises:
        KeyError: There is none.
    """
    return dictionary_VR(keyword)


@lru_cache(maxsize=4096)
def has_several_values(keyword: str) -> bool:
    """Whether an attribute may have more than one value.

    Raises:
        KeyError: There is no such keyword.
    """
    return dictionary_VM(keyword) != "1"

"""Documents are gathered for a page in the batches that MongoDB sends: a page is bounded by bytes, too."""

from __future__ import annotations

from typing import Any

import bson

from hayat_fhir.store.database import CODEC_OPTIONS
from hayat_fhir.store.documents import Document
from hayat_fhir.store.faults import answered

_PAGE_BYTES = 32 * 2**20


async def gather(cursor: Any, documents: list[Document]) -> bool:  # noqa: ANN401 - a raw batch cursor is of no public type
    """Add what the cursor holds to ``documents``; False where it holds more than fits into a page.

    Raises:
        Unavailable: MongoDB does not answer.
    """
    size = 0
    with answered():
        async for batch in cursor:
            size += len(batch)
            documents += bson.decode_all(batch, CODEC_OPTIONS)
            if size > _PAGE_BYTES:
                await cursor.close()
                return False
    return True

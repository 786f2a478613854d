"""The frontend's types of ``/api/v1``, made of the server's own OpenAPI: ``make types`` writes them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hayat_fhir.api_v1.openapi import description
from hayat_fhir.definitions import load
from hayat_fhir.frontend.build import write_types
from hayat_fhir.mapping_files import compiled_mappings

CHECKED_IN = Path(__file__).parents[2] / "hayat_fhir" / "frontend" / "src" / "api-v1.ts"
"""Where the frontend has them."""


def generate() -> str:
    """The types of the routes as they are now; neither the site's address nor its version is in them."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "openapi.json"), Path(folder, "api-v1.ts")
        source.write_text(json.dumps(_answered(description(compiled_mappings(load()).documents, "", "1"))))
        write_types(source, target)
        return target.read_text(encoding="utf-8")


def _answered(openapi: dict[str, Any]) -> dict[str, Any]:
    """Without the refusals, which are the same everywhere and are read as one error."""
    for path in openapi["paths"].values():
        for method in path.keys() - {"parameters"}:
            answers = path[method]["responses"]
            path[method]["responses"] = {status: answers[status] for status in answers if status.startswith("2")}
    return openapi


if __name__ == "__main__":
    CHECKED_IN.write_text(generate(), encoding="utf-8")

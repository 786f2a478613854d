"""The tables of R4 and what a bad file does to the start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hayat_fhir.definitions import Definitions, load
from hayat_fhir.errors import ConfigurationError

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def loaded() -> Definitions:
    """The definitions of the checkout."""
    return load()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the definition files that a test may spoil."""
    for folder in ("conformance", "mappings"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder)
    return tmp_path


def test_tables_of_r4(loaded: Definitions) -> None:
    """The whole of R4 is there: 146 concrete types, their parameters, compartments, bindings and elements."""
    assert len(loaded.resource_types) == 146
    assert len(loaded.search_parameters) > 1700
    assert loaded.compartments["Observation"] == ("subject", "performer")
    assert loaded.bindings["Patient.gender"] == {"male", "female", "other", "unknown"}
    assert (
        "http://terminology.hl7.org/CodeSystem/condition-clinical|active"
        in (loaded.bindings["Condition.clinicalStatus"])
    )
    assert loaded.elements["Observation.status"] == "1..1 code"
    assert loaded.elements["Patient.id"] == "0..1 id"
    assert "dicom/imaging_study" in loaded.mappings


def test_tables_agree(loaded: Definitions) -> None:
    """What one table names stands in the other: bound elements, types, parameters of the compartment."""
    parameters = {(row["base"], row["code"]) for row in loaded.search_parameters}
    assert set(loaded.bindings) <= set(loaded.elements)
    assert {path.partition(".")[0] for path in loaded.elements} >= loaded.resource_types
    assert {base for base, _ in parameters} - {"Resource"} <= loaded.resource_types
    assert {(type, code) for type, codes in loaded.compartments.items() for code in codes} <= parameters


def test_types_of_elements_are_known(loaded: Definitions) -> None:
    """Every type that an element names has elements itself or is a primitive, and every ``#path`` is there."""
    from hayat_fhir.fhir.primitives import CHECKS

    parents = {path.rpartition(".")[0] for path in loaded.elements}
    for row in loaded.elements.values():
        for type in row.partition(" ")[2].split("|"):
            assert type in CHECKS or type.startswith("http:") or type.removeprefix("#") in parents


def test_loads_from_a_folder(root: Path, loaded: Definitions) -> None:
    """A copy elsewhere reads the same."""
    assert load(root) == loaded


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("conformance/r4/elements.json", None, "elements.json"),
        ("conformance/r4/elements.json", "{", "elements.json"),
        ("conformance/r4/elements.json", "[]", "elements.json"),
        ("conformance/r4/elements.json", '{"Patient.x": "many things"}', "Patient.x"),
        ("conformance/r4/elements.json", '{"Patient.x": 1}', "Patient.x"),
        ("conformance/r4/required-bindings.json", '{"Patient.x": "a"}', "Patient.x"),
        ("conformance/r4/required-bindings.json", '{"Patient.x": [1]}', "Patient.x"),
        ("conformance/r4/patient-compartment.json", '{"Basic": null}', "Basic"),
        ("conformance/r4/patient-compartment.json", '{"Basic": []}', "Basic"),
        ("conformance/r4/search-parameters.json", '[{"base": "Basic", "code": "x"}]', "0"),
        ("conformance/r4/resource-types.json", '["Basic", 2]', "1"),
        ("conformance/capability.json", "x", "capability.json"),
        ("conformance/dicom.json", "\udcff", "dicom.json"),
        ("mappings/dicom/imaging_study.toml", "= 1", "imaging_study.toml"),
    ],
)
def test_a_bad_file_stops_the_start(root: Path, file: str, content: str | None, named: str) -> None:
    """The message names the file, and the row where there is one."""
    if content is None:
        (root / file).unlink()
    else:
        (root / file).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError) as caught:
        load(root)
    assert file.rpartition("/")[2] in str(caught.value)
    assert named in str(caught.value)

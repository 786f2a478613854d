"""What is packed and what it needs: the wheel, the lock files, the licence, and the import rules."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[1]
_PROJECT: dict[str, Any] = tomllib.loads((_ROOT / "pyproject.toml").read_text())
_FORBIDDEN_IMPORTS = [
    ("hayat_fhir.fhir", "asyncio", "The pure folders neither wait"),
    ("hayat_fhir.search", "hayat_fhir.store.records", "The pure folders neither wait"),
    ("hayat_fhir.dicom", "socket", "The pure folders neither wait"),
    ("hayat_fhir.mapping", "hayat_fhir.search.entries", "The pure folders search, mapping and dicom"),
    ("hayat_fhir.security", "hayat_fhir.store.grants", "security imports neither"),
    ("hayat_fhir.services", "hayat_fhir.dimse.sender", "services import no door"),
    ("hayat_fhir.services", "httpx", "services import no protocol library"),
    ("hayat_fhir.services", "pymongo", "services import no protocol library"),
    ("hayat_fhir.store", "hayat_fhir.services.interactions", "store imports neither"),
    ("hayat_fhir.rest", "hayat_fhir.dicomweb.door", "A door does not import another door"),
    ("hayat_fhir.services", "hayat_fhir.settings", "Only the composition root"),
    ("hayat_fhir.rest", "pymongo", "Only store speaks to MongoDB"),
    ("hayat_fhir.security", "bson", "Only store speaks to MongoDB"),
    ("hayat_fhir.services", "fhir.resources", "Only fhir knows fhir.resources"),
    ("hayat_fhir.store", "pydicom", "Only dicom and the DICOM doors"),
    ("hayat_fhir.dicomweb", "pynetdicom", "Only dimse knows pynetdicom"),
    ("hayat_fhir.rest", "socketio", "Only realtime knows"),
    ("hayat_fhir.rest", "joserfc", "Only security knows"),
]
"""Importing package, what it must not import, and the beginning of the contract's name."""


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "250", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


def test_each_import_rule_can_fail(tmp_path: Path) -> None:
    """A forbidden import planted for each contract is found and named; without them all contracts are kept."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "dist", "src")
    shutil.copytree(_ROOT / "hayat_fhir", tmp_path / "hayat_fhir", ignore=ignored)
    shutil.copy(_ROOT / "pyproject.toml", tmp_path)
    clean = _lint_imports(tmp_path)
    assert clean.returncode == 0, clean.stdout
    for number, (package, imported, _) in enumerate(_FORBIDDEN_IMPORTS):
        planted = tmp_path.joinpath(*package.split("."), f"planted_{number}.py")
        planted.write_text(f"import {imported}\n")
    broken = _lint_imports(tmp_path)
    assert broken.returncode == 1
    for number, (package, imported, contract) in enumerate(_FORBIDDEN_IMPORTS):
        assert re.search(rf"^{re.escape(contract)}.* BROKEN", broken.stdout, re.MULTILINE), contract
        target = imported if imported.startswith("hayat_fhir") else imported.split(".")[0]
        assert f"{package}.planted_{number} -> {target}" in broken.stdout, (package, imported)


def test_every_folder_is_bound_by_a_contract() -> None:
    """A new folder of the package must be named in the import rules."""
    folders = {path.parent.name for path in (_ROOT / "hayat_fhir").glob("*/__init__.py")}
    named = set(re.findall(r"hayat_fhir\.(\w+)", str(_PROJECT["tool"]["importlinter"])))
    assert folders <= named


def test_lint_refuses_a_reader_of_the_environment(tmp_path: Path) -> None:
    """Ruff finds ``os.environ`` and pickle in any file of the package but settings.py."""
    (tmp_path / "planted.py").write_text('"""Planted."""\n\nimport os\nimport pickle\n\nprint(os.environ, pickle)\n')
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(_ROOT / "pyproject.toml")]
    found = subprocess.run([*ruff, "planted.py"], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.count("TID251") >= 2


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built as a release is."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=_ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_carries_its_definitions(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """All tables and mappings are inside, the generator is not, and without a checkout they are found and sound."""
    names = set(wheel.namelist())
    for folder in ("conformance", "mappings"):
        for path in (_ROOT / folder).rglob("*"):
            if path.suffix in {".json", ".toml"}:
                assert f"hayat_fhir/_data/{path.relative_to(_ROOT).as_posix()}" in names
    assert not any(name.endswith("generate.py") or "__pycache__" in name for name in names)
    assert not any(name.startswith("tests") for name in names)
    wheel.extractall(tmp_path)
    checked = subprocess.run(
        [sys.executable, "-P", "-m", "hayat_fhir", "check"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert checked.stdout == "settings, definitions and mappings are sound\n", checked.stderr


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    """Command, licence and version."""
    [information] = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "hayat = hayat_fhir.__main__:cli" in wheel.read(f"{information}/entry_points.txt").decode()
    assert wheel.read(f"{information}/licenses/LICENSE") == (_ROOT / "LICENSE").read_bytes()
    metadata = wheel.read(f"{information}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert {"embedded", "dev"} <= set(re.findall(r"^Provides-Extra: (\S+)", metadata, re.MULTILINE))


def _locked(name: str) -> dict[str, str]:
    """The pinned versions of a lock file."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (_ROOT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in lines}


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ()), ("requirements-dev.lock", ("embedded", "dev"))]
)
def test_lock_files_satisfy_the_project(lock: str, extras: tuple[str, ...]) -> None:
    """Every direct requirement is pinned to a version that it allows."""
    project = _PROJECT["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    locked = _locked(lock)
    for requirement in map(Requirement, wanted):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {lock}: make lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: {version} in {lock}"


def test_lock_files_agree_and_are_checked_by_hash() -> None:
    """What a site runs with is what is tested; each pin has hashes; no registry or path of a machine is named."""
    runtime, development = _locked("requirements.lock"), _locked("requirements-dev.lock")
    assert runtime.items() <= development.items()
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (_ROOT / name).read_text()
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text
        for pin in re.split(r"\n(?=\S)", text):
            assert pin.startswith("#") or "--hash=sha256:" in pin, pin

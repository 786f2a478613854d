"""The demonstration: a diagnosis and its images travel from Hospital A to Hospital B, on one machine.

Two complete sites with their own databases, ports and keys; everything goes through the doors that a hospital
would use: ``hayat`` commands, FHIR over HTTP, DICOM over its port.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hayat_fhir.demonstration_site import DemonstrationFailed, Site, free_port
from hayat_fhir.dimse.demonstration import Pushed, data_set_digest, push_examples

_NATIONAL = "urn:oid:2.16.840.1.113883.4.330.792"
_BIRTH_DATE = "1980-05-17"
_CONCLUSION = "Small nodule in the right lower lobe, unchanged over two years; no follow-up needed."
_PATIENCE = 60.0
_PICTURE_WIDTH = 110


class Demonstration:
    """The story, step by step; a step that does not hold raises DemonstrationFailed."""

    def __init__(self, folder: Path) -> None:
        self.a = Site("Hospital A", "HOSPITAL_A", folder / "hospital-a")
        self.b = Site("Hospital B", "HOSPITAL_B", folder / "hospital-b")
        self._national_id = f"{secrets.randbelow(10**11):011d}"
        self._images: list[Pushed] = []
        self._hospital_b = ""
        self._at_a = ""
        self._at_b = ""

    @property
    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Titles and actions, in order."""
        return [
            ("Two hospitals start", self._start),
            ("They register each other, a PACS and their doctors", self._introduce),
            ("One patient is registered at both", self._register),
            ("The PACS of Hospital A pushes a CT and an MR study", self._push_images),
            ("A doctor of Hospital A writes the diagnosis", self._write_report),
            ("Hospital A shares the history with Hospital B", self._share),
            ("Everything has arrived at Hospital B", self._arrived),
        ]

    def stop(self) -> None:
        """End both sites."""
        self.a.stop()
        self.b.stop()

    def _start(self) -> None:
        self.a.start()
        self.b.start()
        self.a.wait_until_ready()
        self.b.wait_until_ready()

    def _introduce(self) -> None:
        self._hospital_b = self.a.add_partner(self.b)
        self.b.add_partner(self.a)
        self.a.hayat(
            *("partner", "add", "--name", "PACS of Hospital A", "--ae-title", "DEMO_PACS"),
            *("--host", "127.0.0.1", "--port", str(free_port())),
        )
        for site in (self.a, self.b):
            site.add_account("doctor")
            site.add_account("staff")

    def _register(self) -> None:
        self._at_a = self._register_at(self.a, "A-4711")
        self._at_b = self._register_at(self.b, "B-0815")

    def _register_at(self, site: Site, number: str) -> str:
        patient = {
            "resourceType": "Patient",
            "identifier": [
                {"system": f"{site.url}/identifier/patient", "value": number},
                {"system": _NATIONAL, "value": self._national_id},
            ],
            "name": [{"family": "Demo", "given": ["Patient"]}],
            "gender": "female",
            "birthDate": _BIRTH_DATE,
        }
        with site.client("staff") as client:
            return str(_answer(client.post("/Patient", content=json.dumps(patient)))["id"])

    def _push_images(self) -> None:
        self._images = push_examples(
            "127.0.0.1",
            self.a.dicom_port,
            self.a.ae_title,
            "DEMO_PACS",
            "A-4711",
            "Demo^Patient",
            _BIRTH_DATE.replace("-", ""),
        )
        with self.a.client("doctor") as client:
            _until(
                lambda: len(_found(client, f"/ImagingStudy?patient={self._at_a}")) == len(self._images),
                "the imaging studies did not appear at Hospital A",
            )

    def _write_report(self) -> None:
        with self.a.client("doctor") as client:
            studies = _found(client, f"/ImagingStudy?patient={self._at_a}")
            report = {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "18748-4"}], "text": "Imaging report"},
                "subject": {"reference": f"Patient/{self._at_a}"},
                "effectiveDateTime": "2026-11-20T09:30:00+03:00",
                "imagingStudy": [{"reference": f"ImagingStudy/{study['id']}"} for study in studies],
                "conclusion": _CONCLUSION,
            }
            _answer(client.post("/DiagnosticReport", content=json.dumps(report)))

    def _share(self) -> None:
        self.a.hayat("share", "--patient", self._at_a, "--with", self._hospital_b, "--wait")

    def _arrived(self) -> None:
        with self.b.client("doctor") as client:
            _until(lambda: self._available(client) == len(self._images), "the images did not appear at Hospital B")
            report = self._report(client)
            studies = {study["id"] for study in _found(client, f"/ImagingStudy?patient={self._at_b}")}
            shown = {reference["reference"].split("/")[1] for reference in report["imagingStudy"]}
            if shown != studies or report["conclusion"] != _CONCLUSION:
                raise DemonstrationFailed("the diagnosis at Hospital B is not bound to its images")
            _until(
                lambda: all(self._verified(client, id) for id in studies),
                "what Hospital B has is not what Hospital A has vouched for",
            )
            for image in self._images:
                if self._digest_at_b(client, image) != image.sha256:
                    raise DemonstrationFailed("an image at Hospital B is not the one pushed at Hospital A")

    def _verified(self, client: httpx.Client, study: str) -> bool:
        """Whether all of a study is as Hospital A has signed it."""
        answer = _answer(client.get(f"/ImagingStudy/{study}/$verify"))
        return bool(answer["parameter"][0]["valueBoolean"])

    def _available(self, client: httpx.Client) -> int:
        studies = _found(client, f"/ImagingStudy?patient={self._at_b}")
        return sum(study["status"] == "available" for study in studies)

    def _report(self, client: httpx.Client) -> dict[str, Any]:
        reports = _found(client, f"/DiagnosticReport?patient={self._at_b}")
        if len(reports) != 1:
            raise DemonstrationFailed(f"Hospital B has {len(reports)} diagnoses instead of one")
        return reports[0]

    def _digest_at_b(self, client: httpx.Client, image: Pushed) -> str:
        path = f"/dicomweb/studies/{image.study}/series/{image.series}/instances/{image.instance}"
        answer = client.get(f"{self.b.url}{path}", headers={"Accept": "application/dicom"})
        if answer.status_code != httpx.codes.OK:
            raise DemonstrationFailed(f"Hospital B answered {answer.status_code} for an image")
        return data_set_digest(answer.content)

    def show(self, console: Console) -> None:
        """Print what a doctor at Hospital B sees now."""
        with self.b.client("doctor") as client:
            everything = _entries(_answer(client.get(f"/Patient/{self._at_b}/$everything")))
            report = self._report(client)
            console.print(_history_table(everything, f"{self.a.url}/"))
            console.print(Panel(report["conclusion"], title="The diagnosis, as Hospital B reads it", expand=False))
            console.print(_image_table([(image, self._digest_at_b(client, image)) for image in self._images]))

    def invite(self, console: Console) -> None:
        """Print URLs and commands to try."""
        token = self.b.token("doctor")
        console.print(f"Hospital A  [bold]{self.a.url}/fhir[/]   DICOM {self.a.ae_title}@127.0.0.1:{self.a.dicom_port}")
        console.print(f"Hospital B  [bold]{self.b.url}/fhir[/]   DICOM {self.b.ae_title}@127.0.0.1:{self.b.dicom_port}")
        console.print("A doctor's token for Hospital B (good for five minutes), and a request to try:\n")
        console.print(f"TOKEN={token}", soft_wrap=True, highlight=False)
        console.print(
            f'curl -H "Authorization: Bearer $TOKEN" {self.b.url}/fhir/Patient/{self._at_b}/\\$everything\n',
            soft_wrap=True,
            highlight=False,
        )


def run(*, stay: bool, picture: Path | None = None) -> None:
    """Run the demonstration; with ``stay`` keep both sites up until Ctrl-C, with ``picture`` save what it shows as SVG.

    Raises:
        DemonstrationFailed: A step did not hold.
    """
    console = Console(record=picture is not None, width=_PICTURE_WIDTH if picture else None)
    folder = Path(tempfile.mkdtemp(prefix="hayat-demo-"))
    demonstration = Demonstration(folder)
    try:
        _run_steps(demonstration, console)
        demonstration.show(console)
        if picture is not None:
            picture.write_text(_without_fonts(console.export_svg(title="make demo")))
        if stay:
            demonstration.invite(console)
            _stay(console)
    finally:
        demonstration.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _run_steps(demonstration: Demonstration, console: Console) -> None:
    columns = (SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), BarColumn(12))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        for title, step in demonstration.steps:
            task = progress.add_task(title, total=None)
            step()
            progress.update(task, total=1, completed=1)


def _stay(console: Console) -> None:
    console.print("Both hospitals stay up; [bold]Ctrl-C[/] ends them.")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("Ending both hospitals.")


def _history_table(resources: list[dict[str, Any]], hospital_a: str) -> Table:
    table = Table(title="What Hospital B sees: Patient/$everything", title_justify="left")
    table.add_column("Resource")
    table.add_column("What it says")
    table.add_column("Where it comes from")
    for resource in resources:
        source = resource.get("meta", {}).get("source", "")
        origin = "[bold cyan]Hospital A[/]" if source.startswith(hospital_a) else "Hospital B"
        table.add_row(resource["resourceType"], _said(resource), origin)
    return table


def _said(resource: dict[str, Any]) -> str:
    """One line about a resource, for people."""
    match resource["resourceType"]:
        case "Patient":
            return ", ".join(identifier["value"] for identifier in resource["identifier"])
        case "ImagingStudy":
            modalities = "/".join(coding["code"] for coding in resource.get("modality", ()))
            return f"{modalities}, {resource.get('numberOfInstances', 0)} objects, {resource['status']}"
        case "DiagnosticReport":
            return f"{resource['code'].get('text', '')}, {resource['status']}"
        case "DocumentReference":
            kinds = resource.get("type", {}).get("coding", ())
            return str(resource.get("description") or next((kind.get("display") for kind in kinds), "document"))
        case "Provenance":
            who = resource["agent"][0]["who"].get("display", "a partner")
            return f"signed by {who}: digests of it all" if "signature" in resource else f"received from {who}"
        case _:
            return str(resource.get("name", resource.get("status", "")))


def _image_table(images: list[tuple[Pushed, str]]) -> Table:
    table = Table(title="The images, SHA-256 of the data set", title_justify="left")
    for heading in ("", "pushed at Hospital A", "retrieved from Hospital B", "the same"):
        table.add_column(heading)
    for image, digest in images:
        same = "[green]yes[/]" if digest == image.sha256 else "[red]NO[/]"
        table.add_row(image.modality, f"{image.sha256[:24]}…", f"{digest[:24]}…", same)
    return table


def _without_fonts(svg: str) -> str:
    """The picture without fonts from other hosts: it is shown with a monospaced font of the reader's."""
    return re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)


def _answer(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise DemonstrationFailed(f"{response.request.method} {response.request.url.path}: {response.status_code}")
    return dict(response.json())


def _entries(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle.get("entry", ())]


def _found(client: httpx.Client, url: str) -> list[dict[str, Any]]:
    return _entries(_answer(client.get(url)))


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise DemonstrationFailed(otherwise)
        time.sleep(0.2)

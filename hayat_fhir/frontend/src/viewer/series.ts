/** The series of a patient that can be drawn: where their images are, and what stands over them. */
import type { ImagingStudy, ImagingStudySeries, Patient } from "fhir/r4";
import { byMoment, idOf, origins, read, searchAll } from "../fhir";

export interface Stack {
  key: string;
  label: string;
  modality: string;
  number: number | undefined;
  /** The ImagingStudy's id, what it is called, and which hospital it came from. */
  study: string;
  title: string;
  source: string | undefined;
  date: string;
  /** The DICOMweb path of the series. */
  path: string;
  /** Cornerstone's names of the images, in the order of their instance numbers. */
  images: string[];
}

const NO_PICTURES = new Set(["SR", "KO", "PR", "SEG", "RTSTRUCT", "RTPLAN", "DOC"]);

export function stackOf(study: ImagingStudy, series: ImagingStudySeries, origin: string, source?: string): Stack {
  const uid = study.identifier?.find((one) => one.system === "urn:dicom:uid")?.value?.replace("urn:oid:", "") ?? "";
  const instances = [...(series.instance ?? [])].sort((a, b) => (a.number ?? 0) - (b.number ?? 0));
  const path = `/dicomweb/studies/${uid}/series/${series.uid}`;
  return {
    key: series.uid,
    label: series.description ?? series.modality.code ?? "",
    modality: series.modality.code ?? "",
    number: series.number,
    study: study.id ?? "",
    title: study.description ?? "",
    source,
    date: series.started ?? study.started ?? "",
    path,
    images: instances.map((instance) => `wadouri:${origin}${path}/instances/${instance.uid}`),
  };
}

export interface Images {
  study: ImagingStudy;
  patient: Patient;
  /** Those of the study first, then those of the patient's other studies, the latest first. */
  stacks: Stack[];
}

export async function load(id: string, signal: AbortSignal): Promise<Images> {
  const study = await read<ImagingStudy>(`ImagingStudy/${id}`, signal);
  const person = idOf(study.subject);
  const [patient, all, known] = await Promise.all([read<Patient>(`Patient/${person}`, signal), searchAll<ImagingStudy>("ImagingStudy", { patient: person }, signal), origins(person, signal)]);
  const ordered = [study, ...all.filter((one) => one.id !== id).sort((a, b) => byMoment(b.started, a.started))];
  const stacks = ordered.flatMap((one) =>
    (one.series ?? []).filter((series) => !NO_PICTURES.has(series.modality.code ?? "")).map((series) => stackOf(one, series, location.origin, known.get(`ImagingStudy/${one.id ?? ""}`)?.name)),
  );
  return { study, patient, stacks };
}

/** What one would lay beside a series: the latest of another study and the same modality, else another study, else another series. */
export function prior(stacks: Stack[], shown: Stack): Stack | undefined {
  const elsewhere = stacks.filter((one) => one.study !== shown.study);
  return elsewhere.find((one) => one.modality === shown.modality) ?? elsewhere[0] ?? stacks.find((one) => one.key !== shown.key);
}

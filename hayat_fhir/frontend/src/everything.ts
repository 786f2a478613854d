/** All that is known of a patient: `Patient/$everything`, page by page. */
import type { Bundle, BundleEntry, FhirResource } from "fhir/r4";
import { byMoment, ownPath } from "./fhir";
import { json } from "./server";

export async function everything(patient: string, signal?: AbortSignal): Promise<BundleEntry[]> {
  const entries: BundleEntry[] = [];
  let path: string | undefined = `/fhir/Patient/${patient}/$everything`;
  while (path) {
    const found: Bundle = await json<Bundle>(path, { signal });
    entries.push(...(found.entry ?? []));
    const next: string | undefined = found.link?.find((link) => link.relation === "next")?.url;
    path = next && ownPath(next);
  }
  return entries;
}

/** The resources of one type, those with the latest date first. */
export function ofType<T extends FhirResource>(entries: BundleEntry[], type: T["resourceType"], date: (resource: T) => string | undefined): T[] {
  const found = entries.flatMap(({ resource }) => (resource?.resourceType === type ? [resource as T] : []));
  return found.sort((a, b) => byMoment(date(b), date(a)));
}

/** Save it as one FHIR Bundle in a file. */
export async function saveEverything(patient: string): Promise<void> {
  const entry = (await everything(patient)).map(({ fullUrl, resource }) => ({ fullUrl, resource }));
  const bundle: Bundle = { resourceType: "Bundle", type: "collection", entry };
  saveFile(new Blob([JSON.stringify(bundle, null, 2)], { type: "application/fhir+json" }), "hayat-record.json");
}

/** Hand the reader a file: it is saved, and never opened as a page of this site. */
export function saveFile(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  URL.revokeObjectURL(url);
}

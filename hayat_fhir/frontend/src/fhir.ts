import type { AuditEvent, Bundle, CodeableConcept, FhirResource, HumanName, Observation, Parameters as FhirParameters, Reference } from "fhir/r4";
import { json } from "./server";

type Parameters = Record<string, string | number | string[] | undefined>;

export interface Page<T> {
  resources: T[];
  included: FhirResource[];
  total?: number;
  next?: string;
}

/** One page of a search; `next` is the path of the page after it. */
export async function search<T extends FhirResource>(type: T["resourceType"], parameters: Parameters, signal?: AbortSignal): Promise<Page<T>> {
  const query = new URLSearchParams();
  for (const [name, given] of Object.entries(parameters)) for (const value of [given].flat()) if (value !== undefined && value !== "") query.append(name, String(value));
  return page<T>(`/fhir/${type}?${query.toString()}`, signal);
}

export async function page<T extends FhirResource>(path: string, signal?: AbortSignal): Promise<Page<T>> {
  const bundle = await json<Bundle>(path, { signal });
  const next = bundle.link?.find((link) => link.relation === "next")?.url;
  const entries = bundle.entry ?? [];
  return {
    resources: entries.filter((entry) => entry.search?.mode !== "include").map((entry) => entry.resource as T),
    included: entries.filter((entry) => entry.search?.mode === "include").map((entry) => entry.resource as FhirResource),
    total: bundle.total,
    next: next && ownPath(next),
  };
}

/** All resources of a search, up to a bound that no patient reaches in practice. */
export async function searchAll<T extends FhirResource>(type: T["resourceType"], parameters: Parameters, signal?: AbortSignal): Promise<T[]> {
  let found = await search<T>(type, { _count: 200, ...parameters }, signal);
  const all = found.resources;
  for (let pages = 1; found.next && pages < 25; pages += 1) {
    found = await page<T>(found.next, signal);
    all.push(...found.resources);
  }
  return all;
}

export function read<T extends FhirResource>(reference: string, signal?: AbortSignal): Promise<T> {
  return json<T>(`/fhir/${reference}`, { signal });
}

/** Links of the server are absolute under the URL it is known by: only their path counts here. */
export function ownPath(url: string): string {
  const { pathname, search: query } = new URL(url, location.origin);
  return pathname + query;
}

export function personName(names: HumanName[] | undefined): string {
  const name = names?.find((one) => one.use === "official") ?? names?.[0];
  return name?.text ?? [...(name?.prefix ?? []), ...(name?.given ?? []), name?.family ?? ""].join(" ").trim();
}

export function conceptText(concept: CodeableConcept | undefined): string {
  const coding = concept?.coding?.[0];
  return concept?.text ?? coding?.display ?? coding?.code ?? "";
}

/** What an observation says, with its unit; of several parts a line each. */
export function valueText(one: Observation): string {
  if (one.valueString) return one.valueString;
  if (one.valueQuantity) return `${String(one.valueQuantity.value ?? "")} ${one.valueQuantity.unit ?? ""}`;
  if (one.valueCodeableConcept) return conceptText(one.valueCodeableConcept);
  if (one.component) return one.component.map((part) => `${conceptText(part.code)}: ${String(part.valueQuantity?.value ?? part.valueString ?? "")} ${part.valueQuantity?.unit ?? ""}`).join("\n");
  return one.valueBoolean !== undefined ? String(one.valueBoolean) : String(one.valueInteger ?? one.valueDateTime ?? "");
}

/** Orders FHIR dates and dateTimes by their moments, the earliest first and the missing before it; their offsets may differ. */
export function byMoment(a: string | undefined, b: string | undefined): number {
  const [one, other] = [a, b].map((value) => (value ? Date.parse(value) : -Number.MAX_VALUE)) as [number, number];
  return one - other;
}

export function idOf(reference: Reference | undefined): string {
  return reference?.reference?.split("/_history")[0]?.split("/").pop() ?? "";
}

/** The hospital that something came from. */
export interface Origin {
  /** The id of its Organization. */
  hospital: string;
  name: string;
  /** Whether the server knows that it is still what that hospital sent over its own connection. */
  verified: boolean;
}

/** Which hospital each resource came from, by `Type/id`, as the server knows it. What is not in it is this site's own. */
export async function origins(patient: string, signal?: AbortSignal): Promise<Map<string, Origin>> {
  const told = await json<FhirParameters>(`/fhir/Patient/${patient}/$origins`, { signal });
  return new Map(
    (told.parameter ?? []).flatMap(({ part = [] }) => {
      const one = (name: string) => part.find((found) => found.name === name);
      const target = one("target")?.valueReference?.reference;
      const hospital = one("organization")?.valueReference;
      return target ? [[target, { hospital: idOf(hospital), name: hospital?.display || (hospital?.reference ?? ""), verified: one("verified")?.valueBoolean === true }] as const] : [];
    }),
  );
}

/** Who asked, in an AuditEvent: the reference, the name where the reader may know it, and the role. */
export function requestor(event: AuditEvent, included: FhirResource[]): { reference: string; name: string; role: string } {
  const agent = event.agent.find((one) => one.requestor) ?? event.agent[0];
  const reference = agent?.who?.reference ?? "";
  const resource = included.find((one) => `${one.resourceType}/${one.id ?? ""}` === reference);
  const named = resource && "name" in resource ? resource.name : undefined;
  const found = Array.isArray(named) ? personName(named as HumanName[]) : typeof named === "string" ? named : "";
  return { reference, name: found || (agent?.name ?? agent?.who?.display ?? ""), role: agent?.role?.[0]?.coding?.[0]?.code ?? "" };
}

/** Studies that have arrived, as `/fhir/$arrivals` tells of them. */
import type { Parameters } from "fhir/r4";

export interface Arrival {
  study: string;
  patient: string;
  /** `Organization/id` of the partner that sent it; empty where it is none. */
  sender: string;
  modalities: string[];
  instances: number;
  bytes: number;
  first: string;
  last: string;
}

export function arrivals({ parameter = [] }: Parameters): Arrival[] {
  return parameter.map(({ part = [] }) => {
    const one = (name: string) => part.find((found) => found.name === name);
    return {
      study: one("study")?.valueUri?.replace("urn:oid:", "") ?? "",
      patient: one("patient")?.valueReference?.reference ?? "",
      sender: one("sender")?.valueReference?.reference ?? "",
      modalities: part.flatMap(({ name, valueCode }) => (name === "modality" && valueCode ? [valueCode] : [])),
      instances: one("instances")?.valueInteger ?? 0,
      bytes: Number(one("bytes")?.valueDecimal ?? 0),
      first: one("first")?.valueInstant ?? "",
      last: one("last")?.valueInstant ?? "",
    };
  });
}

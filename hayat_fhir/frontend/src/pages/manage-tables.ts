/** What the staff look after: how each kind is searched, listed and written. */
import type { HealthcareService, Organization, Patient, Practitioner, PractitionerRole } from "fhir/r4";
import { conceptText, idOf, page, type Page, personName, search } from "../fhir";
import { type Entities, photoPath } from "../legacy";

export type Kind = Exclude<keyof Entities, "medicalRecord">;

/** A line of a list; `cells` by the names of the columns. */
export interface Row {
  id: string;
  name: string;
  photo?: string;
  disabled: boolean;
  /** Whether the number of the identity card is the patient's own word so far. */
  claimed?: boolean;
  cells: Record<string, string>;
}

export interface Rows {
  rows: Row[];
  total: number | undefined;
  next: string | undefined;
}

interface Column {
  name: string;
  /** The search parameter that sorts by it. */
  sort?: string;
  wide?: boolean;
  date?: boolean;
}

export interface FieldOf {
  name: string;
  type?: "text" | "email" | "password" | "tel" | "date" | "number" | "file" | "gender" | "specialization" | "long";
  optional?: boolean;
  /** Only asked for when somebody is new. */
  initial?: boolean;
}

interface Table {
  /** Whether an entry is somebody who signs in. */
  person: boolean;
  columns: Column[];
  fields: FieldOf[];
}

const person: FieldOf[] = [
  { name: "name" },
  { name: "email", type: "email" },
  { name: "password", type: "password", initial: true },
  { name: "phone", type: "tel" },
  { name: "gender", type: "gender" },
];

export const tables: Record<Kind, Table> = {
  patient: {
    person: true,
    columns: [{ name: "name", sort: "name" }, { name: "birthdate", sort: "birthdate", wide: true, date: true }, { name: "phone", wide: true }, { name: "email", sort: "email", wide: true }],
    fields: [...person, { name: "birthdate", type: "date" }, { name: "IDcard", type: "number" }, { name: "currentAddress", optional: true }],
  },
  doctor: {
    person: true,
    columns: [{ name: "name", sort: "name" }, { name: "specialization", wide: true }, { name: "hospital", wide: true }, { name: "email", sort: "email", wide: true }],
    fields: [
      ...person,
      { name: "specialization", type: "specialization" },
      { name: "specializationDetail" },
      { name: "hospital" },
      { name: "background", type: "long" },
      { name: "photo", type: "file", optional: true },
    ],
  },
  staff: {
    person: true,
    columns: [{ name: "name", sort: "name" }, { name: "position", wide: true }, { name: "phone", wide: true }, { name: "email", sort: "email", wide: true }],
    fields: [...person, { name: "position" }, { name: "salary", type: "number" }],
  },
  specialization: {
    person: false,
    columns: [{ name: "specialization", sort: "name" }, { name: "detail", wide: true }],
    fields: [{ name: "specialization" }, { name: "detail", type: "long" }],
  },
};

const SIZE = 20;
const ROLE = "urn:hayat:role";
const CLAIMED_ID_CARD = "urn:hayat:id-card:claimed";

/** One page: of those whose name contains this, in this order; or the page at the address of a search's `next`. */
export async function rows(kind: Kind, name: string, sort: string, next: string | undefined, signal: AbortSignal): Promise<Rows> {
  const asked = { "name:contains": name, _sort: sort, _count: SIZE, _total: "accurate" };
  if (kind === "patient") {
    const found = next ? await page<Patient>(next, signal) : await search<Patient>("Patient", asked, signal);
    return shown(found, (one) => ({ ...personOf(one), claimed: isClaimed(one), cells: { ...contacts(one), birthdate: one.birthDate ?? "" } }));
  }
  if (kind === "specialization") {
    const found = next ? await page<HealthcareService>(next, signal) : await search<HealthcareService>("HealthcareService", asked, signal);
    return shown(found, (one) => {
      const specialization = one.name ?? conceptText(one.specialty?.[0]);
      return { id: one.id ?? "", name: specialization, disabled: false, cells: { specialization, detail: one.comment ?? "" } };
    });
  }
  const found = next ? await page<Practitioner>(next, signal) : await search<Practitioner>("Practitioner", { ...asked, _tag: `${ROLE}|${kind}` }, signal);
  const roles = await rolesOf(found.resources, signal);
  return shown(found, (one) => ({ ...personOf(one), photo: photoPath(one.photo?.[0]?.url), cells: { ...contacts(one), ...roles.get(one.id ?? "") } }));
}

function shown<T extends Patient | Practitioner | HealthcareService>(found: Page<T>, row: (resource: T) => Row): Rows {
  return { rows: found.resources.map(row), total: found.total, next: found.next };
}

function personOf({ id = "", name, active }: Patient | Practitioner): Row {
  return { id, name: personName(name), disabled: active === false, cells: {} };
}

function isClaimed({ identifier }: Patient): boolean {
  return identifier?.some(({ system }) => system === CLAIMED_ID_CARD) ?? false;
}

function contacts({ name, telecom }: Patient | Practitioner): Record<string, string> {
  const of = (system: string) => telecom?.find((one) => one.system === system)?.value ?? "";
  return { name: personName(name), email: of("email"), phone: of("phone") };
}

/** What each of these people does, where, and in which specialization. */
async function rolesOf(people: Practitioner[], signal: AbortSignal): Promise<Map<string, Record<string, string>>> {
  if (people.length === 0) return new Map();
  const practitioner = people.map((one) => `Practitioner/${one.id ?? ""}`).join(",");
  const found = await search<PractitionerRole>("PractitionerRole", { practitioner, _count: 200, _include: ["PractitionerRole:service", "PractitionerRole:organization"] }, signal);
  const names = new Map(found.included.map((one) => [one.id ?? "", (one as HealthcareService | Organization).name ?? ""]));
  const cells = (role: PractitionerRole) => ({
    position: conceptText(role.code?.[0]),
    hospital: names.get(idOf(role.organization)) ?? "",
    specialization: names.get(idOf(role.healthcareService?.[0])) ?? "",
  });
  return new Map(found.resources.map((role) => [idOf(role.practitioner), cells(role)]));
}

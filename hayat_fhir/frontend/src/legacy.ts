/** The routes of `/api/v1`: people, specializations and medical records in their short form. */
import type { components, paths } from "./api-v1";
import { json } from "./server";
import type { Role } from "./session";

type Schemas = components["schemas"];
type Kind = "patient" | "doctor" | "staff" | "specialization" | "medicalRecord";
type Demanded<T> = { [P in keyof T]-?: undefined extends T[P] ? never : P }[keyof T];

/** A document as it is read: what is demanded of a new one is there. */
type Document<K extends Kind> = Schemas[K] & Required<Pick<Schemas[K], keyof Schemas[K] & Demanded<Schemas[`${K}New`]>>>;

export type Patient = Document<"patient">;
export type Specialization = Document<"specialization">;
export type Doctor = Document<"doctor">;
export type Staff = Document<"staff">;
export type MedicalRecord = Document<"medicalRecord">;
export type Entities = { [K in Kind]: Document<K> };

type SignedIn = paths["/patient/login"]["post"]["responses"][200]["content"]["application/json"];
type WhoAmI = paths["/auth"]["get"]["responses"][200]["content"]["application/json"];

interface Answer<T> {
  data: T;
  result?: number;
}

export async function list<K extends keyof Entities>(kind: K, query: Record<string, string | number> = {}, signal?: AbortSignal): Promise<Entities[K][]> {
  const parameters = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  const answer = await json<Answer<Entities[K][]>>(`/api/v1/${kind}?${parameters.toString()}`, { signal });
  return answer.data;
}

export async function get<K extends keyof Entities>(kind: K, id: string, signal?: AbortSignal): Promise<Entities[K]> {
  return (await json<Answer<Entities[K]>>(`/api/v1/${kind}/${id}`, { signal })).data;
}

/** Creates (no id) or changes; the id. A doctor's form is multipart, for it may carry a photo. */
export async function save<K extends keyof Entities>(kind: K, id: string | null, fields: Record<string, unknown>): Promise<string> {
  const { data } = await (id ? send(kind, "PUT", `/api/v1/${kind}/${id}`, fields) : send(kind, "POST", `/api/v1/${kind}/`, fields));
  return id ?? data.id;
}

/** The staff change somebody else's entry. */
export async function correct(kind: "patient" | "doctor" | "staff", id: string, fields: Record<string, unknown>): Promise<void> {
  await send(kind, "PUT", `/api/v1/${kind}/${id}/correction`, fields);
}

/** The staff shut somebody out, or let them in again. */
export async function setAccess(kind: "patient" | "doctor" | "staff", id: string, disabled: boolean): Promise<void> {
  await json(`/api/v1/${kind}/${id}/access`, { method: "PUT", json: { disabled } });
}

function send(kind: keyof Entities, method: "PUT" | "POST", path: string, fields: Record<string, unknown>): Promise<Answer<{ id: string }>> {
  if (kind !== "doctor") return json(path, { method, json: fields });
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof File) {
      if (value.size > 0) form.append(name, value);
    } else form.append(name, String(value));
  }
  return json(path, { method, form });
}

export async function remove(kind: keyof Entities, id: string): Promise<void> {
  await json(`/api/v1/${kind}/${id}`, { method: "DELETE" });
}

/** Signs in: the token, and whose it is. */
export async function signIn(role: Role, email: string, password: string, code?: string): Promise<{ token: string; id: string; name: string }> {
  const body = code ? { email, password, code } : { email, password };
  const { token } = await json<SignedIn>(`/api/v1/${role}/login`, { method: "POST", json: body, anonymous: true });
  const headers = { authorization: `Bearer ${token}` };
  const who = await json<WhoAmI>("/api/v1/auth/", { headers, anonymous: true });
  return { token, id: who.id, name: who.name || email };
}

/** The address of a picture on this site, under whatever name the site was reached. */
export function photoPath(photo: string | undefined): string | undefined {
  return photo ? new URL(photo, location.origin).pathname : undefined;
}

export async function register(fields: Record<string, unknown>): Promise<void> {
  await json("/api/v1/patient/register", { method: "POST", json: fields, anonymous: true });
}

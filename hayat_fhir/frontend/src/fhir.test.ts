import type { AuditEvent, Bundle, FhirResource, Parameters } from "fhir/r4";
import { expect, test, vi } from "vitest";
import { byMoment, conceptText, idOf, personName, origins, requestor, searchAll } from "./fhir";

/** A server that answers these Bundles, one after the other; the paths that it was asked for. */
function server(...bundles: (Partial<Bundle<FhirResource>> | Parameters)[]): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    const bundle = bundles.shift() ?? {};
    return Promise.resolve(new Response(JSON.stringify({ resourceType: "Bundle", type: "searchset", ...bundle })));
  });
  return asked;
}

test("a name is the official one, as text or of its parts", () => {
  expect(personName([{ use: "nickname", text: "H" }, { use: "official", prefix: ["Dr."], given: ["Huda", "A."], family: "Karim" }])).toBe("Dr. Huda A. Karim");
  expect(personName([{ text: "Huda Karim", family: "Other" }])).toBe("Huda Karim");
  expect(personName(undefined)).toBe("");
});

test("a concept is its text, or else its first coding", () => {
  expect(conceptText({ text: "Flu", coding: [{ code: "1", display: "Influenza" }] })).toBe("Flu");
  expect(conceptText({ coding: [{ code: "1", display: "Influenza" }] })).toBe("Influenza");
  expect(conceptText({ coding: [{ code: "1" }] })).toBe("1");
  expect(conceptText(undefined)).toBe("");
});

test("dates go by their moments, whatever their offsets", () => {
  const sorted = ["2025", "2026-03-02T07:00:00Z", "2026-03-02T09:00:00.5+03:00", "2026-03-02", "2025-12-31T23:30:00-02:00"].toSorted(byMoment);
  expect(sorted).toEqual(["2025", "2025-12-31T23:30:00-02:00", "2026-03-02", "2026-03-02T09:00:00.5+03:00", "2026-03-02T07:00:00Z"]);
  expect(byMoment(undefined, "2025")).toBeLessThan(0);
  expect(byMoment("2025", "")).toBeGreaterThan(0);
});

test("the id of a reference is without its type, base and version", () => {
  expect(idOf({ reference: "Patient/p1" })).toBe("p1");
  expect(idOf({ reference: "urn:x:/fhir/Patient/p1/_history/3" })).toBe("p1");
  expect(idOf(undefined)).toBe("");
});

test("all pages of a search are read, under the address of this page", async () => {
  const next = [{ relation: "next", url: "//inside/fhir/Condition?_cursor=x" }];
  const asked = server(
    { link: next, entry: [{ resource: { resourceType: "Condition", id: "1", subject: {} } }] },
    { entry: [{ resource: { resourceType: "Condition", id: "2", subject: {} } }, { search: { mode: "include" }, resource: { resourceType: "Patient", id: "p" } }] },
  );
  const found = await searchAll("Condition", { patient: "p", code: undefined });
  expect(found.map((one) => one.id)).toEqual(["1", "2"]);
  expect(asked).toEqual(["/fhir/Condition?_count=200&patient=p", "/fhir/Condition?_cursor=x"]);
});

test("where something came from is what the server says, verified or not", async () => {
  const origin = (id: string, verified: boolean) => ({
    name: "origin",
    part: [
      { name: "target", valueReference: { reference: `DiagnosticReport/${id}` } },
      { name: "organization", valueReference: { reference: "Organization/o", display: "City Clinic" } },
      { name: "verified", valueBoolean: verified },
    ],
  });
  server({ resourceType: "Parameters", parameter: [origin("r", true), origin("s", false)] });
  expect([...(await origins("p"))]).toEqual([
    ["DiagnosticReport/r", { hospital: "o", name: "City Clinic", verified: true }],
    ["DiagnosticReport/s", { hospital: "o", name: "City Clinic", verified: false }],
  ]);
});

test("who asked is named by what was included, or else by the entry itself", () => {
  const event = { agent: [{ requestor: true, who: { reference: "Practitioner/d" }, name: "entry", role: [{ coding: [{ code: "doctor" }] }] }] } as unknown as AuditEvent;
  const included = [{ resourceType: "Practitioner" as const, id: "d", name: [{ text: "Dr. Layla" }] }];
  expect(requestor(event, included)).toEqual({ reference: "Practitioner/d", name: "Dr. Layla", role: "doctor" });
  expect(requestor(event, []).name).toBe("entry");
});

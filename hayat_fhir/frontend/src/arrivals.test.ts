import { expect, test } from "vitest";
import { arrivals } from "./arrivals";

test("an arrival is taken apart, with all its modalities, and without a sender where it has none", () => {
  const part = [
    { name: "study", valueUri: "urn:oid:1.2.3" },
    { name: "patient", valueReference: { reference: "Patient/p" } },
    { name: "modality", valueCode: "CT" },
    { name: "modality", valueCode: "PT" },
    { name: "instances", valueInteger: 7 },
    { name: "bytes", valueDecimal: 4096 },
    { name: "first", valueInstant: "2026-01-01T10:00:00Z" },
    { name: "last", valueInstant: "2026-01-01T10:00:05Z" },
  ];
  expect(arrivals({ resourceType: "Parameters", parameter: [{ name: "arrival", part }] })).toEqual([
    { study: "1.2.3", patient: "Patient/p", sender: "", modalities: ["CT", "PT"], instances: 7, bytes: 4096, first: "2026-01-01T10:00:00Z", last: "2026-01-01T10:00:05Z" },
  ]);
});

import { expect, test } from "vitest";
import type { Notice } from "../live";
import type { Role } from "../session";
import { target } from "./notices";

const cases: [Notice["kind"], string, Role, string | undefined][] = [
  ["study-arrived", "ImagingStudy/s", "doctor", "/app/studies/s"],
  ["study-arrived", "ImagingStudy/s", "staff", "/app/inbox"],
  ["report-signed", "DiagnosticReport/r", "patient", "/app/reports/r"],
  ["share-delivered", "Patient/p", "doctor", "/app/patients/p"],
  ["share-delivered", "Patient/p", "patient", "/app/sharing"],
  ["share-delivered", "Patient/p", "staff", "/app/outbox"],
  ["glass-broken", "AuditEvent/a", "patient", "/app/access"],
  ["glass-broken", "AuditEvent/a", "staff", "/app/audit"],
  ["glass-broken", "AuditEvent/a", "doctor", undefined],
];

test.for(cases)("%s of %s leads a %s to %s", ([kind, reference, role, path]) => {
  expect(target({ kind, reference, patient: "Patient/p", at: "2026-01-01T10:00:00Z" }, role)).toBe(path);
});

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import type { FhirResource } from "fhir/r4";
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { MemoryRouter } from "react-router";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { en } from "../locales/en";
import { Timeline } from "./timeline";

const subject = { reference: "Patient/p" };
const report = (id: string, date: string, text: string): FhirResource => ({
  resourceType: "DiagnosticReport",
  id,
  status: "final",
  code: { text: "Note" },
  subject,
  effectiveDateTime: date,
  conclusionCode: [{ text }],
});
const recorded: FhirResource[] = [
  report("r1", "2023-05-01T10:00:00Z", "Migraine"),
  report("r2", "2025-03-01", "Pneumonia"),
  { resourceType: "ImagingStudy", id: "s1", status: "available", subject, started: "2025-06-01T08:00:00Z", description: "Chest" },
];
const known = {
  resourceType: "Parameters",
  parameter: [
    {
      name: "origin",
      part: [
        { name: "target", valueReference: { reference: "DiagnosticReport/r1" } },
        { name: "organization", valueReference: { reference: "Organization/o", display: "City Clinic" } },
        { name: "verified", valueBoolean: true },
      ],
    },
  ],
};
const patience = { timeout: 60_000 };

function show(resources: FhirResource[], own = true, asked = () => new Response("{}", { status: 202 })) {
  vi.stubGlobal("fetch", (path: string) => {
    if (path.endsWith("/$fetch")) return Promise.resolve(asked());
    const entry = resources.filter((one) => path.startsWith(`/fhir/${one.resourceType}?`)).map((resource) => ({ resource }));
    if (path.endsWith("/$origins")) return Promise.resolve(new Response(JSON.stringify(known)));
    return Promise.resolve(new Response(JSON.stringify({ resourceType: "Bundle", type: "searchset", entry })));
  });
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <MemoryRouter>
        <Timeline patient="p" own={own} />
      </MemoryRouter>
    </QueryClientProvider>,
  );
}

beforeEach(() => i18next.use(initReactI18next).init({ lng: "en", keySeparator: false, nsSeparator: false, resources: { en: { translation: en } } }));
afterEach(cleanup);

test("entries stand under their years, the latest first", async () => {
  show(recorded);
  await screen.findByText("Pneumonia", {}, patience);
  const years = screen.getAllByRole("region").map((region) => [region.getAttribute("aria-label"), within(region).getAllByRole("link").map((link) => link.textContent)]);
  expect(years).toEqual([
    ["2025", ["Chest", "Pneumonia"]],
    ["2023", ["Migraine"]],
  ]);
  expect(screen.getByRole("link", { name: "Chest" }).getAttribute("href")).toBe("/app/studies/s1");
});

test("one kind alone can be shown", async () => {
  show(recorded);
  await screen.findByText("Pneumonia", {}, patience);
  fireEvent.click(screen.getByRole("button", { name: /^Images/ }));
  expect(screen.getAllByRole("link").map((link) => link.textContent)).toEqual(["Chest"]);
});

test("where there is nothing, it says what will come", async () => {
  show([]);
  expect(await screen.findByText("No entries yet", {}, patience)).toBeDefined();
});

test("what came from another hospital bears its name, and that it is verified", async () => {
  show(recorded);
  await screen.findByText("Pneumonia", {}, patience);
  const [images, pneumonia, migraine] = screen.getAllByRole("article");
  expect(migraine?.textContent).toContain("City ClinicVerified");
  for (const own of [images, pneumonia]) expect(own?.textContent).toContain("This hospital");
});

test.for([
  [202, "ask.asked"],
  [404, "ask.unknown"],
  [503, "ask.down"],
  [500, "error.server"],
] as const)("a doctor asks each hospital that has sent something for what is new: %i", async ([status, text]) => {
  show(recorded, false, () => new Response("{}", { status }));
  fireEvent.click(await screen.findByRole("button", { name: "Ask City Clinic for what is new" }, patience));
  expect(await screen.findByText(i18next.t(text), {}, patience)).toBeDefined();
});

test("patients are not offered to ask", async () => {
  show(recorded);
  await screen.findByText("Pneumonia", {}, patience);
  expect(screen.queryByRole("button", { name: /City Clinic/ })).toBeNull();
});

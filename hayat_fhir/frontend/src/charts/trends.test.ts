import type { Observation } from "fhir/r4";
import { expect, test } from "vitest";
import { trends } from "./trends";

const measured = (code: string, date: string, value: number, unit: string, more: Partial<Observation> = {}): Observation => ({
  resourceType: "Observation",
  status: "final",
  code: { text: code },
  effectiveDateTime: date,
  valueQuantity: { value, unit },
  ...more,
});

test("values of a code stand on one line, the earliest first", () => {
  const [weight] = trends([measured("Weight", "2026-02-01", 71, "kg"), measured("Weight", "2025-02-01", 74, "kg")]);
  expect(weight).toMatchObject({ name: "Weight", unit: "kg", lines: ["Weight"] });
  expect(weight?.points.map(({ values }) => values.Weight)).toEqual([74, 71]);
});

test("what is measured together is drawn together", () => {
  const component = [{ code: { text: "Diastolic" }, valueQuantity: { value: 90, unit: "mmHg" } }, { code: { text: "Systolic" }, valueQuantity: { value: 140, unit: "mmHg" } }];
  const all = trends([{ ...measured("Blood pressure", "2026-02-01", 0, ""), valueQuantity: undefined, component }]);
  expect(all).toHaveLength(1);
  expect(all[0]).toMatchObject({ name: "Blood pressure", lines: ["Systolic", "Diastolic"], points: [{ values: { Systolic: 140, Diastolic: 90 } }] });
});

test("a value in another unit is another trend, and annotations are no unit", () => {
  expect(trends([measured("Glucose", "2026-01-01", 5, "mmol/L"), measured("Glucose", "2026-01-02", 90, "mg/dL")]).map(({ unit }) => unit)).toEqual(["mmol/L", "mg/dL"]);
  expect(trends([measured("Score", "2026-01-01", 3, "{score}")])[0]?.unit).toBe("");
});

test("what was entered in error is not drawn; the latest range counts", () => {
  const range = (low: number, high: number) => ({ referenceRange: [{ low: { value: low }, high: { value: high } }] });
  const [pulse, ...others] = trends([measured("Pulse", "2026-01-01", 70, "/min", range(50, 90)), measured("Pulse", "2026-02-01", 72, "/min", range(60, 100)), measured("Pulse", "2026-03-01", 700, "/min", { status: "entered-in-error" })]);
  expect(others).toEqual([]);
  expect(pulse).toMatchObject({ low: 60, high: 100 });
  expect(pulse?.points).toHaveLength(2);
});

/** Observations over time: one trend for each code and unit; what is measured together is drawn together. */
import type { CodeableConcept, Observation, Quantity } from "fhir/r4";
import { byMoment, conceptText } from "../fhir";

export interface Point {
  at: number;
  date: string;
  /** By the names of the trend's lines. */
  values: Record<string, number>;
}

export interface Trend {
  key: string;
  name: string;
  unit: string;
  /** The highest first. */
  lines: string[];
  points: Point[];
  /** What is normal, where the latest observation says so. */
  low: number | undefined;
  high: number | undefined;
}

/** The trends, those with the most values first. */
export function trends(observations: Observation[]): Trend[] {
  const found = new Map<string, Trend>();
  for (const one of [...observations].sort((a, b) => byMoment(dateOf(a), dateOf(b)))) {
    const date = dateOf(one);
    if (!date || one.status === "entered-in-error" || one.status === "cancelled") continue;
    const parts = [{ code: one.code, valueQuantity: one.valueQuantity }, ...(one.component ?? [])].flatMap(({ code, valueQuantity }) =>
      valueQuantity?.value === undefined ? [] : [{ name: conceptText(code), value: Number(valueQuantity.value), unit: unitOf(valueQuantity) }],
    );
    for (const [unit, together] of Map.groupBy(parts, (part) => part.unit)) {
      const key = `${codeOf(one.code)}|${unit}`;
      const trend = found.get(key) ?? { key, name: conceptText(one.code), unit, lines: [], points: [], low: undefined, high: undefined };
      for (const { name } of together) if (!trend.lines.includes(name)) trend.lines.push(name);
      trend.points.push({ at: Date.parse(date), date, values: Object.fromEntries(together.map(({ name, value }) => [name, value])) });
      const range = one.referenceRange?.[0];
      trend.low = range?.low?.value === undefined ? trend.low : Number(range.low.value);
      trend.high = range?.high?.value === undefined ? trend.high : Number(range.high.value);
      found.set(key, trend);
    }
  }
  for (const one of found.values()) {
    const last = one.points.at(-1)?.values ?? {};
    one.lines.sort((a, b) => (last[b] ?? 0) - (last[a] ?? 0));
  }
  return [...found.values()].sort((a, b) => b.points.length - a.points.length || a.name.localeCompare(b.name));
}

function dateOf(one: Observation): string {
  return one.effectiveDateTime ?? one.effectivePeriod?.start ?? one.issued ?? "";
}

function unitOf(quantity: Quantity): string {
  const unit = quantity.unit ?? quantity.code ?? "";
  return unit.startsWith("{") ? "" : unit;
}

function codeOf(code: CodeableConcept): string {
  return code.coding?.[0]?.code ?? conceptText(code);
}

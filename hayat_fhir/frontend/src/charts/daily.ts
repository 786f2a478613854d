/** Counts by day and kind, as charts draw them. */
import type { Parameters } from "fhir/r4";

export interface Count {
  day: string;
  kind: string;
  count: number;
}

export interface Statistics {
  studies: Count[];
  transfers: Count[];
  consultations: Count[];
  /** Bytes and numbers by name: `disk-total`, `disk-free`, `instances`, `bytes-arrived`. */
  stored: Record<string, number>;
}

export type Subject = "studies" | "transfers" | "consultations";

/** What `/fhir/$statistics` tells. */
export function statistics({ parameter = [] }: Parameters): Statistics {
  const counts = (subject: Subject): Count[] =>
    parameter.flatMap(({ name, part = [] }) => {
      if (name !== subject) return [];
      const one = (wanted: string) => part.find((found) => found.name === wanted);
      return [{ day: one("day")?.valueDate ?? "", kind: one("kind")?.valueCode ?? "", count: one("count")?.valueInteger ?? 0 }];
    });
  const stored = Object.fromEntries(parameter.flatMap(({ name, valueDecimal }) => (valueDecimal === undefined ? [] : [[name, Number(valueDecimal)]])));
  return { studies: counts("studies"), transfers: counts("transfers"), consultations: counts("consultations"), stored };
}

export interface Day {
  day: string;
  total: number;
  kinds: Record<string, number>;
}

/** Every day of the last ones up to `today`, those with nothing too; and the kinds, the commonest first. */
export function daily(counts: Count[], days: number, today: Date): { days: Day[]; kinds: string[] } {
  const last = Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate());
  const all = Array.from({ length: days }, (_, back): Day => ({ day: new Date(last - (days - 1 - back) * 86_400_000).toISOString().slice(0, 10), total: 0, kinds: {} }));
  const byDay = new Map(all.map((one) => [one.day, one]));
  const totals = new Map<string, number>();
  for (const { day, kind, count } of counts) {
    const row = byDay.get(day);
    if (!row) continue;
    row.total += count;
    row.kinds[kind] = (row.kinds[kind] ?? 0) + count;
    totals.set(kind, (totals.get(kind) ?? 0) + count);
  }
  return { days: all, kinds: [...totals].sort(([a, m], [b, n]) => n - m || a.localeCompare(b)).map(([kind]) => kind) };
}

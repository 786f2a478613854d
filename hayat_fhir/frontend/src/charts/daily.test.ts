import { expect, test } from "vitest";
import { daily, statistics } from "./daily";

const noon = new Date("2026-03-02T12:00:00Z");

test("every day has its place, also those on which nothing was", () => {
  const { days, kinds } = daily([{ day: "2026-03-01", kind: "CT", count: 2 }, { day: "2026-03-01", kind: "MR", count: 3 }, { day: "2026-02-28", kind: "CT", count: 2 }], 4, noon);
  expect(days.map(({ day, total }) => [day, total])).toEqual([["2026-02-27", 0], ["2026-02-28", 2], ["2026-03-01", 5], ["2026-03-02", 0]]);
  expect(kinds).toEqual(["CT", "MR"]);
  expect(days[2]?.kinds).toEqual({ CT: 2, MR: 3 });
});

test("what lies before the days that are shown is not counted", () => {
  expect(daily([{ day: "2025-12-31", kind: "CT", count: 9 }], 3, noon)).toMatchObject({ kinds: [] });
});

test("the server's Parameters are taken apart by subject", () => {
  const part = [{ name: "day", valueDate: "2026-03-01" }, { name: "kind", valueCode: "done" }, { name: "count", valueInteger: 4 }];
  const told = statistics({ resourceType: "Parameters", parameter: [{ name: "since", valueDate: "2026-02-01" }, { name: "transfers", part }, { name: "disk-free", valueDecimal: 12 }] });
  expect(told).toEqual({ studies: [], transfers: [{ day: "2026-03-01", kind: "done", count: 4 }], consultations: [], stored: { "disk-free": 12 } });
});

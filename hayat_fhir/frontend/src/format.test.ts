import { renderHook } from "@testing-library/react";
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { beforeAll, expect, test } from "vitest";
import { age, type Format, useFormat, yearOf } from "./format";

beforeAll(() => i18next.use(initReactI18next).init({ lng: "en-GB", resources: {} }));

async function format(language: string): Promise<Format> {
  await i18next.changeLanguage(language);
  return renderHook(() => useFormat()).result.current;
}

test("a FHIR date of a day, a month or a year stays what it is in every zone", async () => {
  const { date } = await format("en-GB");
  expect(date("2024-02-29")).toBe("29 Feb 2024");
  expect(date("2024-02")).toContain("2024");
  expect(date("2024")).toContain("2024");
});

test("nothing, and what is no date, are shown as they are", async () => {
  const { date, dateTime } = await format("en-GB");
  expect(date(undefined)).toBe("");
  expect(dateTime("soon")).toBe("soon");
});

test("a moment has a time, a day has none", async () => {
  const { dateTime } = await format("en-GB");
  expect(dateTime("2024-02-29T12:00:00Z")).toMatch(/:/);
  expect(dateTime("2024-02-29")).not.toMatch(/:/);
});

test("dates and numbers follow the reader's language", async () => {
  expect((await format("fr")).number(1234.5)).toMatch(/^1\s234,5$/u);
  expect((await format("fr")).date("2024-02-01")).toMatch(/févr/u);
});

test("the year of a moment is the reader's, that of a day is its own", () => {
  const [one, same] = ["2026-01-01T01:00:00+03:00", "2025-12-31T20:00:00-02:00"] as const;
  expect(yearOf(one)).toBe(yearOf(same));
  expect(yearOf("2026-01-01")).toBe("2026");
  expect(yearOf("2026")).toBe("2026");
});

test("age counts whole years, and nothing where no day of birth is known", () => {
  const today = new Date();
  const born = (years: number, days: number) => {
    const day = new Date(today.getFullYear() - years, today.getMonth(), today.getDate() + days);
    return [day.getFullYear(), String(day.getMonth() + 1).padStart(2, "0"), String(day.getDate()).padStart(2, "0")].join("-");
  };
  expect(age(born(30, 0))).toBe(30);
  expect(age(born(30, 1))).toBe(29);
  expect(age(undefined)).toBeNull();
});

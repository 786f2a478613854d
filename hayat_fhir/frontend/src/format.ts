/** Dates in the reader's zone, language and region; a FHIR date of a day, a month or a year stays what it is. */
import { useTranslation } from "react-i18next";

const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"];

export interface Format {
  date: (value: string | undefined) => string;
  dateTime: (value: string | undefined) => string;
  number: (value: number) => string;
  decimal: (value: number) => string;
  percent: (share: number) => string;
  bytes: (count: number) => string;
  /** For the axis of a chart over years. */
  monthOfYear: (moment: Date) => string;
  time: (value: string) => string;
  /** Today, in full. */
  day: (moment: Date) => string;
  /** A day of the year, short: for the axis of a chart. */
  dayMonth: (value: string) => string;
}

export function useFormat(): Format {
  const { language } = useTranslation().i18n;
  const locale = navigator.languages.find((tag) => tag.split("-")[0] === language) ?? language;
  const show = (value: string | undefined, options: Intl.DateTimeFormatOptions): string => {
    if (!value) return "";
    const onlyDay = !value.includes("T");
    const moment = new Date(onlyDay ? `${value}${"-01-01".slice(value.length - 4)}T00:00:00Z` : value);
    if (Number.isNaN(moment.getTime())) return value;
    const shown: Intl.DateTimeFormatOptions = { ...options };
    if (onlyDay) {
      shown.timeZone = "UTC";
      shown.timeStyle = undefined;
    }
    if (value.length < 10) {
      shown.dateStyle = undefined;
      shown.year = "numeric";
      shown.month = value.length === 7 ? "long" : undefined;
    }
    return new Intl.DateTimeFormat(locale, shown).format(moment);
  };
  return {
    date: (value) => show(value, { dateStyle: "medium" }),
    dateTime: (value) => show(value, { dateStyle: "medium", timeStyle: "short" }),
    number: (value) => new Intl.NumberFormat(locale).format(value),
    decimal: (value) => new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(value),
    percent: (share) => new Intl.NumberFormat(locale, { style: "percent" }).format(share),
    bytes: (count) => {
      const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(count, 1)) / 3)));
      const value = count / 1000 ** step;
      return new Intl.NumberFormat(locale, { style: "unit", unit: units[step], unitDisplay: "short", maximumFractionDigits: value < 10 && step > 0 ? 1 : 0 }).format(value);
    },
    monthOfYear: (moment) => new Intl.DateTimeFormat(locale, { year: "numeric", month: "short" }).format(moment),
    time: (value) => show(value, { timeStyle: "short" }),
    day: (moment) => new Intl.DateTimeFormat(locale, { dateStyle: "full" }).format(moment),
    dayMonth: (value) => show(value, { day: "numeric", month: "numeric" }).replace(/\u200f/g, ""),
  };
}

/** The year of a FHIR date, for its reader: what bears a time has that of the reader's zone. */
export function yearOf(value: string): string {
  return value.includes("T") ? String(new Date(value).getFullYear()) : value.slice(0, 4);
}

/** Whole years since a day of birth. */
export function age(birthDate: string | undefined): number | null {
  if (!birthDate) return null;
  const [year = 0, month = 1, day = 1] = birthDate.split("T")[0]?.split("-").map(Number) ?? [];
  const now = new Date();
  const before = now.getMonth() + 1 < month || (now.getMonth() + 1 === month && now.getDate() < day);
  return now.getFullYear() - year - (before ? 1 : 0);
}

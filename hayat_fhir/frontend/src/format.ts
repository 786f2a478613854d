/** Dates in the reader's zone, language and region; a FHIR date of a day, a month or a year stays what it is. */
import { useTranslation } from "react-i18next";

export interface Format {
  date: (value: string | undefined) => string;
  dateTime: (value: string | undefined) => string;
  number: (value: number) => string;
  monthYear: (value: string) => string;
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
    monthYear: (value) => show(value.slice(0, 7).length === 7 ? `${value.slice(0, 7)}-01` : `${value.slice(0, 4)}-01-01`, { year: "numeric", month: "long" }),
  };
}

/** Whole years since a day of birth. */
export function age(birthDate: string | undefined): number | null {
  if (!birthDate) return null;
  const [year = 0, month = 1, day = 1] = birthDate.split("T")[0]?.split("-").map(Number) ?? [];
  const now = new Date();
  const before = now.getMonth() + 1 < month || (now.getMonth() + 1 === month && now.getDate() < day);
  return now.getFullYear() - year - (before ? 1 : 0);
}

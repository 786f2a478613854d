import { expect, test, vi } from "vitest";
import { en } from "./en";

vi.stubGlobal("matchMedia", () => ({ matches: false }));
const { languages } = await import("../preferences");

const files = import.meta.glob<Record<string, unknown>>("./*.ts", { eager: true });
const others = Object.entries(files).flatMap(([path, file]) => {
  const code = /^\.\/(\w+)\.ts$/.exec(path)?.[1];
  return code && code !== "en" ? [[code, file.default as Record<string, string>] as const] : [];
});
const PLURAL = /_(zero|one|two|few|many|other)$/;
const stem = (key: string) => key.replace(PLURAL, "");
const stems = (texts: Record<string, string>) => [...new Set(Object.keys(texts).map(stem))].sort();
const counted = new Set(Object.keys(en).filter((key) => PLURAL.test(key)).map(stem));
const placeholders = (text: string | undefined) => [...new Set(text?.match(/\{\{\w+\}\}/g))].sort();

test("the chooser offers every language that has a file, and no other", () => {
  expect(Object.keys(languages).sort()).toEqual(["en", ...others.map(([code]) => code)].sort());
});

test.for(others)("%s has every text of English, and none that English has not", ([, texts]) => {
  const [known, have] = [stems(en), stems(texts)];
  const missing = known.filter((key) => !have.includes(key));
  expect({ missing, needless: have.filter((key) => !known.includes(key)) }).toEqual({ missing: [], needless: [] });
});

test.for(others)("%s has the plural forms of its language", ([code, texts]) => {
  const forms = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
  const wanted = [...counted].flatMap((key) => forms.map((form) => `${key}_${form}`)).sort();
  expect(Object.keys(texts).filter((key) => PLURAL.test(key)).sort()).toEqual(wanted);
});

test.for(others)("%s says the names and numbers that English says", ([, texts]) => {
  const wrong = Object.entries(texts).filter(([key, text]) => {
    const wanted = placeholders(en[key] ?? en[`${stem(key)}_other`]);
    const said = placeholders(text);
    const few = PLURAL.test(key) && !key.endsWith("_other");
    return few ? said.some((one) => !wanted.includes(one)) : said.join() !== wanted.join();
  });
  expect(wrong).toEqual([]);
});

test.for(others)("%s leaves no text empty", ([, texts]) => {
  expect(Object.entries(texts).filter(([, text]) => !text.trim())).toEqual([]);
});

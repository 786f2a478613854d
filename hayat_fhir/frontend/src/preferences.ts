/** Theme and language: of the session alone, for nothing but the session is kept in browser storage. */
import { useSyncExternalStore } from "react";
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { en } from "./locales/en";

type Texts = Record<string, string>;

/** A language is one file: what is in the folder is offered, under the name that it has for itself. */
const loaders = Object.fromEntries(
  Object.entries(import.meta.glob<{ default: Texts }>(["./locales/*.ts", "!./locales/en.ts", "!./locales/*.test.ts"])).map(([path, load]) => [path.slice("./locales/".length, -".ts".length), load]),
);

function ownName(code: string): string {
  const name = new Intl.DisplayNames([code], { type: "language" }).of(code) ?? code;
  return name.charAt(0).toLocaleUpperCase(code) + name.slice(1);
}

export type Language = string;
export const languages: Record<Language, string> = Object.fromEntries(["en", ...Object.keys(loaders)].map((code) => [code, ownName(code)]));
export type Theme = "light" | "dark";

const listeners = new Set<() => void>();
let theme: Theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

export function setTheme(next: Theme): void {
  theme = next;
  document.documentElement.dataset.theme = next;
  for (const listener of listeners) listener();
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => theme,
  );
}

export async function setLanguage(language: Language): Promise<void> {
  const load = loaders[language];
  if (load && !i18next.hasResourceBundle(language, "translation")) {
    i18next.addResourceBundle(language, "translation", (await load()).default);
  }
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
  document.documentElement.dir = i18next.dir(language);
}

/** Begin with what the browser asks for. */
export async function startPreferences(): Promise<void> {
  await i18next.use(initReactI18next).init({
    resources: { en: { translation: en } },
    lng: "en",
    fallbackLng: "en",
    keySeparator: false,
    nsSeparator: false,
    interpolation: { escapeValue: false },
  });
  setTheme(theme);
  const wanted = navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag !== undefined && tag in languages);
  if (wanted && wanted !== "en") await setLanguage(wanted as Language);
}

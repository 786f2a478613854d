/** Theme and language: of the session alone, for nothing but the session is kept in browser storage. */
import { useSyncExternalStore } from "react";
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { en } from "./locales/en";

export const languages = { en: "English", ar: "العربية" } as const;
export type Language = keyof typeof languages;
export type Theme = "light" | "dark";

const loaders: Record<Exclude<Language, "en">, () => Promise<{ default: Record<string, string> }>> = {
  ar: () => import("./locales/ar"),
};

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
  if (language !== "en" && !i18next.hasResourceBundle(language, "translation")) {
    i18next.addResourceBundle(language, "translation", (await loaders[language]()).default);
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

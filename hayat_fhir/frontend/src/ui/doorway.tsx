import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Brand, Preferences } from "./layout";

/** The frame of the pages that need no session. */
export function Doorway({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <div className="grid min-h-dvh lg:grid-cols-[minmax(24rem,5fr)_7fr]">
      <aside className="relative hidden overflow-hidden bg-[#0b4f57] p-12 text-[#e8f6f3] lg:flex lg:flex-col lg:justify-between">
        <Brand />
        <Journey />
        <div className="max-w-md">
          <p className="text-3xl leading-tight font-semibold text-balance">{t("welcome.title")}</p>
          <p className="mt-4 text-[#c4e6e0]">{t("welcome.text")}</p>
        </div>
      </aside>
      <div className="flex min-w-0 flex-col">
        <header className="flex h-16 items-center justify-between px-4 sm:px-8">
          <span className="lg:invisible">
            <Brand />
          </span>
          <Preferences />
        </header>
        <main id="main" tabIndex={-1} className="mx-auto flex w-full max-w-xl flex-1 flex-col justify-center px-4 pt-4 pb-16 outline-none sm:px-8">
          {children}
        </main>
      </div>
    </div>
  );
}

/** Two hospitals and the line of a life between them. */
function Journey() {
  return (
    <svg viewBox="0 0 420 220" aria-hidden className="pointer-events-none my-8 w-full max-w-lg">
      <path d="M20 150h110l18-52 26 96 20-44h206" fill="none" stroke="#7fd6c6" strokeWidth="3" strokeLinecap="round" strokeLinejoin="round" />
      <g fill="#12686d" stroke="#7fd6c6" strokeWidth="1.500">
        <rect x="36" y="52" width="64" height="80" rx="10" />
        <rect x="300" y="36" width="80" height="96" rx="10" />
      </g>
      <g stroke="#e8f6f3" strokeWidth="4" strokeLinecap="round">
        <path d="M68 74v20M58 84h20" />
        <path d="M340 62v24M328 74h24" />
      </g>
      <circle cx="212" cy="150" r="7" fill="#e8f6f3" />
      <circle cx="212" cy="150" r="15" fill="none" stroke="#e8f6f3" strokeOpacity=".4" />
    </svg>
  );
}

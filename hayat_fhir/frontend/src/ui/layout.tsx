import { Suspense, useEffect, useRef, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useQueryClient } from "@tanstack/react-query";
import { NavLink, Outlet, useLocation } from "react-router";
import clsx from "clsx";
import { Activity, CalendarDays, ClipboardList, Eye, Handshake, HeartPulse, Inbox, Languages, LogOut, Moon, ScrollText, Send, ShieldAlert, ShieldCheck, Stethoscope, Sun, UserCog, UserRound, UsersRound } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import logo from "../logo.svg";
import { type Language, languages, setLanguage, setTheme, useTheme } from "../preferences";
import { type Role, setSession, useSignedIn } from "../session";
import { json } from "../server";
import { Avatar } from "./controls";
import { Availability, Incoming } from "./incoming";
import { NoticeList, Notices } from "./notices";
import { Skeleton } from "./states";

type Item = [path: string, label: string, icon: typeof Eye];

const navigation: Record<Role, Item[]> = {
  patient: [
    ["/app", "nav.history", HeartPulse],
    ["/app/doctors", "nav.doctors", Stethoscope],
    ["/app/sharing", "nav.sharing", ShieldCheck],
    ["/app/access", "nav.access", Eye],
    ["/app/profile", "nav.profile", UserRound],
  ],
  doctor: [
    ["/app", "nav.day", CalendarDays],
    ["/app/patients", "nav.patients", UsersRound],
    ["/app/records", "nav.records", ClipboardList],
    ["/app/profile", "nav.profile", UserRound],
  ],
  staff: [
    ["/app", "nav.overview", Activity],
    ["/app/manage/patient", "nav.patients", UsersRound],
    ["/app/manage/doctor", "nav.doctors", Stethoscope],
    ["/app/manage/staff", "nav.staff", UserCog],
    ["/app/manage/specialization", "nav.specializations", ClipboardList],
    ["/app/inbox", "nav.inbox", Inbox],
    ["/app/quarantine", "nav.quarantine", ShieldAlert],
    ["/app/outbox", "nav.outbox", Send],
    ["/app/partners", "nav.partners", Handshake],
    ["/app/audit", "nav.audit", ScrollText],
    ["/app/profile", "nav.profile", UserRound],
  ],
};

export function Brand() {
  return (
    <span className="flex items-center gap-2.5 text-lg font-semibold tracking-tight">
      <img src={logo} alt="" className="size-9" />
      Hayat
    </span>
  );
}

/** Language and theme, for everybody. */
export function Preferences() {
  const { t, i18n } = useTranslation();
  const theme = useTheme();
  return (
    <div className="flex items-center gap-1">
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger className="flex min-h-11 items-center gap-2 rounded-lg px-3 text-sm text-muted hover:bg-sunken hover:text-ink" aria-label={t("language")}>
          <Languages className="size-5" aria-hidden />
          <span className="max-sm:hidden">{languages[i18n.language as Language]}</span>
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content className="card z-50 min-w-36 p-1.5" sideOffset={6} align="end">
            {Object.entries(languages).map(([code, name]) => (
              <DropdownMenu.Item
                key={code}
                lang={code}
                className="cursor-pointer rounded-lg px-3 py-2 text-sm outline-none data-[highlighted]:bg-sunken"
                onSelect={() => void setLanguage(code as Language)}
              >
                {name}
              </DropdownMenu.Item>
            ))}
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
      <button
        type="button"
        className="grid size-11 place-items-center rounded-lg text-muted hover:bg-sunken hover:text-ink"
        aria-label={t(theme === "dark" ? "theme.light" : "theme.dark")}
        onClick={() => setTheme(theme === "dark" ? "light" : "dark")}
      >
        {theme === "dark" ? <Sun className="size-5" aria-hidden /> : <Moon className="size-5" aria-hidden />}
      </button>
    </div>
  );
}

export function Layout() {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const queries = useQueryClient();
  const items = navigation[signedIn.role];
  const { pathname } = useLocation();
  const bar = useRef<HTMLUListElement>(null);
  useEffect(() => {
    bar.current?.querySelector("[aria-current=page]")?.scrollIntoView({ inline: "center", block: "nearest" });
  }, [pathname]);
  const signOut = async () => {
    await json("/api/v1/auth/logout", { method: "POST" }).catch(() => undefined);
    setSession(null);
    queries.clear();
  };
  return (
    <div className="lg:grid lg:grid-cols-[15.5rem_minmax(0,1fr)] print:block">
      <a href="#main" className="sr-only focus:not-sr-only focus:fixed focus:z-50 focus:m-2 focus:rounded-lg focus:bg-surface focus:p-3">
        {t("skip")}
      </a>
      <nav aria-label={t("nav.main")} className="sticky top-0 z-30 hidden h-dvh flex-col overflow-y-auto border-e border-line bg-surface p-4 lg:flex print:hidden">
        <div className="px-2 pt-1 pb-6">
          <Brand />
        </div>
        <ul className="flex flex-col gap-1">
          {items.map((item) => (
            <NavigationItem key={item[0]} item={item} className="flex-row px-3 text-sm" />
          ))}
        </ul>
        <div className="mt-auto flex items-center gap-3 border-t border-line pt-4">
          <Avatar name={signedIn.name} size="size-9" />
          <div className="min-w-0 flex-1">
            <p className="truncate text-sm font-medium">{signedIn.name}</p>
            <p className="text-xs text-muted">{t(`role.${signedIn.role}`)}</p>
          </div>
          <button type="button" onClick={() => void signOut()} className="grid size-10 place-items-center rounded-lg text-muted hover:bg-sunken hover:text-ink" aria-label={t("signOut")}>
            <LogOut className="size-5 rtl:-scale-x-100" aria-hidden />
          </button>
        </div>
      </nav>
      <div className="min-w-0 pb-24 lg:pb-0">
        <header className="print:hidden sticky top-0 z-20 flex h-16 items-center justify-between border-b border-line bg-canvas/90 px-4 backdrop-blur sm:px-8">
          <div className="lg:hidden">
            <Brand />
          </div>
          <span className="hidden lg:block" />
          <div className="flex items-center">
            <Availability />
            <NoticeList />
            <Preferences />
            <button type="button" onClick={() => void signOut()} className="grid size-11 place-items-center rounded-lg text-muted hover:bg-sunken lg:hidden" aria-label={t("signOut")}>
              <LogOut className="size-5 rtl:-scale-x-100" aria-hidden />
            </button>
          </div>
        </header>
        <main id="main" tabIndex={-1} className="mx-auto w-full max-w-6xl has-data-wide:max-w-[120rem] px-4 py-7 outline-none sm:px-8">
          <Suspense fallback={<Skeleton />}>
            <Outlet />
            <Incoming />
            <Notices />
          </Suspense>
        </main>
      </div>
      <nav aria-label={t("nav.main")} className="print:hidden fixed inset-x-0 bottom-0 z-30 border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] lg:hidden">
        <ul ref={bar} className="flex overflow-x-auto px-1">
          {items.map((item) => (
            <NavigationItem key={item[0]} item={item} className="min-w-[4.75rem] flex-1 flex-col px-1 text-[0.6875rem]" />
          ))}
        </ul>
      </nav>
    </div>
  );
}

function NavigationItem({ item: [path, label, Icon], className }: { item: Item; className: string }) {
  const { t } = useTranslation();
  return (
    <li className="flex-1 lg:flex-none">
      <NavLink
        to={path}
        end={path === "/app"}
        className={({ isActive }) =>
          clsx(
            "flex min-h-11 items-center gap-1 rounded-[0.625rem] py-2 text-center lg:gap-3 lg:text-start",
            className,
            isActive ? "font-semibold text-brand-strong lg:bg-brand-soft" : "text-muted hover:bg-sunken hover:text-ink",
          )
        }
      >
        <Icon className="size-5 shrink-0" aria-hidden />
        {t(label)}
      </NavLink>
    </li>
  );
}

/** A page's heading; it names the document and takes the focus when the page changes. */
export function Heading({ title, children, before }: { title: string; children?: ReactNode; before?: ReactNode }) {
  const { pathname } = useLocation();
  useEffect(() => {
    document.title = `${title} · Hayat`;
  }, [title]);
  useEffect(() => {
    document.getElementById("main")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [pathname]);
  return (
    <div className="mb-6 flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
      <div>
        {before}
        <h1>{title}</h1>
      </div>
      {children && <div className="flex flex-wrap items-center gap-2 print:hidden">{children}</div>}
    </div>
  );
}

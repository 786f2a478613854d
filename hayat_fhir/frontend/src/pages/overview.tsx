import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Bundle, Task } from "fhir/r4";
import clsx from "clsx";
import { Handshake, Inbox, Send, Stethoscope, UsersRound } from "lucide-react";
import { search } from "../fhir";
import { useFormat } from "../format";
import { json } from "../server";
import { Heading } from "../ui/layout";
import { Loaded, Skeleton } from "../ui/states";
import { partners } from "./share-dialog";

const Dashboard = lazy(() => import("../charts/dashboard"));
const ranges = [7, 30, 90] as const;
const MOST = 100;
const REFRESHED = 30_000;

const tiles = [
  { name: "patients", to: "/app/manage/patient", icon: UsersRound },
  { name: "doctors", to: "/app/manage/doctor", icon: Stethoscope },
  { name: "partners", to: "/app/partners", icon: Handshake },
  { name: "quarantine", to: "/app/quarantine", icon: Inbox, urgent: true },
  { name: "failed", to: "/app/outbox", icon: Send, urgent: true },
] as const;

async function figures(signal: AbortSignal): Promise<Record<(typeof tiles)[number]["name"], number>> {
  const count = async (type: "Patient" | "Practitioner", parameters = {}) => (await search(type, { _summary: "count", ...parameters }, signal)).total ?? 0;
  const tasks = async (path: string) => (await json<Bundle<Task>>(`${path}&_count=${String(MOST)}`, { signal })).entry?.length ?? 0;
  const [patients, doctors, known, quarantine, failed] = await Promise.all([
    count("Patient"),
    count("Practitioner", { _tag: "urn:hayat:role|doctor" }),
    partners(signal),
    tasks("/fhir/$quarantine?state=open"),
    tasks("/fhir/$outbox?state=failed"),
  ]);
  return { patients, doctors, partners: known.length, quarantine, failed };
}

/** The staff's first page: what there is, what waits for them, and how the site does. */
export function Overview() {
  const { t } = useTranslation();
  const format = useFormat();
  const [days, setDays] = useState<number>(30);
  const query = useQuery({ queryKey: ["figures"], queryFn: ({ signal }) => figures(signal), refetchInterval: REFRESHED });
  return (
    <>
      <Heading title={t("overview.title")}>
        <div role="group" aria-label={t("dashboard.range")} className="flex gap-1 rounded-xl bg-sunken p-1">
          {ranges.map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={days === one}
              onClick={() => setDays(one)}
              className={clsx("min-h-9 rounded-lg px-3 text-sm", days === one ? "bg-surface font-semibold text-ink shadow-card" : "text-muted hover:text-ink")}
            >
              {t("dashboard.days", { count: one })}
            </button>
          ))}
        </div>
      </Heading>
      <Loaded query={query} rows={1}>
        {(found) => (
          <ul className="mb-6 grid grid-cols-2 gap-4 md:grid-cols-3 xl:grid-cols-5">
            {tiles.map(({ name, to, icon: Icon, ...rest }) => {
              const urgent = "urgent" in rest && found[name] > 0;
              return (
                <li key={name} className={clsx("card relative flex items-center gap-4 p-4 transition-colors has-[a:hover]:border-brand sm:p-5", urgent && "border-warn")}>
                  <span className={clsx("grid size-10 shrink-0 place-items-center rounded-xl", urgent ? "bg-warn-soft text-warn" : "bg-brand-soft text-brand-strong")} aria-hidden>
                    <Icon className="size-5" />
                  </span>
                  <div className="min-w-0">
                    <p className="text-2xl leading-7 font-semibold tabular-nums">
                      {format.number(found[name])}
                      {"urgent" in rest && found[name] === MOST && "+"}
                    </p>
                    <Link to={to} className="block text-sm leading-tight text-muted after:absolute after:inset-0">
                      {t(`overview.${name}`)}
                    </Link>
                  </div>
                </li>
              );
            })}
          </ul>
        )}
      </Loaded>
      <Suspense fallback={<Skeleton rows={4} />}>
        <Dashboard days={days} />
      </Suspense>
    </>
  );
}

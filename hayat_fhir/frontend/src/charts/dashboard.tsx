import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import type { AuditEvent, Parameters } from "fhir/r4";
import { search } from "../fhir";
import { useFormat } from "../format";
import { json } from "../server";
import { Loaded } from "../ui/states";
import { type Count, statistics } from "./daily";
import { StackedDays } from "./stacked-days";

const states = { done: "var(--brand)", received: "var(--chart-3)", running: "var(--chart-2)", waiting: "var(--chart-4)", failed: "var(--danger)", cancelled: "var(--edge)" };
const ends = { ended: "var(--brand)", active: "var(--chart-2)", ringing: "var(--chart-3)", missed: "var(--chart-4)", declined: "var(--chart-5)", cancelled: "var(--edge)" };
const outcomes = { granted: "var(--brand)", refused: "var(--warn)" };
const REFRESHED = 60_000;
const MOST_AUDITED = 14;

/** What was done at this site on each of the last days, by the audit trail: each day is a count of its own. */
async function accesses(days: number, signal: AbortSignal): Promise<Count[]> {
  const today = Date.now();
  const dates = Array.from({ length: days }, (_, back) => new Date(today - back * 86_400_000).toISOString().slice(0, 10));
  const count = async (day: string, kind: string, outcome: string) => ({ day, kind, count: (await search<AuditEvent>("AuditEvent", { date: day, outcome, _summary: "count" }, signal)).total ?? 0 });
  return Promise.all(dates.flatMap((day) => [count(day, "granted", "0"), count(day, "refused", "4,8")]));
}

/** The site in charts: studies, transfers, consultations, storage, accesses. */
export default function Dashboard({ days }: { days: number }) {
  const { t } = useTranslation();
  const audited = Math.min(days, MOST_AUDITED);
  const query = useQuery({
    queryKey: ["statistics", days],
    queryFn: async ({ signal }) => statistics(await json<Parameters>(`/fhir/$statistics?days=${String(days)}`, { signal })),
    refetchInterval: REFRESHED,
    placeholderData: (previous) => previous,
  });
  const trail = useQuery({ queryKey: ["accesses", audited], queryFn: ({ signal }) => accesses(audited, signal), placeholderData: (previous) => previous });
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-5 xl:grid-cols-2">
      <Loaded query={query} rows={4}>
        {({ studies, transfers, consultations, stored }) => (
          <>
            <StackedDays title={t("dashboard.studies")} counts={studies} days={days} label={(kind) => kind} none={t("dashboard.noStudies")} />
            <StackedDays title={t("dashboard.transfers")} counts={transfers} days={days} label={(kind) => t(`dashboard.transfer.${kind}`, { defaultValue: kind })} none={t("dashboard.noTransfers")} tones={states} />
            <StackedDays title={t("dashboard.consultations")} counts={consultations} days={days} label={(kind) => t(`dashboard.consultation.${kind}`, { defaultValue: kind })} none={t("dashboard.noConsultations")} tones={ends} />
            <Storage stored={stored} />
          </>
        )}
      </Loaded>
      <Loaded query={trail} rows={1}>
        {(counts) => (
          <div className="xl:col-span-2">
            <StackedDays title={t("activity.title")} counts={counts} days={audited} label={(kind) => t(kind === "granted" ? "audit.ok" : "audit.refused")} none={t("audit.none")} tones={outcomes} />
          </div>
        )}
      </Loaded>
    </div>
  );
}

function Storage({ stored }: { stored: Record<string, number> }) {
  const { t } = useTranslation();
  const format = useFormat();
  const total = stored["disk-total"] ?? 0;
  const used = total - (stored["disk-free"] ?? 0);
  const share = total > 0 ? used / total : 0;
  const facts: [string, string][] = [
    ["dashboard.used", t("dashboard.of", { used: format.bytes(used), total: format.bytes(total) })],
    ["dashboard.free", format.bytes(stored["disk-free"] ?? 0)],
    ["dashboard.instances", format.number(stored.instances ?? 0)],
    ["dashboard.arrived", format.bytes(stored["bytes-arrived"] ?? 0)],
  ];
  return (
    <figure className="card flex flex-col p-5">
      <figcaption className="mb-4 flex items-baseline justify-between gap-3">
        <h2>{t("dashboard.storage")}</h2>
        <p className="text-2xl font-semibold tabular-nums">{format.percent(share)}</p>
      </figcaption>
      <div role="meter" aria-label={t("dashboard.used")} aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100} className="h-4 overflow-hidden rounded-full bg-sunken">
        <div className={share > 0.9 ? "h-full rounded-full bg-danger" : "h-full rounded-full bg-brand"} style={{ width: `${String(Math.max(share * 100, 1))}%` }} />
      </div>
      {share > 0.9 && <p className="mt-3 rounded-lg bg-danger-soft p-3 text-sm text-danger">{t("dashboard.full")}</p>}
      <dl className="mt-6 grid grid-cols-2 gap-x-6 gap-y-5 text-sm">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt className="text-muted">{t(label)}</dt>
            <dd className="mt-0.5 text-lg font-semibold tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
    </figure>
  );
}

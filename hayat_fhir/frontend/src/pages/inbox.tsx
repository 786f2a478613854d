import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Bundle, Organization, Parameters, Patient, Task } from "fhir/r4";
import { ArrowRight, ScanLine, TriangleAlert } from "lucide-react";
import { type Arrival, arrivals } from "../arrivals";
import { idOf, personName, read, search } from "../fhir";
import { useFormat } from "../format";
import { useLive } from "../live";
import { json } from "../server";
import { Badge } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Loaded } from "../ui/states";

const SHOWN = 50;
const REFRESHED = 10_000;
/** Milliseconds without a further image after which a study counts as whole. */
const QUIET = 10_000;

interface Inbox {
  all: Arrival[];
  names: Map<string, string>;
}

async function load(signal: AbortSignal): Promise<Inbox> {
  const all = arrivals(await json<Parameters>(`/fhir/$arrivals?_count=${String(SHOWN)}`, { signal }));
  const patients = [...new Set(all.map((one) => idOf({ reference: one.patient })))].filter(Boolean);
  const senders = [...new Set(all.map((one) => one.sender))].filter(Boolean);
  const [people, hospitals] = await Promise.all([
    patients.length > 0 ? search<Patient>("Patient", { _id: patients.join(","), _count: patients.length }, signal) : undefined,
    Promise.allSettled(senders.map((one) => read<Organization>(one, signal))),
  ]);
  const names = new Map((people?.resources ?? []).map((one) => [`Patient/${one.id ?? ""}`, personName(one.name)]));
  for (const one of hospitals) if (one.status === "fulfilled") names.set(`Organization/${one.value.id ?? ""}`, one.value.name ?? "");
  return { all, names };
}

/** Studies as they arrive, the latest first: the list follows the socket, and asks now and then besides. */
export function Inbox() {
  const { t } = useTranslation();
  const format = useFormat();
  const queries = useQueryClient();
  const { connected, arrived } = useLive();
  const [opened] = useState(() => new Date().toISOString());
  const query = useQuery({ queryKey: ["arrivals"], queryFn: ({ signal }) => load(signal), refetchInterval: REFRESHED });
  const waiting = useQuery({
    queryKey: ["quarantine", "waiting"],
    queryFn: async ({ signal }) => (await json<Bundle<Task>>("/fhir/$quarantine?state=open&_count=100", { signal })).entry?.length ?? 0,
    refetchInterval: REFRESHED,
  });
  useEffect(() => {
    if (arrived > 0) void queries.invalidateQueries({ queryKey: ["arrivals"] });
  }, [arrived, queries]);
  return (
    <>
      <Heading title={t("nav.inbox")}>
        <p role="status" className="flex items-center gap-2 text-sm text-muted">
          <span className={connected ? "size-2.5 rounded-full bg-brand motion-safe:animate-pulse" : "size-2.5 rounded-full bg-edge"} aria-hidden />
          {t(connected ? "inbox.live" : "inbox.notLive")}
        </p>
      </Heading>
      <p className="mb-5 max-w-2xl text-muted">{t("inbox.text")}</p>
      {(waiting.data ?? 0) > 0 && (
        <Link to="/app/quarantine" className="mb-6 flex items-center gap-3 rounded-card border border-warn/50 bg-warn-soft p-4 text-sm text-warn">
          <TriangleAlert className="size-5 shrink-0" aria-hidden />
          <span className="flex-1 font-medium">{t("inbox.waiting", { number: format.number(waiting.data ?? 0) })}</span>
          <ArrowRight className="size-5 rtl:-scale-x-100" aria-hidden />
        </Link>
      )}
      <Loaded query={query} rows={4}>
        {({ all, names }) =>
          all.length === 0 ? (
            <Empty title={t("inbox.none")} icon={<ScanLine className="size-6" />}>
              {t("inbox.noneText")}
            </Empty>
          ) : (
            <ul className="card divide-y divide-line">
              {all.map((one) => (
                <Study key={`${one.study} ${one.last}`} arrival={one} names={names} fresh={one.last > opened} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </>
  );
}

function Study({ arrival, names, fresh }: { arrival: Arrival; names: Map<string, string>; fresh: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const whole = Date.parse(arrival.last) + QUIET;
  const [coming, setComing] = useState(() => whole > Date.now());
  useEffect(() => {
    const timer = setTimeout(() => setComing(false), Math.max(whole - Date.now(), 0));
    return () => clearTimeout(timer);
  }, [whole]);
  return (
    <li data-study={arrival.study} className="flex flex-wrap items-center gap-x-5 gap-y-2 px-5 py-4">
      <span className="grid size-11 shrink-0 place-items-center rounded-xl bg-info-soft text-sm font-semibold text-info">{arrival.modalities[0] ?? "–"}</span>
      <div className="min-w-0 flex-1 basis-52">
        <p className="flex flex-wrap items-center gap-2 font-medium">
          <bdi>{names.get(arrival.patient) ?? t("unnamed")}</bdi>
          {coming ? <Badge tone="info">{t("inbox.coming")}</Badge> : fresh && <Badge tone="brand">{t("inbox.new")}</Badge>}
        </p>
        <p className="text-sm text-muted">
          <bdi>{arrival.sender ? (names.get(arrival.sender) ?? t("unnamed")) : t("timeline.here")}</bdi>
        </p>
      </div>
      <p className="text-sm text-muted tabular-nums">
        {[arrival.modalities.join(", "), t("viewer.images", { count: arrival.instances }), format.bytes(arrival.bytes)].filter(Boolean).join(" · ")}
      </p>
      <time dateTime={arrival.last} className="w-40 text-sm text-muted sm:text-end">
        {format.dateTime(arrival.last)}
      </time>
    </li>
  );
}

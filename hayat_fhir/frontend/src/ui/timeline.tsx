import { memo, useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { DiagnosticReport, Encounter, ImagingStudy } from "fhir/r4";
import clsx from "clsx";
import { ClipboardPlus, FileText, ScanLine, Video } from "lucide-react";
import { byMoment, conceptText, type Origin, origins, searchAll } from "../fhir";
import { useFormat, yearOf } from "../format";
import { AskHospitals } from "./ask-hospitals";
import { Badge } from "./controls";
import { OriginMark } from "./origin";
import { Empty, Loaded } from "./states";

type Kind = "report" | "study" | "encounter";

interface Entry {
  kind: Kind;
  id: string;
  reference: string;
  date: string;
  title: string;
  text: string;
  origin: Origin | undefined;
  draft: boolean;
  /** What it is called where it has no title. */
  untitled: string;
  detail: string;
}

const looks = {
  report: { icon: FileText, tone: "bg-brand-soft text-brand-strong" },
  study: { icon: ScanLine, tone: "bg-info-soft text-info" },
  encounter: { icon: Video, tone: "bg-warn-soft text-warn" },
};

/** As many as the server gives at once: pages have to be asked for one after the other. */
const AT_ONCE = 1000;
/** How many entries are drawn at first, and how many more in each pause after that. */
const SCREENFUL = 20;
const MORE = 40;

/** A patient's reports, studies and encounters, and which hospital each came from. */
async function history(patient: string, signal: AbortSignal): Promise<Entry[]> {
  const [known, reports, studies, encounters] = await Promise.all([
    origins(patient, signal),
    searchAll<DiagnosticReport>("DiagnosticReport", { patient, _count: AT_ONCE }, signal),
    searchAll<ImagingStudy>("ImagingStudy", { patient, _count: AT_ONCE }, signal),
    searchAll<Encounter>("Encounter", { patient, _count: AT_ONCE }, signal),
  ]);
  const entry = (kind: Kind, resource: DiagnosticReport | ImagingStudy | Encounter, rest: Pick<Entry, "date" | "title" | "text" | "detail" | "draft"> & { untitled?: string }): Entry => {
    const reference = `${resource.resourceType}/${resource.id ?? ""}`;
    return { kind, id: resource.id ?? "", reference, origin: known.get(reference), untitled: `timeline.${kind}`, ...rest };
  };
  const all = [
    ...reports.map((one) =>
      entry("report", one, {
        date: one.effectiveDateTime ?? one.effectivePeriod?.start ?? one.issued ?? "",
        title: conceptText(one.conclusionCode?.[0]) || conceptText(one.code),
        text: one.conclusion ?? "",
        draft: one.status === "preliminary",
        detail: one.performer?.map((who) => who.display ?? "").filter(Boolean).join(", ") ?? "",
      }),
    ),
    ...studies.map((one) =>
      entry("study", one, {
        date: one.started ?? "",
        title: one.description ?? "",
        text: "",
        draft: false,
        detail: one.modality?.map((coding) => coding.code ?? "").join(", ") ?? "",
      }),
    ),
    ...encounters.map((one) =>
      entry("encounter", one, {
        date: one.period?.start ?? "",
        title: conceptText(one.type?.[0]) || conceptText(one.reasonCode?.[0]),
        ...(one.class.code === "VR" && { untitled: "call.title" }),
        text: "",
        draft: false,
        detail: one.participant?.map((who) => who.individual?.display ?? "").filter(Boolean).join(", ") ?? "",
      }),
    ),
  ];
  return all.sort((a, b) => byMoment(b.date, a.date));
}

/** What the timeline shows; a page can ask for it before it knows the rest. */
export const historyOf = (patient: string) => queryOptions({ queryKey: ["history", patient], queryFn: ({ signal }) => history(patient, signal) });

export function Timeline({ patient, own }: { patient: string; own: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [kind, setKind] = useState<Kind | "">("");
  const query = useQuery(historyOf(patient));
  return (
    <Loaded query={query} rows={4}>
      {(entries) =>
        entries.length === 0 ? (
          <Empty title={t("timeline.empty")} icon={<ClipboardPlus className="size-6" />}>
            {t(own ? "timeline.emptyOwn" : "timeline.emptyDoctor")}
          </Empty>
        ) : (
          <>
            {!own && <AskHospitals patient={patient} origins={entries.map((entry) => entry.origin)} />}
            <div role="group" aria-label={t("timeline.show")} className="mb-5 flex flex-wrap gap-2">
              {(["", "report", "study", "encounter"] as const).map((one) => (
                <button
                  key={one}
                  type="button"
                  aria-pressed={kind === one}
                  onClick={() => setKind(one)}
                  className={clsx(
                    "min-h-9 rounded-full border px-4 text-sm",
                    kind === one ? "border-brand bg-brand-soft font-medium text-brand-strong" : "border-line bg-surface text-muted hover:text-ink",
                  )}
                >
                  {t(one ? `timeline.${one}s` : "timeline.all")}{" "}
                  <span className="tabular-nums">{format.number(one ? entries.filter((entry) => entry.kind === one).length : entries.length)}</span>
                </button>
              ))}
            </div>
            <Entries key={kind} entries={entries.filter((entry) => !kind || entry.kind === kind)} />
          </>
        )
      }
    </Loaded>
  );
}

/** How many of them are drawn: a long history appears at once where it begins, and its end without holding up the page. */
function useDrawn(all: number): number {
  const [drawn, setDrawn] = useState(SCREENFUL);
  useEffect(() => {
    if (drawn >= all) return;
    const timer = setTimeout(() => setDrawn(drawn + MORE));
    return () => clearTimeout(timer);
  }, [drawn, all]);
  return drawn;
}

function Entries({ entries }: { entries: Entry[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const drawn = useDrawn(entries.length);
  const years = useMemo(() => [...Map.groupBy(entries.slice(0, drawn), (entry) => yearOf(entry.date)).entries()], [entries, drawn]);
  return years.map(([year, members]) => (
    <section key={year} aria-label={year || t("timeline.undated")} className="mb-8">
      <h2 className="mb-3 text-sm font-semibold text-muted">{year || t("timeline.undated")}</h2>
      <ol className="relative flex flex-col gap-3 border-s-2 border-line ps-5 sm:ps-7">
        {members.map((entry) => (
          <TimelineEntry key={entry.reference} entry={entry} date={format.date(entry.date)} />
        ))}
      </ol>
    </section>
  ));
}

const TimelineEntry = memo(function TimelineEntry({ entry, date }: { entry: Entry; date: string }) {
  const { t } = useTranslation();
  const { icon: Icon, tone } = looks[entry.kind];
  const target = entry.kind === "report" ? `/app/reports/${entry.id}` : entry.kind === "study" ? `/app/studies/${entry.id}` : `/app/consultations/${entry.id}`;
  const title = entry.title || t(entry.untitled);
  return (
    <li className="relative">
      <span className={clsx("absolute -start-[2.375rem] top-4 hidden size-8 place-items-center rounded-full ring-4 ring-canvas sm:-start-[2.8rem] sm:grid", tone)} aria-hidden>
        <Icon className="size-4" />
      </span>
      <article className="card relative flex flex-col gap-1.5 p-4 transition-colors has-[a:hover]:border-brand sm:p-5">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-muted">
          <span className={clsx("grid size-6 place-items-center rounded-full sm:hidden", tone)} aria-hidden>
            <Icon className="size-3.5" />
          </span>
          <time dateTime={entry.date}>{date}</time>
          <span>{t(`timeline.${entry.kind}`)}</span>
          {entry.draft && <Badge tone="warn">{t("record.unsigned")}</Badge>}
          <span className="ms-auto">
            <OriginMark origin={entry.origin} />
          </span>
        </div>
        <h3 className="font-semibold">
          {target ? (
            <Link to={target} className="after:absolute after:inset-0 after:rounded-card">
              <bdi>{title}</bdi>
            </Link>
          ) : (
            <bdi>{title}</bdi>
          )}
        </h3>
        {entry.text && <p className="line-clamp-2 text-sm text-muted"><bdi>{entry.text}</bdi></p>}
        {entry.detail && <p className="text-sm text-muted"><bdi>{entry.detail}</bdi></p>}
      </article>
    </li>
  );
});

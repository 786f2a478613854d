import { lazy, Suspense, useDeferredValue, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearchParams } from "react-router";
import type { AllergyIntolerance, Condition, Patient } from "fhir/r4";
import { ChevronRight, Mic, NotebookPen, Search, Share2 } from "lucide-react";
import { Tabs } from "radix-ui";
import { conceptText, page, personName, read, search, searchAll } from "../fhir";
import { age, useFormat } from "../format";
import { list } from "../legacy";
import { ServerError } from "../server";
import { useSignedIn } from "../session";
import { Avatar, Badge, Button, buttonClass, Input } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Loaded, Skeleton } from "../ui/states";
import { historyOf, Timeline } from "../ui/timeline";
import { BreakGlass } from "./break-glass";
import { Pager } from "./patient";
import { RecordDialog } from "./record-dialog";
import { ShareDialog } from "./share-dialog";

const Measurements = lazy(() => import("../charts/measurements"));

export function Patients() {
  const { t } = useTranslation();
  const format = useFormat();
  const [text, setText] = useState("");
  const [path, setPath] = useState<string>();
  const name = useDeferredValue(text.trim());
  const query = useQuery({
    queryKey: ["patients", name, path],
    queryFn: ({ signal }) => (path ? page<Patient>(path, signal) : search<Patient>("Patient", { "name:contains": name, _sort: "name", _count: 25 }, signal)),
    placeholderData: (previous) => previous,
  });
  return (
    <>
      <Heading title={t("patients.title")}>
        <Link to="/app/devices" className={buttonClass("plain")}>
          <Mic className="size-4" aria-hidden />
          {t("devices.title")}
        </Link>
      </Heading>
      <form role="search" onSubmit={(event) => event.preventDefault()} className="mb-6 max-w-xl">
        <Input
          label={t("patients.search")}
          type="search"
          value={text}
          onChange={(event) => {
            setPath(undefined);
            setText(event.target.value);
          }}
        />
      </form>
      <Loaded query={query}>
        {({ resources, next }) =>
          resources.length === 0 ? (
            <Empty title={t("patients.none")} icon={<Search className="size-6" />}>
              {t("patients.noneText")}
            </Empty>
          ) : (
            <>
              <ul className="card divide-y divide-line overflow-hidden">
                {resources.map((patient) => {
                  const shown = personName(patient.name) || t("unnamed");
                  const years = age(patient.birthDate);
                  return (
                    <li key={patient.id} className="relative flex items-center gap-4 px-4 py-3.5 hover:bg-sunken sm:px-5">
                      <Avatar name={shown} />
                      <div className="min-w-0 flex-1">
                        <Link to={`/app/patients/${patient.id ?? ""}`} className="block truncate font-medium after:absolute after:inset-0">
                          {shown}
                        </Link>
                        <p className="truncate text-sm text-muted">
                          {[patient.gender && t(`gender.${patient.gender}`), years !== null && t("years", { count: years }), patient.birthDate && format.date(patient.birthDate)]
                            .filter(Boolean)
                            .join(" · ")}
                        </p>
                      </div>
                      <ChevronRight className="size-5 text-muted rtl:-scale-x-100" aria-hidden />
                    </li>
                  );
                })}
              </ul>
              <Pager first={path === undefined} next={next} go={setPath} />
            </>
          )
        }
      </Loaded>
    </>
  );
}

const tabs = ["timeline", "problems", "measurements"] as const;

export function Chart() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  const [parameters, setParameters] = useSearchParams();
  const [open, setOpen] = useState<"record" | "share" | null>(null);
  const query = useQuery({ queryKey: ["person", id], queryFn: ({ signal }) => read<Patient>(`Patient/${id}`, signal) });
  const tab = tabs.find((one) => one === parameters.get("tab")) ?? "timeline";
  // asked for together with the person, not after
  useQuery({ ...historyOf(id), enabled: tab === "timeline", notifyOnChangeProps: [] });
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    bar.current?.querySelector("[data-state=active]")?.scrollIntoView({ inline: "center", block: "nearest" });
  }, [tab, query.isSuccess]);
  if (query.error instanceof ServerError && query.error.code === "suppressed") {
    return (
      <>
        <Heading title={t("glass.withheld")} />
        <BreakGlass patient={id} />
      </>
    );
  }
  return (
    <Loaded query={query}>
      {(patient) => (
        <>
          <Banner patient={patient}>
            <Button onClick={() => setOpen("share")}>
              <Share2 className="size-4" aria-hidden />
              {t("share")}
            </Button>
            <Button kind="primary" onClick={() => setOpen("record")}>
              <NotebookPen className="size-4" aria-hidden />
              {t("record.write")}
            </Button>
          </Banner>
          <BreakGlass patient={id} />
          <Tabs.Root value={tab} onValueChange={(next) => setParameters({ tab: next }, { replace: true })}>
            <Tabs.List ref={bar} aria-label={t("chart.sections")} className="mb-6 flex gap-1 overflow-x-auto border-b border-line">
              {tabs.map((one) => (
                <Tabs.Trigger
                  key={one}
                  value={one}
                  className="-mb-px min-h-11 border-b-2 border-transparent px-4 text-sm whitespace-nowrap text-muted data-[state=active]:border-brand data-[state=active]:font-semibold data-[state=active]:text-brand-strong"
                >
                  {t(`chart.${one}`)}
                </Tabs.Trigger>
              ))}
            </Tabs.List>
            <Tabs.Content value="timeline">
              <Timeline patient={id} own={false} />
            </Tabs.Content>
            <Tabs.Content value="problems">
              <Problems patient={id} />
            </Tabs.Content>
            <Tabs.Content value="measurements">
              <Suspense fallback={<Skeleton />}>
                <Measurements patient={id} />
              </Suspense>
            </Tabs.Content>
          </Tabs.Root>
          <RecordDialog open={open === "record"} close={() => setOpen(null)} patient={id} />
          <ShareDialog open={open === "share"} close={() => setOpen(null)} patient={id} />
        </>
      )}
    </Loaded>
  );
}

function Banner({ patient, children }: { patient: Patient; children: React.ReactNode }) {
  const { t } = useTranslation();
  const format = useFormat();
  const name = personName(patient.name) || t("unnamed");
  const years = age(patient.birthDate);
  const allergies = useAllergies(patient.id ?? "");
  const facts = [patient.gender && t(`gender.${patient.gender}`), years !== null && t("years", { count: years }), patient.birthDate && format.date(patient.birthDate)];
  return (
    <>
      <Heading
        title={name}
        before={
          <Link to="/app" className="mb-1 inline-block text-sm text-brand underline underline-offset-4">
            {t("nav.patients")}
          </Link>
        }
      >
        {children}
      </Heading>
      <div className="card mb-6 flex flex-wrap items-center gap-x-8 gap-y-3 px-5 py-4 text-sm">
        <p className="font-medium">{facts.filter(Boolean).join(" · ") || t("unknown")}</p>
        {patient.identifier?.slice(0, 2).map((identifier) => (
          <p key={`${identifier.system ?? ""}|${identifier.value ?? ""}`} className="text-muted">
            <span className="tabular-nums" dir="ltr">
              {identifier.value}
            </span>
          </p>
        ))}
        <div className="flex flex-wrap items-center gap-2 sm:ms-auto">
          <span className="text-muted">{t("allergies")}</span>
          {allergies.data?.map((one) => (
            <Badge key={one.id} tone="danger">
              {conceptText(one.code)}
            </Badge>
          ))}
          {allergies.data?.length === 0 && <span>{t("allergies.none")}</span>}
        </div>
      </div>
    </>
  );
}

function useAllergies(patient: string) {
  return useQuery({
    queryKey: ["allergies", patient],
    queryFn: ({ signal }) => searchAll<AllergyIntolerance>("AllergyIntolerance", { patient }, signal),
  });
}

function Problems({ patient }: { patient: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const conditions = useQuery({ queryKey: ["conditions", patient], queryFn: ({ signal }) => searchAll<Condition>("Condition", { patient }, signal) });
  const allergies = useAllergies(patient);
  return (
    <div className="grid items-start gap-6 lg:grid-cols-2">
      <section className="card p-5">
        <h2 className="mb-4">{t("chart.conditions")}</h2>
        <Loaded query={conditions} rows={2}>
          {(found) =>
            found.length === 0 ? (
              <p className="text-sm text-muted">{t("chart.noConditions")}</p>
            ) : (
              <ul className="divide-y divide-line">
                {found.map((one) => (
                  <li key={one.id} className="flex items-center gap-3 py-3">
                    <span className="flex-1 font-medium"><bdi>{conceptText(one.code)}</bdi></span>
                    <Badge tone={one.clinicalStatus?.coding?.[0]?.code === "active" ? "warn" : "neutral"}>{t(`condition.${one.clinicalStatus?.coding?.[0]?.code ?? "unknown"}`, { defaultValue: conceptText(one.clinicalStatus) })}</Badge>
                    <time className="text-sm text-muted">{format.date(one.onsetDateTime ?? one.recordedDate)}</time>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </section>
      <section className="card p-5">
        <h2 className="mb-4">{t("allergies")}</h2>
        <Loaded query={allergies} rows={2}>
          {(found) =>
            found.length === 0 ? (
              <p className="text-sm text-muted">{t("allergies.none")}</p>
            ) : (
              <ul className="divide-y divide-line">
                {found.map((one) => (
                  <li key={one.id} className="flex items-center gap-3 py-3">
                    <span className="flex-1 font-medium"><bdi>{conceptText(one.code)}</bdi></span>
                    {one.criticality && <Badge tone="danger">{t(`criticality.${one.criticality}`)}</Badge>}
                    <time className="text-sm text-muted">{format.date(one.recordedDate)}</time>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </section>
    </div>
  );
}

export function Records() {
  const { t } = useTranslation();
  const format = useFormat();
  const { id } = useSignedIn();
  const query = useQuery({ queryKey: ["records", id], queryFn: ({ signal }) => list("medicalRecord", { sort: "-date", doctor: id }, signal) });
  return (
    <>
      <Heading title={t("records.title")} />
      <Loaded query={query}>
        {(records) =>
          records.length === 0 ? (
            <Empty title={t("records.none")} icon={<NotebookPen className="size-6" />}>
              {t("records.noneText")}
            </Empty>
          ) : (
            <ul className="card divide-y divide-line overflow-hidden">
              {records.map((record) => (
                <li key={record.id} className="relative flex flex-wrap items-center gap-x-4 gap-y-1 px-5 py-4 hover:bg-sunken">
                  <div className="min-w-0 flex-1">
                    <Link to={`/app/reports/${record.id}`} className="font-medium after:absolute after:inset-0">
                      <bdi>{record.illness || t("timeline.report")}</bdi>
                    </Link>
                    <p className="truncate text-sm text-muted">{record.patient.name}</p>
                  </div>
                  <time dateTime={record.date} className="text-sm text-muted">
                    {format.dateTime(record.date)}
                  </time>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </>
  );
}

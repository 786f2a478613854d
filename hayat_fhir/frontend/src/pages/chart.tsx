import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearchParams } from "react-router";
import type { Patient } from "fhir/r4";
import { NotebookPen, Printer, Share2 } from "lucide-react";
import { Tabs } from "radix-ui";
import { conceptText, personName, read } from "../fhir";
import { age, useFormat } from "../format";
import { ServerError } from "../server";
import { Badge, Button, buttonClass } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Loaded, Skeleton } from "../ui/states";
import { historyOf, Timeline } from "../ui/timeline";
import { BreakGlass } from "./break-glass";
import { Problems, useAllergies } from "./problems";
import { RecordDialog } from "./record-dialog";
import { ShareDialog } from "./share-dialog";

const Measurements = lazy(() => import("../charts/measurements"));

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
            <Link to={`/app/patients/${id}/summary`} className={buttonClass("plain")}>
              <Printer className="size-4" aria-hidden />
              {t("summary.open")}
            </Link>
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
        {[...new Set(patient.identifier?.map(({ value = "" }) => value))].slice(0, 2).map((value) => (
          <p key={value} className="max-w-48 truncate text-muted tabular-nums" dir="ltr" title={value}>
            {value}
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

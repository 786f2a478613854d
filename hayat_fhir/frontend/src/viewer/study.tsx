import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { ImagingStudy, ImagingStudySeries, Patient } from "fhir/r4";
import clsx from "clsx";
import { Columns2, ImageOff, Square } from "lucide-react";
import { idOf, personName, read, searchAll } from "../fhir";
import { useFormat } from "../format";
import { useSignedIn } from "../session";
import { Button } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Loaded, Skeleton } from "../ui/states";

/** The viewer itself is large: it comes together with what it is to show, not after. */
const panes = import("./panes");
panes.catch(() => undefined);
const Panes = lazy(() => panes);

/** One series that can be drawn: where its images are, and what stands over them. */
export interface Stack {
  key: string;
  label: string;
  modality: string;
  study: string;
  date: string;
  images: string[];
}

const NO_PICTURES = new Set(["SR", "KO", "PR", "SEG", "RTSTRUCT", "RTPLAN", "DOC"]);

/** The image addresses of a series, in the order of their instance numbers. */
function stack(study: ImagingStudy, series: ImagingStudySeries): Stack {
  const uid = study.identifier?.find((one) => one.system === "urn:dicom:uid")?.value?.replace("urn:oid:", "") ?? "";
  const instances = [...(series.instance ?? [])].sort((a, b) => (a.number ?? 0) - (b.number ?? 0));
  const root = `${location.origin}/dicomweb/studies/${uid}/series/${series.uid}/instances`;
  return {
    key: series.uid,
    label: series.description ?? series.modality.code ?? "",
    modality: series.modality.code ?? "",
    study: study.description ?? "",
    date: series.started ?? study.started ?? "",
    images: instances.map((instance) => `wadouri:${root}/${instance.uid}`),
  };
}

async function load(id: string, signal: AbortSignal): Promise<{ study: ImagingStudy; patient: Patient; stacks: Stack[] }> {
  const study = await read<ImagingStudy>(`ImagingStudy/${id}`, signal);
  const [patient, all] = await Promise.all([
    read<Patient>(`Patient/${idOf(study.subject)}`, signal),
    searchAll<ImagingStudy>("ImagingStudy", { patient: idOf(study.subject) }, signal),
  ]);
  const ordered = [study, ...all.filter((one) => one.id !== id).sort((a, b) => (b.started ?? "").localeCompare(a.started ?? ""))];
  const stacks = ordered.flatMap((one) => (one.series ?? []).filter((series) => !NO_PICTURES.has(series.modality.code ?? "")).map((series) => stack(one, series)));
  return { study, patient, stacks };
}

export function Study() {
  const { id = "" } = useParams();
  const query = useQuery({ queryKey: ["study", id], queryFn: ({ signal }) => load(id, signal), staleTime: Infinity });
  return <Loaded query={query}>{(found) => <StudyView key={id} {...found} />}</Loaded>;
}

function StudyView({ study, patient, stacks }: { study: ImagingStudy; patient: Patient; stacks: Stack[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { role } = useSignedIn();
  const [shown, setShown] = useState<string[]>(stacks[0] ? [stacks[0].key] : []);
  const [pane, setPane] = useState(0);
  const name = personName(patient.name) || t("unnamed");
  const title = study.description ?? t("timeline.study");
  const comparing = shown.length === 2;
  const compare = () => {
    const other = stacks.find((one) => one.key !== shown[0]) ?? stacks[0];
    setShown(comparing ? shown.slice(0, 1) : other ? [shown[0] ?? other.key, other.key] : shown);
    setPane(comparing ? 0 : 1);
  };
  const show = (key: string) => setShown(shown.map((one, index) => (index === pane ? key : one)));
  return (
    <>
      <Heading
        title={title}
        before={
          <Link to={role === "patient" ? "/app" : `/app/patients/${patient.id ?? ""}`} className="mb-1 inline-block text-sm text-brand underline underline-offset-4">
            {role === "patient" ? t("history.title") : name}
          </Link>
        }
      >
        {stacks.length > 0 && (
          <Button onClick={compare} aria-pressed={comparing}>
            {comparing ? <Square className="size-4" aria-hidden /> : <Columns2 className="size-4" aria-hidden />}
            {t(comparing ? "viewer.single" : "viewer.compare")}
          </Button>
        )}
      </Heading>
      {stacks.length === 0 ? (
        <Empty title={t("viewer.none")} icon={<ImageOff className="size-6" />} />
      ) : (
        <div className="grid grid-cols-[minmax(0,1fr)] gap-4 lg:grid-cols-[13rem_minmax(0,1fr)]">
          <nav aria-label={t("viewer.series")} className="order-last min-w-0 lg:order-first">
            <ul className="flex gap-2 overflow-x-auto pb-2 lg:max-h-[75dvh] lg:flex-col lg:overflow-y-auto">
              {stacks.map((one) => (
                <li key={one.key} className="shrink-0">
                  <button
                    type="button"
                    aria-pressed={shown[pane] === one.key}
                    onClick={() => show(one.key)}
                    className={clsx("w-44 rounded-xl border p-3 text-start text-sm lg:w-full", shown.includes(one.key) ? "border-brand bg-brand-soft" : "border-line bg-surface hover:bg-sunken")}
                  >
                    <span className="block truncate font-medium">{one.label}</span>
                    <span className="block truncate text-xs text-muted">{one.study}</span>
                    <span className="block text-xs text-muted">
                      {[one.modality, t("viewer.images", { count: one.images.length }), format.date(one.date)].filter(Boolean).join(" · ")}
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </nav>
          <Suspense fallback={<Skeleton rows={4} />}>
            <Panes stacks={shown.flatMap((key) => stacks.find((one) => one.key === key) ?? [])} patient={name} active={pane} activate={setPane} />
          </Suspense>
        </div>
      )}
    </>
  );
}

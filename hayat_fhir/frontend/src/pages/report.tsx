import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { Attachment, DiagnosticReport, Observation, Patient, Resource } from "fhir/r4";
import { Download, PencilLine, Printer, ScanLine } from "lucide-react";
import { saveFile } from "../everything";
import { conceptText, idOf, type Origin, origins, personName, read, search, valueText } from "../fhir";
import { useFormat } from "../format";
import { get } from "../legacy";
import { request } from "../server";
import { useSignedIn } from "../session";
import { Badge, Button, buttonClass } from "../ui/controls";
import { Heading } from "../ui/layout";
import { OriginMark } from "../ui/origin";
import { Loaded } from "../ui/states";
import { RecordDialog } from "./record-dialog";

interface Found {
  report: DiagnosticReport;
  results: Observation[];
  patient: Patient | undefined;
  origin: Origin | undefined;
}

async function load(id: string, signal: AbortSignal): Promise<Found> {
  const found = await search<DiagnosticReport>("DiagnosticReport", { _id: id, _include: "DiagnosticReport:result" }, signal);
  const report = found.resources[0] ?? (await read<DiagnosticReport>(`DiagnosticReport/${id}`, signal));
  const patient = idOf(report.subject);
  const [person, known] = await Promise.all([read<Patient>(`Patient/${patient}`, signal), origins(patient, signal)]);
  const isObservation = (resource: Resource): resource is Observation => resource.resourceType === "Observation";
  const contained = report.contained?.filter(isObservation) ?? [];
  const results = [...contained, ...found.included.filter(isObservation)].sort((a, b) => rank(a) - rank(b));
  return { report, results, patient: person, origin: known.get(`DiagnosticReport/${id}`) };
}

/** The parts of a medical record, as this app asks for them: LOINC's codes, and what they are called here. */
const parts: Record<string, string> = { "10164-2": "record.history", "18776-5": "record.treatment" };

function rank(one: Observation): number {
  const place = Object.keys(parts).indexOf(one.code.coding?.[0]?.code ?? "");
  return place < 0 ? Object.keys(parts).length : place;
}

export function Report() {
  const { id = "" } = useParams();
  const query = useQuery({ queryKey: ["report", id], queryFn: ({ signal }) => load(id, signal) });
  return <Loaded query={query}>{(found) => <ReportView {...found} />}</Loaded>;
}

function ReportView({ report, results, patient, origin }: Found) {
  const { t } = useTranslation();
  const format = useFormat();
  const { role, id: me } = useSignedIn();
  const [amending, setAmending] = useState(false);
  const id = report.id ?? "";
  const mine = role === "doctor" && report.performer?.some((who) => idOf(who) === me);
  const record = useQuery({ queryKey: ["record", id], queryFn: ({ signal }) => get("medicalRecord", id, signal), enabled: mine === true && amending });
  const title = conceptText(report.conclusionCode?.[0]) || conceptText(report.code);
  const back = role === "patient" ? "/app" : `/app/patients/${idOf(report.subject)}`;
  return (
    <article className="mx-auto max-w-3xl">
      <Heading
        title={title}
        before={
          <Link to={back} className="mb-1 inline-block text-sm text-brand underline underline-offset-4">
            {role === "patient" ? t("history.title") : personName(patient?.name)}
          </Link>
        }
      >
        {mine && (
          <Button onClick={() => setAmending(true)}>
            <PencilLine className="size-4" aria-hidden />
            {t(report.status === "preliminary" ? "record.continue" : "record.amend")}
          </Button>
        )}
        <Button onClick={() => print()} className="max-sm:hidden">
          <Printer className="size-4" aria-hidden />
          {t("print")}
        </Button>
      </Heading>
      <div className="card divide-y divide-line">
        <dl className="grid grid-cols-2 gap-5 p-5 sm:grid-cols-4 sm:p-7">
          <Fact label={t("date")}>{format.dateTime(report.effectiveDateTime ?? report.effectivePeriod?.start ?? report.issued)}</Fact>
          <Fact label={t("record.status")}>
            <Badge tone={report.status === "final" || report.status === "amended" || report.status === "corrected" ? "brand" : "warn"}>{t(`status.${report.status}`)}</Badge>
          </Fact>
          <Fact label={t("doctor")}>{report.performer?.map((who) => who.display ?? t("record.unnamed")).join(", ") ?? "–"}</Fact>
          <Fact label={t("hospital")}>
            <OriginMark origin={origin} />
          </Fact>
        </dl>
        {report.conclusion && (
          <section className="p-5 sm:p-7">
            <h2 className="mb-2">{t("record.diagnosis")}</h2>
            <p className="whitespace-pre-line"><bdi>{report.conclusion}</bdi></p>
          </section>
        )}
        {results.length > 0 && (
          <section className="p-5 sm:p-7">
            <h2 className="mb-3">{t("record.findings")}</h2>
            <dl className="flex flex-col gap-4">
              {results.map((one) => (
                <div key={one.id} className="grid gap-1 sm:grid-cols-[14rem_1fr] sm:gap-4">
                  <dt className="text-sm text-muted"><bdi>{t(parts[one.code.coding?.[0]?.code ?? ""] ?? "", { defaultValue: conceptText(one.code) })}</bdi></dt>
                  <dd className="whitespace-pre-line"><bdi>{valueText(one) || "–"}</bdi></dd>
                </div>
              ))}
            </dl>
          </section>
        )}
        <Attachments report={report} />
      </div>
      {mine && record.data && <RecordDialog open={amending} close={() => setAmending(false)} patient={idOf(report.subject)} record={record.data} />}
    </article>
  );
}

function Attachments({ report }: { report: DiagnosticReport }) {
  const { t } = useTranslation();
  const forms = report.presentedForm ?? [];
  const studies = report.imagingStudy ?? [];
  if (forms.length + studies.length === 0) return null;
  return (
    <section className="flex flex-wrap items-center gap-3 p-5 sm:p-7">
      {studies.map((study) => (
        <Link key={study.reference} to={`/app/studies/${idOf(study)}`} className={buttonClass("primary")}>
          <ScanLine className="size-4" aria-hidden />
          {t("record.images")}
        </Link>
      ))}
      {forms.map((form, number) => (
        <Button key={number} onClick={() => void download(form)}>
          <Download className="size-4" aria-hidden />
          {form.title ?? form.contentType ?? t("record.document")}
        </Button>
      ))}
    </section>
  );
}

/** Save an attachment: never opened as a page of this site, whatever it is. */
async function download(form: Attachment): Promise<void> {
  let blob: Blob;
  if (form.data) {
    const bytes = Uint8Array.from(atob(form.data), (character) => character.charCodeAt(0));
    blob = new Blob([bytes], { type: "application/octet-stream" });
  } else if (form.url) {
    const { pathname } = new URL(form.url, `${location.origin}/fhir/`);
    blob = await (await request(pathname, { headers: { accept: form.contentType ?? "*/*" } })).blob();
  } else return;
  saveFile(blob, form.title ?? "report");
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div>
      <dt className="mb-1 text-xs text-muted">{label}</dt>
      <dd className="text-sm font-medium">{children}</dd>
    </div>
  );
}

import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { AllergyIntolerance, BundleEntry, CodeableConcept, Condition, DiagnosticReport, ImagingStudy, Immunization, MedicationRequest, Observation, Patient } from "fhir/r4";
import { Printer } from "lucide-react";
import { everything, ofType } from "../everything";
import { conceptText, idOf, type Origin, origins, personName, valueText } from "../fhir";
import { useFormat } from "../format";
import { useSignedIn } from "../session";
import { Button } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Loaded } from "../ui/states";

const BLOOD_GROUP = "883-9";

interface Whole {
  entries: BundleEntry[];
  known: Map<string, Origin>;
}

/** The whole record as one document: to read, to print, or to keep as a PDF. */
export function Summary() {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const { id = signedIn.id } = useParams();
  const query = useQuery({
    queryKey: ["summary", id],
    queryFn: async ({ signal }): Promise<Whole> => {
      const [entries, known] = await Promise.all([everything(id, signal), origins(id, signal)]);
      return { entries, known };
    },
  });
  const own = signedIn.role === "patient";
  return (
    <article className="mx-auto max-w-4xl">
      <Heading
        title={t("summary.title")}
        before={
          <Link to={own ? "/app" : `/app/patients/${id}`} className="mb-1 inline-block text-sm text-brand underline underline-offset-4 print:hidden">
            {t(own ? "history.title" : "call.chart")}
          </Link>
        }
      >
        <Button kind="primary" disabled={!query.data} onClick={() => print()}>
          <Printer className="size-4" aria-hidden />
          {t("summary.save")}
        </Button>
      </Heading>
      <p className="mb-6 max-w-2xl text-muted print:hidden">{t("summary.text")}</p>
      <Loaded query={query} rows={5}>
        {(whole) => <Whole {...whole} id={id} />}
      </Loaded>
    </article>
  );
}

function Whole({ entries, known, id }: Whole & { id: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const patient = entries.find(({ resource }) => resource?.resourceType === "Patient" && resource.id === id)?.resource as Patient | undefined;
  const observations = ofType<Observation>(entries, "Observation", (one) => one.effectiveDateTime ?? one.issued);
  const reports = ofType<DiagnosticReport>(entries, "DiagnosticReport", (one) => one.effectiveDateTime ?? one.effectivePeriod?.start ?? one.issued);
  const results = new Map(observations.map((one) => [one.id ?? "", one]));
  const told = new Set(reports.flatMap((one) => one.result?.map(idOf) ?? []));
  const latest = [...Map.groupBy(observations.filter((one) => one.valueQuantity && !told.has(one.id ?? "")), (one) => conceptText(one.code)).values()].flatMap(([one]) => one ?? []);
  const group = observations.find((one) => one.code.coding?.some(({ code }) => code === BLOOD_GROUP));
  return (
    <div className="card divide-y divide-line print:border-0 print:shadow-none">
      <Person patient={patient} bloodGroup={group && valueText(group)} />
      <List title={t("allergies")} none={t("allergies.none")} rows={ofType<AllergyIntolerance>(entries, "AllergyIntolerance", (one) => one.recordedDate).map((one) => [one.id, conceptText(one.code), one.criticality ? t(`criticality.${one.criticality}`) : ""])} />
      <List title={t("chart.conditions")} none={t("chart.noConditions")} rows={ofType<Condition>(entries, "Condition", (one) => one.onsetDateTime ?? one.recordedDate).map((one) => [one.id, conceptText(one.code), format.date(one.onsetDateTime ?? one.recordedDate)])} />
      <List title={t("summary.medicines")} none={t("summary.noMedicines")} rows={ofType<MedicationRequest>(entries, "MedicationRequest", (one) => one.authoredOn).filter(({ status }) => status === "active").map((one) => [one.id, medicine(one), format.date(one.authoredOn)])} />
      <List title={t("summary.immunizations")} none={t("summary.noImmunizations")} rows={ofType<Immunization>(entries, "Immunization", (one) => one.occurrenceDateTime).map((one) => [one.id, conceptText(one.vaccineCode), format.date(one.occurrenceDateTime)])} />
      <List title={t("chart.measurements")} none={t("measurements.none")} rows={latest.map((one) => [one.id, `${conceptText(one.code)}: ${valueText(one)}`, format.date(one.effectiveDateTime)])} />
      <List title={t("timeline.studys")} none={t("summary.noImages")} rows={ofType<ImagingStudy>(entries, "ImagingStudy", (one) => one.started).map((one) => [one.id, [one.description, one.modality?.map(({ code }) => code).join(", ")].filter(Boolean).join(" · "), format.date(one.started)])} />
      <section className="p-5 sm:p-7">
        <h2 className="mb-4">{t("timeline.reports")}</h2>
        {reports.length === 0 && <p className="text-sm text-muted">{t("summary.noReports")}</p>}
        <ol className="flex flex-col gap-6">
          {reports.map((one) => (
            <Report key={one.id} report={one} results={one.result?.flatMap((result) => results.get(idOf(result)) ?? []) ?? []} origin={known.get(`DiagnosticReport/${one.id ?? ""}`)} />
          ))}
        </ol>
      </section>
      <p className="p-5 text-xs text-muted sm:px-7">{t("summary.made", { time: format.dateTime(new Date().toISOString()) })}</p>
    </div>
  );
}

function medicine(one: MedicationRequest): string {
  const concept: CodeableConcept | undefined = one.medicationCodeableConcept;
  return conceptText(concept) || (one.medicationReference?.display ?? "");
}

function Person({ patient, bloodGroup }: { patient: Patient | undefined; bloodGroup: string | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  const relative = patient?.contact?.[0];
  const facts: [string, string | undefined][] = [
    ["birthdate", format.date(patient?.birthDate)],
    ["gender", patient?.gender && t(`gender.${patient.gender}`)],
    ["bloodType", bloodGroup],
    ["phone", patient?.telecom?.find(({ system }) => system === "phone")?.value],
    ["address", patient?.address?.[0]?.text ?? patient?.address?.[0]?.line?.join(", ")],
    ["relative", relative && [relative.name?.text, relative.telecom?.[0]?.value].filter(Boolean).join(" · ")],
  ];
  return (
    <section className="p-5 sm:p-7">
      <h2 className="mb-4 text-xl">
        <bdi>{personName(patient?.name) || t("unnamed")}</bdi>
      </h2>
      <dl className="grid grid-cols-2 gap-4 sm:grid-cols-3">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt className="text-xs text-muted">{t(label)}</dt>
            <dd className="text-sm font-medium">
              <bdi>{value || "–"}</bdi>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function List({ title, none, rows }: { title: string; none: string; rows: [string | undefined, string, string][] }) {
  return (
    <section className="p-5 sm:p-7">
      <h2 className="mb-3">{title}</h2>
      {rows.length === 0 ? (
        <p className="text-sm text-muted">{none}</p>
      ) : (
        <ul className="divide-y divide-line text-sm">
          {rows.map(([id, what, detail]) => (
            <li key={id} className="flex justify-between gap-4 py-2 break-inside-avoid">
              <span className="font-medium"><bdi>{what}</bdi></span>
              <span className="shrink-0 text-muted">{detail}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Report({ report, results, origin }: { report: DiagnosticReport; results: Observation[]; origin: Origin | undefined }): ReactNode {
  const { t } = useTranslation();
  const format = useFormat();
  const who = report.performer?.map(({ display }) => display).filter(Boolean).join(", ");
  return (
    <li className="break-inside-avoid">
      <h3 className="font-semibold"><bdi>{conceptText(report.conclusionCode?.[0]) || conceptText(report.code)}</bdi></h3>
      <p className="mb-1.5 text-sm text-muted">
        <bdi>{[format.date(report.effectiveDateTime ?? report.effectivePeriod?.start ?? report.issued), origin?.name ?? t("timeline.here"), origin?.verified && t("timeline.verified"), who, t(`status.${report.status}`)].filter(Boolean).join(" · ")}</bdi>
      </p>
      {report.conclusion && <p className="whitespace-pre-line"><bdi>{report.conclusion}</bdi></p>}
      {results.map((one) => (
        <p key={one.id} className="mt-1 text-sm whitespace-pre-line">
          <span className="text-muted"><bdi>{conceptText(one.code)}:</bdi></span> <bdi>{valueText(one)}</bdi>
        </p>
      ))}
    </li>
  );
}

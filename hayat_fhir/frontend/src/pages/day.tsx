import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Appointment, DiagnosticReport, Encounter, ImagingStudy, Patient } from "fhir/r4";
import { CalendarClock, Mic, PenLine, Phone, Radio, ScanLine, Video } from "lucide-react";
import { byMoment, conceptText, idOf, personName, search } from "../fhir";
import { useFormat } from "../format";
import { setAvailable, useLive } from "../live";
import { useSignedIn } from "../session";
import { Avatar, Badge, Button, buttonClass } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Loaded } from "../ui/states";
import { FindPatient } from "./patients";

const LATEST = 6;
const REFRESHED = 60_000;

/** What is before a doctor today: who waits, what is agreed, what is to be signed, and what has come in. */
export function Day() {
  const { t } = useTranslation();
  const format = useFormat();
  const { name } = useSignedIn();
  return (
    <>
      <Heading title={t("day.title")} before={<p className="mb-1 text-sm text-muted">{t("history.greeting", { name })}</p>}>
        <p className="text-sm text-muted">{format.day(new Date())}</p>
      </Heading>
      <FindPatient />
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-5 lg:grid-cols-2">
        <Availability />
        <Agenda />
        <Drafts />
        <NewImages />
      </div>
    </>
  );
}

function Section({ title, icon, children }: { title: string; icon: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={title} className="card p-5">
      <h2 className="mb-3 flex items-center gap-2.5">
        <span className="text-brand" aria-hidden>
          {icon}
        </span>
        {title}
      </h2>
      {children}
    </section>
  );
}

function Line({ to, title, detail, end, before }: { to: string; title: string; detail: string; end?: ReactNode; before?: ReactNode }) {
  return (
    <li className="relative -mx-2 flex items-center gap-3 rounded-lg px-2 py-2.5 hover:bg-sunken">
      {before}
      <div className="min-w-0 flex-1">
        <Link to={to} className="block truncate font-medium after:absolute after:inset-0">
          <bdi>{title}</bdi>
        </Link>
        <p className="truncate text-sm text-muted">
          <bdi>{detail}</bdi>
        </p>
      </div>
      <div className="shrink-0 text-sm text-muted">{end}</div>
    </li>
  );
}

/** Whether patients can call, and those who do just now. */
function Availability() {
  const { t } = useTranslation();
  const { available, connected, consultations } = useLive();
  const now = Object.values(consultations).filter(({ state }) => state === "ringing" || state === "active");
  return (
    <Section title={t("day.calls")} icon={<Radio className="size-5" />}>
      <p className="mb-4 text-sm text-muted">{t(available ? "day.online" : "day.offline")}</p>
      {now.length > 0 && (
        <ul className="mb-4">
          {now.map((one) => (
            <Line key={one.id} to={`/app/calls/${one.id}`} title={one.patient.name} detail={t(`day.${one.state}`)} before={<Avatar name={one.patient.name} size="size-9" />} end={<Badge tone="brand">{t("day.join")}</Badge>} />
          ))}
        </ul>
      )}
      <div className="flex flex-wrap gap-3">
        <Button kind={available ? "plain" : "primary"} disabled={!connected} onClick={() => setAvailable(!available)}>
          <Phone className="size-4" aria-hidden />
          {t(available ? "day.goOffline" : "day.goOnline")}
        </Button>
        <Link to="/app/devices" className={buttonClass("plain")}>
          <Mic className="size-4" aria-hidden />
          {t("devices.title")}
        </Link>
      </div>
    </Section>
  );
}

interface Meeting {
  id: string;
  to: string;
  start: string;
  name: string;
  about: string;
  done: boolean;
}

/** Today's appointments and consultations, by the reader's clock. */
async function agenda(doctor: string, signal: AbortSignal): Promise<Meeting[]> {
  const [midnight, next] = [0, 24].map((hour) => new Date(new Date().setHours(hour, 0, 0, 0)).toISOString());
  const date = [`ge${midnight}`, `lt${next}`];
  const [appointments, encounters] = await Promise.all([
    search<Appointment>("Appointment", { practitioner: `Practitioner/${doctor}`, date, _count: 50 }, signal),
    search<Encounter>("Encounter", { participant: `Practitioner/${doctor}`, date, _count: 50 }, signal),
  ]);
  const agreed = appointments.resources.flatMap((one): Meeting[] => {
    const patient = one.participant.find(({ actor }) => actor?.reference?.startsWith("Patient/"))?.actor;
    if (!patient || one.status === "cancelled") return [];
    return [{ id: one.id ?? "", to: `/app/patients/${idOf(patient)}`, start: one.start ?? "", name: patient.display ?? "", about: one.description ?? conceptText(one.reasonCode?.[0]), done: one.status === "fulfilled" }];
  });
  const met = encounters.resources.map(
    (one): Meeting => ({ id: one.id ?? "", to: `/app/consultations/${one.id ?? ""}`, start: one.period?.start ?? "", name: one.subject?.display ?? "", about: conceptText(one.type?.[0]), done: one.status === "finished" }),
  );
  return [...agreed, ...met].sort((a, b) => byMoment(a.start, b.start));
}

function Agenda() {
  const { t } = useTranslation();
  const format = useFormat();
  const { id } = useSignedIn();
  const query = useQuery({ queryKey: ["agenda", id], queryFn: ({ signal }) => agenda(id, signal), refetchInterval: REFRESHED });
  return (
    <Section title={t("day.agenda")} icon={<CalendarClock className="size-5" />}>
      <Loaded query={query} rows={1}>
        {(meetings) =>
          meetings.length === 0 ? (
            <p className="text-sm text-muted">{t("day.noAgenda")}</p>
          ) : (
            <ul>
              {meetings.map((one) => (
                <Line key={`${one.to}${one.id}`} to={one.to} title={one.name || t("unnamed")} detail={one.about || t("call.title")} before={<time dateTime={one.start} className="w-16 shrink-0 text-sm font-medium tabular-nums">{format.time(one.start)}</time>} end={one.done ? <Badge>{t("day.done")}</Badge> : <Video className="size-5" aria-hidden />} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Section>
  );
}

/** Names of the patients that were included in a search. */
function namesOf(included: { resourceType: string; id?: string }[]): Map<string, string> {
  return new Map(included.flatMap((one) => (one.resourceType === "Patient" ? [[one.id ?? "", personName((one as Patient).name)] as const] : [])));
}

function Drafts() {
  const { t } = useTranslation();
  const format = useFormat();
  const { id } = useSignedIn();
  const query = useQuery({
    queryKey: ["drafts", id],
    queryFn: ({ signal }) => search<DiagnosticReport>("DiagnosticReport", { performer: `Practitioner/${id}`, status: "preliminary", _sort: "-date", _count: 20, _include: "DiagnosticReport:subject" }, signal),
  });
  return (
    <Section title={t("day.drafts")} icon={<PenLine className="size-5" />}>
      <Loaded query={query} rows={1}>
        {({ resources, included }) =>
          resources.length === 0 ? (
            <p className="text-sm text-muted">{t("day.noDrafts")}</p>
          ) : (
            <ul>
              {resources.map((one) => (
                <Line key={one.id} to={`/app/reports/${one.id ?? ""}`} title={conceptText(one.conclusionCode?.[0]) || conceptText(one.code)} detail={namesOf(included).get(idOf(one.subject)) ?? ""} end={format.date(one.effectiveDateTime)} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Section>
  );
}

function NewImages() {
  const { t } = useTranslation();
  const format = useFormat();
  const { arrived } = useLive();
  const query = useQuery({
    queryKey: ["new-images", arrived],
    queryFn: ({ signal }) => search<ImagingStudy>("ImagingStudy", { _sort: "-_lastUpdated", _count: LATEST, _include: "ImagingStudy:patient" }, signal),
    placeholderData: (previous) => previous,
  });
  return (
    <Section title={t("day.images")} icon={<ScanLine className="size-5" />}>
      <Loaded query={query} rows={1}>
        {({ resources, included }) =>
          resources.length === 0 ? (
            <p className="text-sm text-muted">{t("day.noImages")}</p>
          ) : (
            <ul>
              {resources.map((one) => (
                <Line
                  key={one.id}
                  to={`/app/studies/${one.id ?? ""}`}
                  title={namesOf(included).get(idOf(one.subject)) ?? t("unnamed")}
                  detail={[one.description, one.modality?.map(({ code }) => code).join(", "), t("viewer.images", { count: one.numberOfInstances ?? 0 })].filter(Boolean).join(" · ")}
                  end={format.dateTime(one.meta?.lastUpdated)}
                />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Section>
  );
}

import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "react-router";
import type { AllergyIntolerance, AuditEvent, Bundle, BundleEntry, FhirResource } from "fhir/r4";
import { Download, Eye, Mic, Phone, Search } from "lucide-react";
import { conceptText, page, requestor, search, searchAll } from "../fhir";
import { useFormat } from "../format";
import { get, list, type Patient, photoPath, save } from "../legacy";
import { type Consultation, told, useLive } from "../live";
import { json, ServerError } from "../server";
import { setSession, useSignedIn } from "../session";
import { Avatar, Badge, Button, buttonClass, Input, Select, TextArea } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded } from "../ui/states";
import { Timeline } from "../ui/timeline";

export function History() {
  const { t } = useTranslation();
  const { id, name } = useSignedIn();
  const download = useMutation({ mutationFn: () => saveEverything(id) });
  return (
    <>
      <Heading title={t("history.title")} before={<p className="mb-1 text-sm text-muted">{t("history.greeting", { name })}</p>}>
        <Button onClick={() => download.mutate()} busy={download.isPending}>
          <Download className="size-4" aria-hidden />
          {t("history.download")}
        </Button>
      </Heading>
      {download.error && <Failure error={download.error} />}
      <div className="grid items-start gap-8 lg:grid-cols-[1fr_17rem]">
        <div className="min-w-0">
          <Timeline patient={id} own />
        </div>
        <AtAGlance patient={id} />
      </div>
    </>
  );
}

/** Allergies and blood group: what an emergency asks for first. */
function AtAGlance({ patient }: { patient: string }) {
  const { t } = useTranslation();
  const person = useQuery({ queryKey: ["patient", patient], queryFn: ({ signal }) => get("patient", patient, signal) });
  const allergies = useQuery({
    queryKey: ["allergies", patient],
    queryFn: ({ signal }) => searchAll<AllergyIntolerance>("AllergyIntolerance", { patient }, signal),
  });
  return (
    <aside aria-label={t("glance.title")} className="card order-first flex flex-col gap-5 p-5 lg:sticky lg:top-24 lg:order-none">
      <h2>{t("glance.title")}</h2>
      <div>
        <p className="text-sm text-muted">{t("bloodType")}</p>
        <p className="text-2xl font-semibold">{person.data?.bloodType ?? "–"}</p>
      </div>
      <div>
        <p className="mb-1 text-sm text-muted">{t("allergies")}</p>
        <Loaded query={allergies} rows={1}>
          {(found) => (
            <ul className="flex flex-wrap gap-2">
              {found.map((one) => (
                <li key={one.id}>
                  <Badge tone="danger">{conceptText(one.code)}</Badge>
                </li>
              ))}
              {found.length === 0 && <li className="text-sm">{t("allergies.none")}</li>}
            </ul>
          )}
        </Loaded>
      </div>
      <Link to="/app/profile" className="text-sm font-medium text-brand underline underline-offset-4">
        {t("glance.change")}
      </Link>
    </aside>
  );
}

/** Everything about the patient, as one FHIR Bundle in a file. */
async function saveEverything(patient: string): Promise<void> {
  const entries: BundleEntry[] = [];
  let path: string | undefined = `/fhir/Patient/${patient}/$everything`;
  while (path) {
    const found: Bundle = await json<Bundle>(path);
    entries.push(...(found.entry ?? []));
    const next: string | undefined = found.link?.find((link) => link.relation === "next")?.url;
    const url: URL | undefined = next ? new URL(next, location.origin) : undefined;
    path = url && url.pathname + url.search;
  }
  const bundle: Bundle = { resourceType: "Bundle", type: "collection", entry: entries.map(({ fullUrl, resource }) => ({ fullUrl, resource })) };
  const url = URL.createObjectURL(new Blob([JSON.stringify(bundle, null, 2)], { type: "application/fhir+json" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = "hayat-record.json";
  anchor.click();
  URL.revokeObjectURL(url);
}

export function Doctors() {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [field, setField] = useState("");
  const query = useQuery({ queryKey: ["doctors"], queryFn: ({ signal }) => list("doctor", { sort: "name" }, signal) });
  const { online } = useLive();
  const navigate = useNavigate();
  const call = useMutation({
    mutationFn: (doctor: string) => json<Consultation>("/realtime/consultations", { method: "POST", json: { doctor } }),
    onSuccess: async (made) => {
      told(made);
      await navigate(`/app/calls/${made.id}`);
    },
  });
  const fields = useMemo(() => [...new Set(query.data?.map((one) => one.specialization.specialization))].sort(), [query.data]);
  const found = query.data?.filter(
    (one) => (!field || one.specialization.specialization === field) && `${one.name} ${one.hospital} ${one.specializationDetail}`.toLowerCase().includes(text.toLowerCase()),
  );
  return (
    <>
      <Heading title={t("doctors.title")}>
        <Link to="/app/devices" className={buttonClass("plain")}>
          <Mic className="size-4" aria-hidden />
          {t("devices.title")}
        </Link>
      </Heading>
      {call.error && (
        <div className="mb-6">{call.error instanceof ServerError && call.error.status === 409 ? <p role="alert">{t("call.busy")}</p> : <Failure error={call.error} />}</div>
      )}
      <form role="search" onSubmit={(event) => event.preventDefault()} className="mb-6 grid gap-4 sm:grid-cols-[1fr_16rem]">
        <Input label={t("doctors.search")} type="search" value={text} onChange={(event) => setText(event.target.value)} />
        <Select label={t("specialization")} value={field} onChange={(event) => setField(event.target.value)} options={[["", t("all")], ...fields.map((one) => [one, one] as const)]} />
      </form>
      <Loaded query={query}>
        {() =>
          found?.length ? (
            <ul className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
              {found.map((doctor) => (
                <li key={doctor.id} className="card flex flex-col gap-3 p-5">
                  <div className="flex items-center gap-3">
                    <Avatar name={doctor.name} photo={photoPath(doctor.photo)} size="size-14" />
                    <div className="min-w-0">
                      <h2 className="truncate">{doctor.name}</h2>
                      <p className="truncate text-sm text-muted">{doctor.hospital}</p>
                    </div>
                  </div>
                  <div>
                    <Badge tone="brand">{doctor.specialization.specialization}</Badge>
                  </div>
                  <p className="line-clamp-3 text-sm text-muted">{doctor.specializationDetail}</p>
                  <div className="mt-auto flex items-center justify-between gap-3 pt-2">
                    <Badge tone={online.has(doctor.id) ? "brand" : "neutral"}>{t(online.has(doctor.id) ? "presence.online" : "presence.offline")}</Badge>
                    <Button kind="primary" disabled={!online.has(doctor.id)} busy={call.isPending && call.variables === doctor.id} onClick={() => call.mutate(doctor.id)}>
                      <Phone className="size-4" aria-hidden />
                      {t("call.call")}
                      <span className="sr-only">{doctor.name}</span>
                    </Button>
                  </div>
                </li>
              ))}
            </ul>
          ) : (
            <Empty title={t("doctors.none")} icon={<Search className="size-6" />}>
              {t("doctors.noneText")}
            </Empty>
          )
        }
      </Loaded>
    </>
  );
}

interface Accesses {
  /** The latest of them. */
  event: AuditEvent;
  who: ReturnType<typeof requestor>;
  actions: string[];
  count: number;
  /** In an emergency: the reason that was given. */
  emergency: string | undefined;
}

/** What one person did within one hour, one after the other, with one outcome, is one line. */
function together(events: AuditEvent[], included: FhirResource[]): Accesses[] {
  const lines: Accesses[] = [];
  for (const event of events) {
    const who = requestor(event, included);
    const action = event.action ?? "E";
    const line = lines.at(-1);
    const emergency = event.purposeOfEvent?.find((one) => one.coding?.some((coding) => coding.code === "BTG" || coding.code === "ETREAT"))?.text;
    if (line && emergency === undefined && line.emergency === undefined && line.who.reference === who.reference && line.event.outcome === event.outcome && line.event.recorded.slice(0, 13) === event.recorded.slice(0, 13)) {
      line.count += 1;
      if (!line.actions.includes(action)) line.actions.push(action);
    } else lines.push({ event, who, actions: [action], count: 1, emergency });
  }
  return lines;
}

export function Access() {
  const { t } = useTranslation();
  const format = useFormat();
  const { id } = useSignedIn();
  const [path, setPath] = useState<string>();
  const query = useQuery({
    queryKey: ["access", id, path],
    queryFn: ({ signal }) => (path ? page<AuditEvent>(path, signal) : search<AuditEvent>("AuditEvent", { patient: id, _sort: "-date", _count: 100, _include: "AuditEvent:agent" }, signal)),
  });
  return (
    <>
      <Heading title={t("access.title")} before={undefined} />
      <p className="mb-6 max-w-2xl text-muted">{t("access.text")}</p>
      <Loaded query={query}>
        {({ resources, included, next }) =>
          resources.length === 0 ? (
            <Empty title={t("access.none")} icon={<Eye className="size-6" />} />
          ) : (
            <>
              <ul className="card divide-y divide-line">
                {together(resources, included).map(({ event, who, actions, count, emergency }) => {
                  return (
                    <li key={event.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-5 py-3.5">
                      <span className="font-medium">{who.reference === `Patient/${id}` ? t("access.you") : who.name || t(`role.${who.role}`, { defaultValue: t("access.unnamed") })}</span>
                      <span className="text-sm text-muted">
                        {emergency === undefined ? actions.map((action) => t(`action.${action}`)).join(", ") : t("access.emergency")}
                        {count > 1 && ` · ${t("access.times", { count })}`}
                      </span>
                      {emergency !== undefined && <Badge tone="danger">{t("access.emergencyBadge")}</Badge>}
                      {event.outcome && event.outcome !== "0" && <Badge tone="warn">{t("access.refused")}</Badge>}
                      <time dateTime={event.recorded} className="ms-auto text-sm text-muted">
                        {format.dateTime(event.recorded)}
                      </time>
                      {emergency !== undefined && (
                        <p className="w-full text-sm">
                          {t("access.reason")} <bdi>{emergency}</bdi>
                        </p>
                      )}
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

export function Pager({ first, next, go }: { first: boolean; next: string | undefined; go: (path: string | undefined) => void }) {
  const { t } = useTranslation();
  if (first && !next) return null;
  return (
    <div className="mt-4 flex justify-between">
      <Button onClick={() => go(undefined)} disabled={first}>
        {t("page.first")}
      </Button>
      <Button onClick={() => go(next)} disabled={!next}>
        {t("page.next")}
      </Button>
    </div>
  );
}

export function PatientProfile() {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const query = useQuery({ queryKey: ["patient", signedIn.id], queryFn: ({ signal }) => get("patient", signedIn.id, signal) });
  return (
    <>
      <Heading title={t("profile.title")} />
      <Loaded query={query}>{(person) => <PatientForm person={person} />}</Loaded>
    </>
  );
}

function PatientForm({ person }: { person: Patient }) {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (fields: Record<string, unknown>) => save("patient", person.id, fields),
    onSuccess: async (_, fields) => {
      setSession({ ...signedIn, name: String(fields.name) });
      await queries.invalidateQueries({ queryKey: ["patient", person.id] });
      await queries.invalidateQueries({ queryKey: ["allergies", person.id] });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { relativeName, relativePhone, relativeType, bloodType, ...fields } = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    const relative = Object.fromEntries(Object.entries({ name: relativeName, phoneNumber: relativePhone, relativeType }).filter(([, value]) => value));
    change.mutate({ ...fields, bloodType: bloodType || null, relative });
  };
  return (
    <form onSubmit={submit} className="card grid max-w-3xl gap-5 p-5 sm:grid-cols-2 sm:p-7">
      <Input label={t("name")} name="name" defaultValue={person.name} required />
      <Input label={t("phone")} name="phone" type="tel" defaultValue={person.phone} required />
      <Input className="sm:col-span-2" label={t("address")} name="currentAddress" autoComplete="street-address" defaultValue={person.currentAddress} />
      <Select
        label={t("bloodType")}
        name="bloodType"
        defaultValue={person.bloodType ?? ""}
        options={[["", t("unknown")], ["A", "A"], ["B", "B"], ["O", "O"], ["AB", "AB"]]}
      />
      <TextArea className="sm:col-span-2" label={t("allergies")} name="allergy" defaultValue={person.allergy} hint={t("allergies.hint")} />
      <fieldset className="grid gap-5 border-t border-line pt-5 sm:col-span-2 sm:grid-cols-3">
        <legend className="float-start mb-4 text-sm font-semibold">{t("relative")}</legend>
        <Input className="sm:col-start-1" label={t("name")} name="relativeName" defaultValue={person.relative?.name} />
        <Input label={t("phone")} name="relativePhone" type="tel" defaultValue={person.relative?.phoneNumber} />
        <Input label={t("relative.type")} name="relativeType" defaultValue={person.relative?.relativeType} />
      </fieldset>
      {change.error && (
        <div className="sm:col-span-2">
          <Failure error={change.error} />
        </div>
      )}
      <div className="flex items-center gap-4 sm:col-span-2">
        <Button type="submit" kind="primary" busy={change.isPending}>
          {t("save")}
        </Button>
        <p role="status" className="text-sm text-brand">
          {change.isSuccess ? t("saved") : ""}
        </p>
      </div>
    </form>
  );
}

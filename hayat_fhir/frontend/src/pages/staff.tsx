import { type FormEvent, lazy, Suspense, useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { AuditEvent, Patient, Practitioner } from "fhir/r4";
import { ArrowDown, ArrowUp, PencilLine, Plus, ScrollText, Search, Trash2 } from "lucide-react";
import { type Page, page, requestor, search } from "../fhir";
import { useFormat } from "../format";
import { type Entities, list, photoPath, remove, save } from "../legacy";
import { Avatar, Badge, Button, Input, Select, TextArea } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded, Skeleton } from "../ui/states";
import { Pager } from "./patient";
import { partners } from "./share-dialog";

const Activity = lazy(() => import("../charts/activity"));

type Kind = Exclude<keyof Entities, "medicalRecord">;
type Row = Record<string, unknown> & { id: string };

interface Column {
  name: string;
  sort?: boolean;
  wide?: boolean;
}

interface FieldOf {
  name: string;
  type?: "text" | "email" | "password" | "tel" | "date" | "number" | "file" | "gender" | "specialization" | "long";
  optional?: boolean;
  /** Only asked for when somebody is new. */
  initial?: boolean;
}

interface Table {
  columns: Column[];
  fields: FieldOf[];
  /** Whether staff may change an entry: people change their own. */
  editable: boolean;
}

const person: FieldOf[] = [
  { name: "name" },
  { name: "email", type: "email" },
  { name: "password", type: "password", initial: true },
  { name: "phone", type: "tel" },
  { name: "gender", type: "gender" },
];

const tables: Record<Kind, Table> = {
  patient: {
    columns: [{ name: "name", sort: true }, { name: "email" }, { name: "phone", wide: true }, { name: "birthdate", sort: true, wide: true }],
    fields: [...person, { name: "birthdate", type: "date" }, { name: "IDcard", type: "number" }],
    editable: false,
  },
  doctor: {
    columns: [{ name: "name", sort: true }, { name: "specialization" }, { name: "hospital", wide: true }, { name: "email", wide: true }],
    fields: [
      ...person,
      { name: "specialization", type: "specialization" },
      { name: "specializationDetail" },
      { name: "hospital" },
      { name: "background", type: "long" },
      { name: "photo", type: "file", optional: true },
    ],
    editable: false,
  },
  staff: {
    columns: [{ name: "name", sort: true }, { name: "position" }, { name: "email", wide: true }, { name: "phone", wide: true }],
    fields: [...person, { name: "position" }, { name: "salary", type: "number" }],
    editable: true,
  },
  specialization: {
    columns: [{ name: "specialization" }, { name: "detail", wide: true }],
    fields: [{ name: "specialization" }, { name: "detail", type: "long" }],
    editable: true,
  },
};

const SIZE = 20;

export function Manage() {
  const { kind } = useParams();
  return kind && kind in tables ? <ManageKind key={kind} kind={kind as Kind} /> : null;
}

function ManageKind({ kind }: { kind: Kind }) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [sort, setSort] = useState("name");
  const [number, setNumber] = useState(1);
  const [editing, setEditing] = useState<Row | "new" | null>(null);
  const [removing, setRemoving] = useState<Row | null>(null);
  const table = tables[kind];
  const title = kind === "specialization" ? "specialization" : "name";
  const wanted = useDeferredValue(text.trim());
  const query = useQuery({
    queryKey: ["manage", kind, wanted, sort, number],
    queryFn: async ({ signal }) => {
      const parameters: Record<string, string | number> = { page: number, limit: SIZE };
      if (wanted) parameters[title] = wanted;
      if (table.columns.some((column) => column.sort)) parameters.sort = sort;
      return (await list(kind, parameters, signal)) as unknown as Row[];
    },
    placeholderData: (previous) => previous,
  });
  return (
    <>
      <Heading title={t(`manage.${kind}`)}>
        <Button kind="primary" onClick={() => setEditing("new")}>
          <Plus className="size-4" aria-hidden />
          {t(`manage.add.${kind}`)}
        </Button>
      </Heading>
      <form role="search" onSubmit={(event) => event.preventDefault()} className="mb-5 max-w-xl">
        <Input
          label={t("manage.search")}
          hint={t("manage.searchHint")}
          type="search"
          value={text}
          onChange={(event) => {
            setNumber(1);
            setText(event.target.value);
          }}
        />
      </form>
      <Loaded query={query}>
        {(rows) =>
          rows.length === 0 && number === 1 ? (
            <Empty title={t("manage.none")} icon={<Search className="size-6" />}>
              {t(wanted ? "manage.noneFound" : "manage.noneYet")}
            </Empty>
          ) : (
            <>
              <div className="card overflow-x-auto" role="region" tabIndex={0} aria-label={t(`manage.${kind}`)}>
                <table className="w-full text-sm">
                  <thead>
                    <tr className="border-b border-line text-start text-muted">
                      {table.columns.map(({ name, sort: sortable, wide }) => (
                        <th
                          key={name}
                          scope="col"
                          className={`px-5 py-3 text-start font-medium ${wide ? "max-md:hidden" : ""}`}
                          aria-sort={sortable ? (sort === name ? "ascending" : sort === `-${name}` ? "descending" : "none") : undefined}
                        >
                          {sortable ? (
                            <button type="button" className="inline-flex min-h-8 items-center gap-1.5 hover:text-ink" onClick={() => setSort(sort === name ? `-${name}` : name)}>
                              {t(`field.${name}`)}
                              {sort === name && <ArrowUp className="size-3.5" aria-hidden />}
                              {sort === `-${name}` && <ArrowDown className="size-3.5" aria-hidden />}
                            </button>
                          ) : (
                            t(`field.${name}`)
                          )}
                        </th>
                      ))}
                      <th scope="col" className="px-5 py-3">
                        <span className="sr-only">{t("manage.actions")}</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody className="divide-y divide-line">
                    {rows.map((row) => (
                      <tr key={row.id} className="hover:bg-sunken">
                        {table.columns.map(({ name, wide }, index) => (
                          <td key={name} className={`px-5 py-3 ${wide ? "max-md:hidden" : ""} ${index === 0 ? "font-medium" : "text-muted"}`}>
                            {index === 0 && kind !== "specialization" ? (
                              <span className="flex items-center gap-3">
                                <Avatar name={shown(row, name)} size="size-9" photo={kind === "doctor" ? photoPath(row.photo as string) : undefined} />
                                {shown(row, name)}
                              </span>
                            ) : (
                              shown(row, name)
                            )}
                          </td>
                        ))}
                        <td className="px-3 py-2">
                          <span className="flex justify-end">
                            {table.editable && (
                              <Button kind="quiet" className="px-2.5" aria-label={t("manage.edit", { name: shown(row, title) })} onClick={() => setEditing(row)}>
                                <PencilLine className="size-4" aria-hidden />
                              </Button>
                            )}
                            <Button kind="quiet" className="px-2.5" aria-label={t("manage.remove", { name: shown(row, title) })} onClick={() => setRemoving(row)}>
                              <Trash2 className="size-4" aria-hidden />
                            </Button>
                          </span>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
              {(number > 1 || rows.length === SIZE) && (
                <div className="mt-4 flex items-center justify-between">
                  <Button disabled={number === 1} onClick={() => setNumber(number - 1)}>
                    {t("page.previous")}
                  </Button>
                  <span className="text-sm text-muted">{t("page.number", { number })}</span>
                  <Button disabled={rows.length < SIZE} onClick={() => setNumber(number + 1)}>
                    {t("page.next")}
                  </Button>
                </div>
              )}
            </>
          )
        }
      </Loaded>
      <EditDialog kind={kind} row={editing} close={() => setEditing(null)} />
      <RemoveDialog kind={kind} row={removing} name={removing ? shown(removing, title) : ""} close={() => setRemoving(null)} />
    </>
  );
}

function shown(row: Row, name: string): string {
  const value = row[name];
  if (value && typeof value === "object") return String((value as { specialization?: string }).specialization ?? "");
  return name === "birthdate" && typeof value === "string" ? value.slice(0, 10) : String(value ?? "");
}

function EditDialog({ kind, row, close }: { kind: Kind; row: Row | "new" | null; close: () => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const existing = row === "new" ? null : row;
  const fields = tables[kind].fields.filter((field) => !existing || !field.initial);
  const write = useMutation({
    mutationFn: (values: Record<string, unknown>) => save(kind, existing?.id ?? null, values),
    onSuccess: async () => {
      close();
      await queries.invalidateQueries({ queryKey: ["manage", kind] });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values: Record<string, unknown> = Object.fromEntries(new FormData(event.currentTarget));
    for (const { name, type } of fields) if (type === "number") values[name] = Number(values[name]);
    write.mutate(values);
  };
  return (
    <Dialog
      open={row !== null}
      close={() => {
        write.reset();
        close();
      }}
      title={t(existing ? "manage.change" : `manage.add.${kind}`)}
    >
      <form onSubmit={submit} className="grid gap-5 sm:grid-cols-2">
        {fields.map((field) => (
          <EditField key={field.name} field={field} value={existing ? shown(existing, field.name) : ""} />
        ))}
        {write.error && (
          <div className="sm:col-span-2">
            <Failure error={write.error} />
          </div>
        )}
        <div className="flex justify-end gap-3 sm:col-span-2">
          <Button onClick={close}>{t("cancel")}</Button>
          <Button type="submit" kind="primary" busy={write.isPending}>
            {t("save")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function EditField({ field: { name, type = "text", optional }, value }: { field: FieldOf; value: string }) {
  const { t } = useTranslation();
  const label = t(`field.${name}`);
  const specializations = useQuery({
    queryKey: ["specializations"],
    queryFn: ({ signal }) => list("specialization", {}, signal),
    enabled: type === "specialization",
  });
  const common = { label, name, required: !optional, defaultValue: value };
  if (type === "long") return <TextArea className="sm:col-span-2" {...common} />;
  if (type === "gender") return <Select {...common} options={[["Female", t("gender.Female")], ["Male", t("gender.Male")]]} />;
  if (type === "specialization") return <Select {...common} options={specializations.data?.map((one) => [one.id, one.specialization] as const) ?? []} />;
  if (type === "file") return <Input className="sm:col-span-2" label={label} name={name} type="file" accept="image/png,image/jpeg,image/webp" />;
  if (type === "password") return <Input {...common} type="password" autoComplete="new-password" minLength={15} hint={t("passwordHint")} />;
  return <Input {...common} type={type} min={type === "number" ? 0 : undefined} autoComplete="off" />;
}

function RemoveDialog({ kind, row, name, close }: { kind: Kind; row: Row | null; name: string; close: () => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const drop = useMutation({
    mutationFn: (id: string) => remove(kind, id),
    onSuccess: async () => {
      close();
      await queries.invalidateQueries({ queryKey: ["manage", kind] });
    },
  });
  return (
    <Dialog open={row !== null} close={close} title={t("manage.remove", { name })} description={t(`manage.removeText.${kind}`)}>
      {drop.error && <Failure error={drop.error} />}
      <div className="mt-2 flex justify-end gap-3">
        <Button onClick={close}>{t("cancel")}</Button>
        <Button kind="danger" busy={drop.isPending} onClick={() => row && drop.mutate(row.id)}>
          {t("manage.removeYes")}
        </Button>
      </div>
    </Dialog>
  );
}

/** The audit trail; a name stands for everybody who bears it. */
async function trail({ name, ...filter }: Record<string, string>, signal: AbortSignal): Promise<Page<AuditEvent>> {
  const parameters: Record<string, string | number | undefined> = { _sort: "-date", _count: 30, _include: "AuditEvent:agent", ...filter };
  if (name) {
    const [practitioners, patients] = await Promise.all([
      search<Practitioner>("Practitioner", { "name:contains": name, _count: 50 }, signal),
      search<Patient>("Patient", { "name:contains": name, _count: 50 }, signal),
    ]);
    const people = [...practitioners.resources, ...patients.resources].map((one) => `${one.resourceType}/${one.id ?? ""}`);
    if (people.length === 0) return { resources: [], included: [] };
    parameters.agent = people.join(",");
  }
  return search<AuditEvent>("AuditEvent", parameters, signal);
}

export function Audit() {
  const { t } = useTranslation();
  const format = useFormat();
  const [path, setPath] = useState<string>();
  const [filter, setFilter] = useState<Record<string, string>>({});
  const query = useQuery({
    queryKey: ["audit", path, filter],
    queryFn: ({ signal }) => (path ? page<AuditEvent>(path, signal) : trail(filter, signal)),
    placeholderData: (previous) => previous,
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { name = "", action = "", outcome = "", from = "" } = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    setPath(undefined);
    setFilter({ name, action, outcome, date: from && `ge${from}` });
  };
  return (
    <>
      <Heading title={t("nav.audit")} />
      <form role="search" onSubmit={submit} className="card mb-6 grid items-end gap-4 p-5 sm:grid-cols-2 lg:grid-cols-[1fr_10rem_10rem_11rem_auto]">
        <Input label={t("audit.who")} name="name" type="search" />
        <Select label={t("audit.action")} name="action" options={[["", t("all")], ...["C", "R", "U", "D", "E"].map((code) => [code, t(`action.${code}`)] as const)]} />
        <Select label={t("audit.outcome")} name="outcome" options={[["", t("all")], ["0", t("audit.ok")], ["4", t("audit.refused")]]} />
        <Input label={t("audit.from")} name="from" type="date" />
        <Button type="submit" kind="primary">
          <Search className="size-4" aria-hidden />
          {t("search")}
        </Button>
      </form>
      <Loaded query={query}>
        {({ resources, included, next }) =>
          resources.length === 0 ? (
            <Empty title={t("audit.none")} icon={<ScrollText className="size-6" />} />
          ) : (
            <>
              <div className="card overflow-x-auto" role="region" tabIndex={0} aria-label={t("nav.audit")}>
                <table className="w-full text-sm">
                  <thead>
                    <tr className="border-b border-line text-muted">
                      {["audit.when", "audit.who", "audit.action", "audit.what", "audit.outcome"].map((key, index) => (
                        <th key={key} scope="col" className={`px-5 py-3 text-start font-medium ${index === 3 ? "max-md:hidden" : ""}`}>
                          {t(key)}
                        </th>
                      ))}
                    </tr>
                  </thead>
                  <tbody className="divide-y divide-line">
                    {resources.map((event) => {
                      const who = requestor(event, included);
                      return (
                        <tr key={event.id}>
                          <td className="px-5 py-3 whitespace-nowrap text-muted">{format.dateTime(event.recorded)}</td>
                          <td className="px-5 py-3 font-medium">{who.name || t(`role.${who.role}`, { defaultValue: t("access.unnamed") })}</td>
                          <td className="px-5 py-3">{t(`action.${event.action ?? "E"}`)}</td>
                          <td className="px-5 py-3 text-muted max-md:hidden">{event.subtype?.[0]?.display ?? event.subtype?.[0]?.code ?? ""}</td>
                          <td className="px-5 py-3">
                            {event.outcome === "0" || !event.outcome ? <Badge tone="brand">{t("audit.ok")}</Badge> : <Badge tone="warn">{t("audit.refused")}</Badge>}
                          </td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </div>
              <Pager first={path === undefined} next={next} go={setPath} />
            </>
          )
        }
      </Loaded>
    </>
  );
}

export function Overview() {
  const { t } = useTranslation();
  const format = useFormat();
  const figures = useQuery({
    queryKey: ["figures"],
    queryFn: async ({ signal }) => {
      const count = async (type: "Patient" | "Practitioner" | "Organization", parameters = {}) => (await search(type, { _summary: "count", ...parameters }, signal)).total ?? 0;
      const [patient, people, partner] = await Promise.all([count("Patient"), count("Practitioner"), partners(signal)]);
      return { patients: patient, people, partners: partner.length };
    },
  });
  const links = { patients: "/app/manage/patient", people: "/app/manage/doctor", partners: "/app/partners" } as const;
  return (
    <>
      <Heading title={t("overview.title")} />
      <Loaded query={figures} rows={1}>
        {(found) => (
          <ul className="mb-6 grid gap-4 sm:grid-cols-3">
            {(Object.keys(links) as (keyof typeof links)[]).map((name) => (
              <li key={name} className="card relative p-5 transition-colors has-[a:hover]:border-brand">
                <p className="text-3xl font-semibold tabular-nums">{format.number(found[name])}</p>
                <Link to={links[name]} className="text-sm text-muted after:absolute after:inset-0">
                  {t(`overview.${name}`)}
                </Link>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <Suspense fallback={<Skeleton rows={2} />}>
        <Activity />
      </Suspense>
    </>
  );
}

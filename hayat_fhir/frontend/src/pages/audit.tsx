import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import type { AuditEvent, Patient, Practitioner } from "fhir/r4";
import { ScrollText, Search } from "lucide-react";
import { type Page, page, requestor, search } from "../fhir";
import { useFormat } from "../format";
import { Badge, Button, Input, Select } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Pager } from "../ui/pager";
import { Empty, Loaded } from "../ui/states";

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
                          <td className="px-5 py-3 text-muted max-md:hidden">{[event.subtype?.[0]?.display ?? event.subtype?.[0]?.code, ...typesOf(event)].filter(Boolean).join(" · ")}</td>
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

/** The types of what it was about. */
function typesOf(event: AuditEvent): string[] {
  return [...new Set(event.entity?.flatMap(({ what }) => what?.reference?.split("/")[0] ?? []))];
}

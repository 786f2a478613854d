import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import type { AuditEvent, FhirResource } from "fhir/r4";
import { Eye } from "lucide-react";
import { page, requestor, search } from "../fhir";
import { useFormat } from "../format";
import { useSignedIn } from "../session";
import { Badge } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Pager } from "../ui/pager";
import { Empty, Loaded } from "../ui/states";

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

import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Patient } from "fhir/r4";
import { Bell, BellRing, X } from "lucide-react";
import { Popover } from "radix-ui";
import { personName, read } from "../fhir";
import { useFormat } from "../format";
import { clearNotices, type Notice, seen, useLive } from "../live";
import { type Role, useSignedIn } from "../session";
import { Button } from "./controls";

const AT_ONCE = 3;
const pages: Record<string, string> = { ImagingStudy: "/app/studies", DiagnosticReport: "/app/reports", Patient: "/app/patients" };
const desks: Record<Notice["kind"], string> = { "study-arrived": "/app/inbox", "report-signed": "/app", "share-delivered": "/app/outbox", "glass-broken": "/app/audit" };

/** Where a notice leads: clinicians and patients to what it is about, the staff to their desk. */
export function target(notice: Notice, role: Role): string | undefined {
  if (role === "staff") return desks[notice.kind];
  const [type = "", id = ""] = notice.reference.split("/");
  if (type === "Patient") return role === "doctor" ? `/app/patients/${id}` : "/app/sharing";
  if (type === "AuditEvent") return role === "patient" ? "/app/access" : undefined;
  const path = pages[type];
  return path && `${path}/${id}`;
}

/** What a notice says; to those who look after several, of which patient. */
function Text({ notice }: { notice: Notice }) {
  const { t } = useTranslation();
  const { role } = useSignedIn();
  const reference = role !== "patient" && notice.patient.startsWith("Patient/") ? notice.patient : undefined;
  const person = useQuery({
    queryKey: ["person", reference?.slice("Patient/".length)],
    queryFn: ({ signal }) => read<Patient>(reference ?? "", signal),
    enabled: reference !== undefined,
    retry: false,
  });
  return (
    <>
      {t(`notice.${notice.kind}`)}
      {person.data && (
        <span className="block text-muted">
          <bdi>{personName(person.data.name)}</bdi>
        </span>
      )}
    </>
  );
}

function Open({ notice, className }: { notice: Notice; className?: string }) {
  const { t } = useTranslation();
  const { role } = useSignedIn();
  const path = target(notice, role);
  if (!path) return null;
  return (
    <Link to={path} className={className ?? "text-brand underline underline-offset-4"} onClick={() => seen(notice)}>
      {t("notice.open")}
    </Link>
  );
}

/** What has just happened, for a moment. */
export function Notices() {
  const { t } = useTranslation();
  const { notices } = useLive();
  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed end-4 top-18 z-40 flex w-80 max-w-[calc(100vw-2rem)] flex-col gap-3">
      {notices
        .filter((notice) => !notice.seen)
        .slice(0, AT_ONCE)
        .map((notice) => (
          <div key={`${notice.reference}${notice.at}`} className="card pointer-events-auto flex items-start gap-3 p-4 text-sm shadow-lg">
            <BellRing className="mt-0.5 size-4 shrink-0 text-brand" aria-hidden />
            <div className="flex-1">
              <p>
                <Text notice={notice} />
              </p>
              <Open notice={notice} />
            </div>
            <button type="button" aria-label={t("close")} className="-m-2 grid size-10 place-items-center text-muted" onClick={() => seen(notice)}>
              <X className="size-4" aria-hidden />
            </button>
          </div>
        ))}
    </div>
  );
}

/** All that has happened while this tab is open, behind a bell. */
export function NoticeList() {
  const { t } = useTranslation();
  const format = useFormat();
  const { notices } = useLive();
  return (
    <Popover.Root>
      <Popover.Trigger className="relative grid size-11 place-items-center rounded-lg text-muted hover:bg-sunken hover:text-ink" aria-label={t("notice.list", { number: format.number(notices.length) })}>
        <Bell className="size-5" aria-hidden />
        {notices.length > 0 && (
          <span aria-hidden className="absolute end-1 top-1 grid min-w-4.5 place-items-center rounded-full bg-brand px-1 text-[0.6875rem] leading-4.5 font-semibold text-on-brand tabular-nums">
            {format.number(notices.length)}
          </span>
        )}
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content align="end" sideOffset={6} collisionPadding={12} aria-label={t("notice.title")} className="card z-50 flex max-h-[70dvh] w-88 max-w-[calc(100vw-1.5rem)] flex-col overflow-hidden shadow-lg">
          <div className="flex items-center justify-between gap-3 border-b border-line px-4 py-2">
            <p className="font-semibold">{t("notice.title")}</p>
            {notices.length > 0 && (
              <Button kind="quiet" onClick={clearNotices}>
                {t("notice.clear")}
              </Button>
            )}
          </div>
          {notices.length === 0 ? (
            <p className="p-6 text-center text-sm text-muted">{t("notice.none")}</p>
          ) : (
            <ul className="divide-y divide-line overflow-y-auto">
              {notices.map((notice) => (
                <li key={`${notice.reference}${notice.at}`} className="flex items-start justify-between gap-4 px-4 py-3 text-sm">
                  <div>
                    <p>
                      <Text notice={notice} />
                    </p>
                    <time dateTime={notice.at} className="text-xs text-muted">
                      {format.dateTime(notice.at)}
                    </time>
                  </div>
                  <Open notice={notice} />
                </li>
              ))}
            </ul>
          )}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

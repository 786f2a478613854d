import type { ReactNode } from "react";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { CircleAlert, Inbox } from "lucide-react";
import { ServerError } from "../server";
import { Button } from "./controls";

/** What went wrong and what to do, in the reader's words. */
export function explain(error: unknown, t: TFunction): string {
  if (!(error instanceof ServerError)) return t("error.unknown");
  const known: Record<number, string> = { 0: "error.offline", 401: "error.session", 403: "error.forbidden", 404: "error.missing", 413: "error.large", 429: "error.throttled" };
  if (error.status === 403 && error.message.includes("consent")) return t("error.consent");
  const key = known[error.status];
  if (key) return t(key);
  if (error.status >= 500) return t("error.server");
  if (error.status === 409 && error.message.includes("e-mail")) return t("error.email");
  if (error.status === 409 || error.status === 412) return t("error.conflict");
  return error.message ? `${t("error.refused")} ${error.message}` : t("error.refused");
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation();
  return (
    <div role="alert" className="flex items-start gap-3 rounded-card border border-danger/40 bg-danger-soft p-4 text-sm text-danger">
      <CircleAlert className="mt-0.5 size-5 shrink-0" aria-hidden />
      <div className="flex flex-1 flex-wrap items-center justify-between gap-3">
        <p>{explain(error, t)}</p>
        {retry && (
          <Button kind="danger" onClick={retry}>
            {t("again")}
          </Button>
        )}
      </div>
    </div>
  );
}

export function Empty({ title, children, icon }: { title: string; children?: ReactNode; icon?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-2 rounded-card border border-dashed border-line px-6 py-12 text-center">
      <span className="mb-1 grid size-12 place-items-center rounded-full bg-brand-soft text-brand-strong" aria-hidden>
        {icon ?? <Inbox className="size-6" />}
      </span>
      <p className="font-medium">{title}</p>
      {children && <div className="max-w-md text-sm text-muted">{children}</div>}
    </div>
  );
}

export function Skeleton({ rows = 3 }: { rows?: number }) {
  const { t } = useTranslation();
  return (
    <div role="status" aria-label={t("loading")} className="flex flex-col gap-3">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="h-20 animate-pulse rounded-card bg-sunken" />
      ))}
    </div>
  );
}

interface Query<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

/** A query's three states; children see its data only. */
export function Loaded<T>({ query, rows, children }: { query: Query<T>; rows?: number; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isPending && !query.error) return <Skeleton rows={rows} />;
  return <Failure error={query.error} retry={() => void query.refetch()} />;
}

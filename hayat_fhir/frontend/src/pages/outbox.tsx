import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Bundle, Organization, Patient, Task } from "fhir/r4";
import { RotateCw, Send, X } from "lucide-react";
import { idOf, personName, read, search } from "../fhir";
import { useFormat } from "../format";
import { useLive } from "../live";
import { parameters } from "../parameters";
import { json } from "../server";
import { Badge, Button, Select } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded } from "../ui/states";

const states = ["any", "waiting", "running", "failed", "done", "cancelled"] as const;
const tones: Record<string, "neutral" | "brand" | "info" | "warn" | "danger"> = { waiting: "warn", running: "info", done: "brand", failed: "danger" };
const REFRESHED = 5_000;

interface Shares {
  tasks: Task[];
  names: Map<string, string>;
}

async function load(state: string, signal: AbortSignal): Promise<Shares> {
  const bundle = await json<Bundle<Task>>(`/fhir/$outbox?state=${state}&_count=50`, { signal });
  const tasks = bundle.entry?.flatMap((one) => one.resource ?? []) ?? [];
  const patients = [...new Set(tasks.map((task) => idOf(task.for)))];
  const partners = [...new Set(tasks.map((task) => task.owner?.reference ?? ""))].filter(Boolean);
  const [people, hospitals] = await Promise.all([
    patients.length > 0 ? search<Patient>("Patient", { _id: patients.join(","), _count: patients.length }, signal) : undefined,
    Promise.allSettled(partners.map((one) => read<Organization>(one, signal))),
  ]);
  const names = new Map((people?.resources ?? []).map((one) => [`Patient/${one.id ?? ""}`, personName(one.name)]));
  hospitals.forEach((one, index) => {
    if (one.status === "fulfilled") names.set(partners[index] ?? "", one.value.name ?? "");
  });
  return { tasks, names };
}

/** What is on its way to partner hospitals, and what the staff do about what does not arrive. */
export function Outbox() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { notices } = useLive();
  const [state, setState] = useState<string>("any");
  const query = useQuery({ queryKey: ["outbox", state], queryFn: ({ signal }) => load(state, signal), refetchInterval: REFRESHED, placeholderData: (previous) => previous });
  const delivered = notices.filter((one) => one.kind === "share-delivered").length;
  useEffect(() => {
    if (delivered > 0) void queries.invalidateQueries({ queryKey: ["outbox"] });
  }, [delivered, queries]);
  return (
    <>
      <Heading title={t("nav.outbox")} />
      <p className="mb-5 max-w-2xl text-muted">{t("outbox.text")}</p>
      <Select
        className="mb-6 max-w-60"
        label={t("quarantine.show")}
        value={state}
        onChange={(event) => setState(event.target.value)}
        options={states.map((one) => [one, t(`outbox.state.${one}`)] as const)}
      />
      <Loaded query={query}>
        {({ tasks, names }) =>
          tasks.length === 0 ? (
            <Empty title={t("outbox.none")} icon={<Send className="size-6" />}>
              {t("outbox.noneText")}
            </Empty>
          ) : (
            <ul className="flex flex-col gap-4">
              {tasks.map((task) => (
                <Delivery key={task.id} task={task} names={names} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </>
  );
}

function Delivery({ task, names }: { task: Task; names: Map<string, string> }) {
  const { t } = useTranslation();
  const format = useFormat();
  const queries = useQueryClient();
  const order = useMutation({
    mutationFn: (wanted: "retry" | "cancel") => json("/fhir/$outbox", { method: "POST", json: parameters({ id: task.id ?? "", order: wanted }) }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["outbox"] }),
  });
  const state = task.businessStatus?.text ?? "";
  const partner = names.get(task.owner?.reference ?? "") ?? t("unnamed");
  const patient = names.get(task.for?.reference ?? "") ?? t("unnamed");
  const output = (name: string) => task.output?.find((one) => one.type.text === name)?.valueInteger ?? 0;
  const next = task.restriction?.period?.start;
  const facts: [string, string][] = [
    ["outbox.asked", format.dateTime(task.authoredOn)],
    ["outbox.attempts", format.number(task.input?.[0]?.valueInteger ?? 0)],
    state === "done" ? ["outbox.arrived", t("outbox.counts", { resources: output("resources"), images: output("images") })] : ["outbox.next", next ? format.dateTime(next) : "–"],
  ];
  return (
    <li className="card flex flex-col gap-4 p-5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h2>{t("outbox.delivery", { patient, partner })}</h2>
        <span className="ms-auto">
          <Badge tone={tones[state] ?? "neutral"}>{t(`outbox.state.${state}`, { defaultValue: state })}</Badge>
        </span>
      </div>
      <dl className="grid gap-4 text-sm sm:grid-cols-3">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt className="text-xs text-muted">{t(label)}</dt>
            <dd className="font-medium">{value}</dd>
          </div>
        ))}
      </dl>
      {task.statusReason?.text && state !== "done" && (
        <p className="rounded-lg bg-warn-soft p-3 text-sm text-warn">
          <span className="font-medium">{t("outbox.problem")}:</span> <bdi>{task.statusReason.text}</bdi>
        </p>
      )}
      {order.error && <Failure error={order.error} />}
      {state !== "done" && (
        <div className="flex flex-wrap items-center justify-end gap-3">
          {state === "failed" && (
            <Link to="/app/partners" className="me-auto text-sm text-brand underline">
              {t("outbox.toPartners")}
            </Link>
          )}
          {(state === "waiting" || state === "running") && (
            <Button kind="danger" busy={order.isPending && order.variables === "cancel"} onClick={() => order.mutate("cancel")} aria-label={t("outbox.cancelOf", { patient, partner })}>
              <X className="size-4" aria-hidden />
              {t("outbox.cancel")}
            </Button>
          )}
          {state !== "running" && (
            <Button kind="primary" busy={order.isPending && order.variables === "retry"} onClick={() => order.mutate("retry")} aria-label={t("outbox.retryOf", { patient, partner })}>
              <RotateCw className="size-4" aria-hidden />
              {t("outbox.retry")}
            </Button>
          )}
        </div>
      )}
    </li>
  );
}

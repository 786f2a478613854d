import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Bundle, Organization, Parameters, Task } from "fhir/r4";
import { Inbox, ScanLine } from "lucide-react";
import { read } from "../fhir";
import { useFormat } from "../format";
import { json } from "../server";
import { Badge, Button, Select, TextArea } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded } from "../ui/states";

const states = ["open", "accepted", "rejected", "withheld", "superseded", "any"] as const;
const tones: Record<string, "warn" | "brand" | "danger" | "neutral"> = { open: "warn", accepted: "brand", rejected: "danger" };
const REFRESHED = 15_000;
const MOST = 500;

/** Images of one study that wait, or have been decided, together. */
interface Group {
  key: string;
  study: string;
  state: string;
  reasons: string[];
  differs: string[];
  patient: string;
  sender: string;
  received: string;
  entries: Task[];
}

interface Decision {
  kind: "accept" | "reject" | "reverse";
  group: Group;
}

function inputs(task: Task, name: string): string[] {
  return task.input?.filter((one) => one.type.text === name).map((one) => one.valueCode ?? one.valueUri ?? "") ?? [];
}

function grouped(tasks: Task[]): Group[] {
  const state = (task: Task) => task.businessStatus?.text ?? "";
  const study = (task: Task) => inputs(task, "Study Instance UID")[0]?.replace("urn:oid:", "") ?? "";
  return [...Map.groupBy(tasks, (task) => `${state(task)} ${study(task)}`)].flatMap(([key, entries]) => {
    const [first] = entries;
    if (!first) return [];
    const reasons = [...new Set(entries.map((one) => one.reasonCode?.text ?? ""))];
    const differs = [...new Set(entries.flatMap((one) => inputs(one, "differs")))];
    const sender = first.requester?.reference ?? "";
    return [{ key, study: study(first), state: state(first), reasons, differs, patient: first.for?.identifier?.value ?? "", sender, received: first.authoredOn ?? "", entries }];
  });
}

async function load(state: string, signal: AbortSignal): Promise<{ groups: Group[]; names: Map<string, string> }> {
  const bundle = await json<Bundle<Task>>(`/fhir/$quarantine?state=${state}&_count=${String(MOST)}`, { signal });
  const groups = grouped(bundle.entry?.flatMap((one) => one.resource ?? []) ?? []);
  const senders = [...new Set(groups.map((group) => group.sender))].filter(Boolean);
  const found = await Promise.allSettled(senders.map((sender) => read<Organization>(sender, signal)));
  const names = found.flatMap((one, index) => (one.status === "fulfilled" ? [[senders[index] ?? "", one.value.name ?? ""] as const] : []));
  return { groups, names: new Map(names) };
}

/** Images that contradict what is stored, and what the staff decide about them. */
export function Quarantine() {
  const { t } = useTranslation();
  const [state, setState] = useState<string>("open");
  const [decision, setDecision] = useState<Decision | null>(null);
  const query = useQuery({ queryKey: ["quarantine", state], queryFn: ({ signal }) => load(state, signal), refetchInterval: REFRESHED });
  return (
    <>
      <Heading title={t("nav.quarantine")} />
      <p className="mb-5 max-w-2xl text-muted">{t("quarantine.text")}</p>
      <Select
        className="mb-6 max-w-60"
        label={t("quarantine.show")}
        value={state}
        onChange={(event) => setState(event.target.value)}
        options={states.map((one) => [one, t(`quarantine.state.${one}`)] as const)}
      />
      <Loaded query={query}>
        {({ groups, names }) =>
          groups.length === 0 ? (
            <Empty title={t("quarantine.none")} icon={<Inbox className="size-6" />}>
              {t(state === "open" ? "quarantine.noneOpen" : "quarantine.noneSuch")}
            </Empty>
          ) : (
            <ul className="flex flex-col gap-4">
              {groups.map((group) => (
                <Conflict key={group.key} group={group} sender={names.get(group.sender) ?? ""} decide={(kind) => setDecision({ kind, group })} />
              ))}
            </ul>
          )
        }
      </Loaded>
      <DecisionDialog decision={decision} close={() => setDecision(null)} />
    </>
  );
}

function Conflict({ group, sender, decide }: { group: Group; sender: string; decide: (kind: Decision["kind"]) => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const notes = group.entries[0]?.note ?? [];
  const facts: [string, string][] = [
    ["quarantine.patient", group.patient],
    ["quarantine.sender", sender],
    ["quarantine.received", format.dateTime(group.received)],
  ];
  return (
    <li className="card flex flex-col gap-4 p-5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <ScanLine className="size-5 text-muted" aria-hidden />
        <h2>{t("viewer.images", { count: group.entries.length })}</h2>
        <span className="ms-auto">
          <Badge tone={tones[group.state] ?? "neutral"}>{t(`quarantine.state.${group.state}`, { defaultValue: group.state })}</Badge>
        </span>
      </div>
      {group.reasons.map((reason) => (
        <p key={reason}>
          {t(`quarantine.reason.${reason}`, { defaultValue: reason })}{" "}
          {group.differs.length > 0 && <span className="font-medium">{group.differs.map((name) => t(`quarantine.differs.${name}`, { defaultValue: name })).join(", ")}</span>}
        </p>
      ))}
      <dl className="grid gap-4 text-sm sm:grid-cols-3">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt className="text-xs text-muted">{t(label)}</dt>
            <dd className="font-medium">
              <bdi>{value || "–"}</bdi>
            </dd>
          </div>
        ))}
        <div className="sm:col-span-3">
          <dt className="text-xs text-muted">{t("quarantine.study")}</dt>
          <dd className="text-xs break-all text-muted">
            <bdi dir="ltr">{group.study}</bdi>
          </dd>
        </div>
      </dl>
      {notes.length > 0 && (
        <ul className="flex flex-col gap-1 border-t border-line pt-3 text-sm text-muted">
          {notes.map((note) => (
            <li key={`${note.time ?? ""}${note.text}`}>
              <time dateTime={note.time}>{format.dateTime(note.time)}</time> · <bdi>{note.text}</bdi>
            </li>
          ))}
        </ul>
      )}
      <div className="flex flex-wrap justify-end gap-3">
        {group.state === "open" && (
          <Button kind="danger" onClick={() => decide("reject")}>
            {t("quarantine.reject")}
          </Button>
        )}
        {(group.state === "open" || group.state === "withheld") && (
          <Button kind="primary" onClick={() => decide("accept")}>
            {t("quarantine.accept")}
          </Button>
        )}
        {(group.state === "accepted" || group.state === "rejected") && <Button onClick={() => decide("reverse")}>{t("quarantine.reverse")}</Button>}
      </div>
    </li>
  );
}

function DecisionDialog({ decision, close }: { decision: Decision | null; close: () => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const resolve = useMutation({
    mutationFn: async ({ kind, group, reason }: Decision & { reason: string }) => {
      for (const { id } of group.entries) {
        const parameter = Object.entries({ decision: kind, reason, id: id ?? "" }).map(([name, valueString]) => ({ name, valueString }));
        const body: Parameters = { resourceType: "Parameters", parameter };
        await json<Bundle>("/fhir/$quarantine", { method: "POST", json: body });
      }
    },
    onSuccess: close,
    onSettled: () => queries.invalidateQueries({ queryKey: ["quarantine"] }),
  });
  const end = () => {
    resolve.reset();
    close();
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (decision) resolve.mutate({ ...decision, reason: new FormData(event.currentTarget).get("reason") as string });
  };
  const kind = decision?.kind ?? "accept";
  return (
    <Dialog open={decision !== null} close={end} title={t(`quarantine.${kind}`)} description={t(`quarantine.${kind}Text`)}>
      <form onSubmit={submit} className="flex flex-col gap-5">
        {kind === "accept" && decision?.group.reasons.map((reason) => <p key={reason}>{t(`quarantine.effect.${reason}`, { defaultValue: "" })}</p>)}
        <TextArea label={t("quarantine.why")} name="reason" required maxLength={1000} hint={t("quarantine.whyHint")} />
        {resolve.error && <Failure error={resolve.error} />}
        <div className="flex justify-end gap-3">
          <Button onClick={end}>{t("cancel")}</Button>
          <Button type="submit" kind={kind === "reject" ? "danger" : "primary"} busy={resolve.isPending}>
            {t(`quarantine.${kind}`)}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

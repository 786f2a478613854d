import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Bundle, Parameters } from "fhir/r4";
import { Cable, CircleCheck, CircleX, Handshake, KeyRound, PencilLine, Plus } from "lucide-react";
import { parameters, valueOf, valuesOf } from "../parameters";
import { json } from "../server";
import { Badge, Button, Input, Select, TextArea } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded } from "../ui/states";

interface Partner {
  id: string;
  name: string;
  fhirUrl: string;
  jwksUrl: string;
  keys: string[];
  aeTitle: string;
  host: string;
  port: string;
  tls: boolean;
  certificate: string;
  disabled: boolean;
}

type Doing = { what: "edit" | "keys" | "disable"; partner: Partner } | { what: "register"; partner?: undefined };

function partnerOf(resource: Parameters): Partner {
  const all = resource.parameter;
  return {
    id: resource.id ?? "",
    name: all?.find((one) => one.name === "organization")?.valueReference?.display ?? "",
    fhirUrl: valueOf(all, "fhir-url"),
    jwksUrl: valueOf(all, "jwks-url"),
    keys: valuesOf(all, "key"),
    aeTitle: valueOf(all, "ae-title"),
    host: valueOf(all, "host"),
    port: valueOf(all, "port"),
    tls: valueOf(all, "tls") === "true",
    certificate: valueOf(all, "certificate"),
    disabled: valueOf(all, "disabled") === "true",
  };
}

async function load(signal: AbortSignal): Promise<Partner[]> {
  const bundle = await json<Bundle<Parameters>>("/fhir/Organization/$partners", { signal });
  return (bundle.entry ?? []).flatMap((one) => (one.resource ? [partnerOf(one.resource)] : []));
}

/** Partner hospitals: who they are, the keys they sign with, their doors, and whether these answer. */
export function Partners() {
  const { t } = useTranslation();
  const [doing, setDoing] = useState<Doing | null>(null);
  const query = useQuery({ queryKey: ["partner-list"], queryFn: ({ signal }) => load(signal) });
  const close = () => setDoing(null);
  return (
    <>
      <Heading title={t("partners.title")}>
        <Button kind="primary" onClick={() => setDoing({ what: "register" })}>
          <Plus className="size-4" aria-hidden />
          {t("partners.register")}
        </Button>
      </Heading>
      <p className="mb-6 max-w-2xl text-muted">{t("partners.about")}</p>
      <Loaded query={query}>
        {(all) =>
          all.length === 0 ? (
            <Empty title={t("partners.none")} icon={<Handshake className="size-6" />}>
              {t("partners.noneText")}
            </Empty>
          ) : (
            <ul className="grid gap-4 xl:grid-cols-2">
              {all.map((partner) => (
                <Card key={partner.id} partner={partner} start={(what) => setDoing({ what, partner })} />
              ))}
            </ul>
          )
        }
      </Loaded>
      <DetailsDialog doing={doing} close={close} />
      <KeysDialog partner={doing?.what === "keys" ? doing.partner : null} close={close} />
      <DisableDialog partner={doing?.what === "disable" ? doing.partner : null} close={close} />
    </>
  );
}

function Card({ partner, start }: { partner: Partner; start: (what: "edit" | "keys" | "disable") => void }) {
  const { t } = useTranslation();
  const enable = useChange(partner.id, () => undefined);
  const test = useMutation({ mutationFn: () => json<Parameters>(`/fhir/Organization/${partner.id}/$test-connection`, { method: "POST" }) });
  const facts: [string, string][] = [
    ["partners.fhir", partner.fhirUrl],
    ["partners.dicom", partner.aeTitle && `${partner.aeTitle} @ ${partner.host}:${partner.port}${partner.tls ? " (TLS)" : ""}`],
    ...(partner.certificate ? [["partners.certificate", `SHA-256 ${partner.certificate}`] satisfies [string, string]] : []),
    ["partners.keys", partner.jwksUrl || partner.keys.join(", ") || t("partners.noKeys")],
  ];
  return (
    <li className="card flex flex-col gap-4 p-5">
      <div className="flex items-start justify-between gap-3">
        <h2 className="min-w-0 break-words">{partner.name}</h2>
        <Badge tone={partner.disabled ? "warn" : "brand"}>{t(partner.disabled ? "partners.disabled" : "partners.active")}</Badge>
      </div>
      <dl className="grid gap-3 text-sm">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt className="text-xs text-muted">{t(label)}</dt>
            <dd className="break-all">
              <bdi>{value || "–"}</bdi>
            </dd>
          </div>
        ))}
      </dl>
      <div role="status" className="flex flex-col gap-2 empty:hidden">
        {test.data?.parameter?.map((one) => <Outcome key={one.name} door={one.name} outcome={valueOf(one.part, "outcome")} detail={valueOf(one.part, "detail")} />)}
        {test.data && !test.data.parameter?.length && <p className="text-sm text-muted">{t("partners.noDoors")}</p>}
      </div>
      {(test.error ?? enable.error) && <Failure error={test.error ?? enable.error} />}
      <div className="mt-auto flex flex-wrap gap-x-1 gap-y-2 border-t border-line pt-4">
        {!partner.disabled && (
          <Button busy={test.isPending} onClick={() => test.mutate()} aria-label={t("partners.testOf", { name: partner.name })}>
            <Cable className="size-4" aria-hidden />
            {t("partners.test")}
          </Button>
        )}
        <Button kind="quiet" className="px-3" onClick={() => start("edit")} aria-label={t("manage.edit", { name: partner.name })}>
          <PencilLine className="size-4" aria-hidden />
          {t("partners.edit")}
        </Button>
        <Button kind="quiet" className="px-3" onClick={() => start("keys")} aria-label={t("partners.keysOf", { name: partner.name })}>
          <KeyRound className="size-4" aria-hidden />
          {t("partners.keys")}
        </Button>
        {partner.disabled ? (
          <Button kind="quiet" busy={enable.isPending} onClick={() => enable.mutate({ disabled: false })} aria-label={t("partners.enableOf", { name: partner.name })}>
            {t("partners.enable")}
          </Button>
        ) : (
          <Button kind="quiet" className="px-3" onClick={() => start("disable")} aria-label={t("partners.disableOf", { name: partner.name })}>
            {t("partners.disable")}
          </Button>
        )}
      </div>
    </li>
  );
}

function Outcome({ door, outcome, detail }: { door: string; outcome: string; detail: string }) {
  const { t } = useTranslation();
  const passed = outcome === "passed";
  const Icon = passed ? CircleCheck : CircleX;
  return (
    <div className={`flex items-start gap-3 rounded-lg p-3 text-sm ${passed ? "bg-brand-soft text-brand-strong" : "bg-warn-soft text-warn"}`}>
      <Icon className="mt-0.5 size-4 shrink-0" aria-hidden />
      <p>
        <span className="font-medium">{t(`partners.${door}`)}:</span> {t(`partners.outcome.${outcome}`)} {detail && <bdi>({passed ? `FHIR ${detail}` : detail})</bdi>}
      </p>
    </div>
  );
}

/** Writes by an operation on partners, and has the lists of them read anew. */
function useWrite(path: string, done: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (values: Record<string, string | number | boolean>) => json(path, { method: "POST", json: parameters(values) }),
    onSuccess: async () => {
      done();
      await Promise.all([queries.invalidateQueries({ queryKey: ["partner-list"] }), queries.invalidateQueries({ queryKey: ["partners"] })]);
    },
  });
}

function useChange(id: string | undefined, done: () => void) {
  return useWrite(`/fhir/Organization/${id ?? ""}/$partner`, done);
}

function DetailsDialog({ doing, close }: { doing: Doing | null; close: () => void }) {
  const { t } = useTranslation();
  const partner = doing?.what === "edit" ? doing.partner : null;
  const [keys, setKeys] = useState("jwks-url");
  const change = useChange(partner?.id, close);
  const register = useWrite("/fhir/Organization/$partners", close);
  const write = partner ? change : register;
  const end = () => {
    write.reset();
    close();
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = Object.entries(Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>);
    write.mutate(Object.fromEntries(given.filter(([name, value]) => name !== "kind" && (partner !== null || value !== ""))));
  };
  return (
    <Dialog open={doing?.what === "register" || partner !== null} close={end} title={partner ? t("manage.edit", { name: partner.name }) : t("partners.register")}>
      <form onSubmit={submit} className="grid gap-5 sm:grid-cols-2">
        {!partner && <Input className="sm:col-span-2" label={t("name")} name="name" required maxLength={200} autoComplete="off" />}
        <Input className="sm:col-span-2" label={t("partners.fhir")} name="fhir-url" type="url" placeholder="https://" defaultValue={partner?.fhirUrl} dir="ltr" hint={t("partners.fhirHint")} />
        {!partner && (
          <>
            <Select
              className="sm:col-span-2"
              label={t("partners.keys")}
              name="kind"
              value={keys}
              onChange={(event) => setKeys(event.target.value)}
              options={[["jwks-url", t("partners.byUrl")], ["jwks", t("partners.pasted")]]}
            />
            <KeyField kind={keys} />
          </>
        )}
        <Input className="sm:col-span-2" label={t("partners.aeTitle")} name="ae-title" defaultValue={partner?.aeTitle} maxLength={16} dir="ltr" hint={t("partners.dicomHint")} />
        <Input label={t("partners.host")} name="host" defaultValue={partner?.host} dir="ltr" />
        <Input label={t("partners.port")} name="port" type="number" min={1} max={65535} defaultValue={partner?.port} dir="ltr" />
        <Select
          className="sm:col-span-2"
          label={t("partners.encryption")}
          name="tls"
          defaultValue={String(partner?.tls ?? false)}
          hint={t("partners.encryptionHint")}
          options={[
            ["false", t("partners.clear")],
            ["true", t("partners.tls")],
          ]}
        />
        <TextArea
          className="sm:col-span-2"
          label={t("partners.certificate")}
          name="certificate"
          rows={3}
          defaultValue={partner?.certificate}
          dir="ltr"
          spellCheck={false}
          hint={t("partners.certificateHint")}
        />
        {write.error && (
          <div className="sm:col-span-2">
            <Failure error={write.error} />
          </div>
        )}
        <div className="flex justify-end gap-3 sm:col-span-2">
          <Button onClick={end}>{t("cancel")}</Button>
          <Button type="submit" kind="primary" busy={write.isPending}>
            {t(partner ? "save" : "partners.register")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function KeyField({ kind, required }: { kind: string; required?: boolean }) {
  const { t } = useTranslation();
  return kind === "jwks" ? (
    <TextArea className="sm:col-span-2" label={t("partners.jwks")} name="jwks" rows={5} dir="ltr" spellCheck={false} required={required} hint={t("partners.jwksHint")} />
  ) : (
    <Input className="sm:col-span-2" label={t("partners.jwksUrl")} name="jwks-url" type="url" placeholder="https://" dir="ltr" required={required} />
  );
}

function KeysDialog({ partner, close }: { partner: Partner | null; close: () => void }) {
  const { t } = useTranslation();
  const [kind, setKind] = useState("jwks-url");
  const change = useChange(partner?.id, close);
  const end = () => {
    change.reset();
    close();
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const value = new FormData(event.currentTarget).get(kind);
    change.mutate(kind === "revoke-keys" ? { "revoke-keys": true } : { [kind]: typeof value === "string" ? value : "" });
  };
  const labels = { "jwks-url": "partners.byUrl", jwks: "partners.pasted", "revoke-keys": "partners.revoke" };
  return (
    <Dialog open={partner !== null} close={end} title={t("partners.keysOf", { name: partner?.name ?? "" })} description={t("partners.keysText")}>
      <form onSubmit={submit} className="grid gap-5">
        <Select label={t("partners.newKeys")} value={kind} onChange={(event) => setKind(event.target.value)} options={Object.entries(labels).map(([one, label]) => [one, t(label)] as const)} />
        {kind === "revoke-keys" ? <p className="text-sm text-muted">{t("partners.revokeText")}</p> : <KeyField kind={kind} required />}
        {change.error && <Failure error={change.error} />}
        <div className="flex justify-end gap-3">
          <Button onClick={end}>{t("cancel")}</Button>
          <Button type="submit" kind={kind === "revoke-keys" ? "danger" : "primary"} busy={change.isPending}>
            {t(kind === "revoke-keys" ? "partners.revoke" : "save")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function DisableDialog({ partner, close }: { partner: Partner | null; close: () => void }) {
  const { t } = useTranslation();
  const change = useChange(partner?.id, close);
  return (
    <Dialog open={partner !== null} close={close} title={t("partners.disableOf", { name: partner?.name ?? "" })} description={t("partners.disableText")}>
      {change.error && <Failure error={change.error} />}
      <div className="mt-2 flex justify-end gap-3">
        <Button onClick={close}>{t("cancel")}</Button>
        <Button kind="danger" busy={change.isPending} onClick={() => change.mutate({ disabled: true })}>
          {t("partners.disable")}
        </Button>
      </div>
    </Dialog>
  );
}

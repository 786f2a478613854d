import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Consent, ConsentProvision, Parameters, ParametersParameter } from "fhir/r4";
import { Building2, ShieldCheck, ShieldOff } from "lucide-react";
import { idOf, read } from "../fhir";
import { useFormat } from "../format";
import { json } from "../server";
import { useSignedIn } from "../session";
import { Badge, Button, Input } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded } from "../ui/states";

const TYPES = "http://hl7.org/fhir/resource-types";
const ALWAYS = ["Provenance"];
const IMAGES = ["ImagingStudy", "Media"];
const REPORTS = [
  "DiagnosticReport", "Observation", "Condition", "AllergyIntolerance", "DocumentReference", "Composition", "Encounter", "Procedure", "Immunization",
  "MedicationRequest", "MedicationStatement", "CarePlan", "ServiceRequest", "Specimen", "Binary",
];

interface Partner {
  id: string;
  name: string;
  permitted: boolean;
  basis: string;
  types: string[];
  except: string[];
  consent: string | undefined;
}

/** Every partner hospital, and what the server says that it may see. */
async function sharing(patient: string, signal: AbortSignal): Promise<Partner[]> {
  const told = await json<Parameters>(`/fhir/Patient/${patient}/$sharing`, { signal });
  return (told.parameter ?? []).map(({ part = [] }) => {
    const one = (name: string) => part.find((found) => found.name === name);
    const codes = (name: string) => part.flatMap((found: ParametersParameter) => (found.name === name && found.valueCoding?.code ? [found.valueCoding.code] : []));
    const organization = one("organization")?.valueReference;
    return {
      id: idOf(organization),
      name: organization?.display ?? idOf(organization),
      permitted: one("decision")?.valueCode === "permit",
      basis: one("basis")?.valueCode ?? "none",
      types: codes("class"),
      except: codes("except"),
      consent: one("consent")?.valueReference?.reference?.split("/_history")[0],
    };
  });
}

function consentOf(patient: string, partner: Partner, provision: ConsentProvision): Consent {
  const coded = (system: string, code: string) => ({ coding: [{ system, code }] });
  return {
    resourceType: "Consent",
    status: "active",
    scope: coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
    category: [coded("http://loinc.org", "59284-0")],
    patient: { reference: `Patient/${patient}` },
    dateTime: new Date().toISOString(),
    policyRule: coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
    provision: {
      ...provision,
      actor: [{ role: coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"), reference: { reference: `Organization/${partner.id}`, display: partner.name } }],
    },
  };
}

/** Writes the one Consent about this partner: a new one, or the next version of the one there is. */
async function write(patient: string, partner: Partner, change: (consent: Consent) => Consent): Promise<void> {
  const fresh = consentOf(patient, partner, { type: "permit" });
  if (!partner.consent) await json("/fhir/Consent", { method: "POST", json: change(fresh) });
  else {
    const present = await read<Consent>(partner.consent);
    await json(`/fhir/${partner.consent}`, { method: "PUT", json: { ...change(fresh), id: present.id }, headers: { "if-match": `W/"${present.meta?.versionId ?? ""}"` } });
  }
}

export function Sharing() {
  const { t } = useTranslation();
  const { id } = useSignedIn();
  const queries = useQueryClient();
  const [giving, setGiving] = useState<Partner>();
  const query = useQuery({ queryKey: ["sharing", id], queryFn: ({ signal }) => sharing(id, signal) });
  // Shown when the server says so, not before: who reads "Forbidden" relies on it.
  const withdraw = useMutation({
    mutationFn: (partner: Partner) => write(id, partner, (consent) => ({ ...consent, status: partner.permitted ? "inactive" : "rejected" })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["sharing"] }),
  });
  return (
    <>
      <Heading title={t("sharing.title")} />
      <p className="mb-6 max-w-2xl text-muted">{t("sharing.text")}</p>
      {withdraw.error && (
        <div className="mb-6">
          <Failure error={withdraw.error} />
        </div>
      )}
      <Loaded query={query}>
        {(partners) =>
          partners.length === 0 ? (
            <Empty title={t("partners.none")} icon={<Building2 className="size-6" />} />
          ) : (
            <ul className="grid gap-4 lg:grid-cols-2">
              {partners.map((partner) => (
                <PartnerCard
                  key={partner.id}
                  partner={partner}
                  give={() => setGiving(partner)}
                  withdraw={() => withdraw.mutate(partner)}
                  busy={withdraw.isPending && withdraw.variables.id === partner.id}
                />
              ))}
            </ul>
          )
        }
      </Loaded>
      {giving && <GiveDialog partner={giving} close={() => setGiving(undefined)} />}
    </>
  );
}

function PartnerCard({ partner, give, withdraw, busy }: { partner: Partner; give: () => void; withdraw: () => void; busy: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const consent = useQuery({
    queryKey: ["sharing", "consent", partner.consent],
    queryFn: ({ signal }) => read<Consent>(partner.consent ?? "", signal),
    enabled: partner.consent !== undefined && partner.permitted,
  });
  const until = partner.permitted && partner.basis === "consent" ? consent.data?.provision?.period?.end : undefined;
  const withdrawn = !partner.permitted && partner.basis === "consent";
  return (
    <li className="card flex flex-col gap-4 p-5">
      <div className="flex flex-wrap items-start justify-between gap-3">
        <h2 className="flex min-w-0 items-center gap-3">
          <Building2 className="size-5 shrink-0 text-muted" aria-hidden />
          <bdi>{partner.name}</bdi>
        </h2>
        <Badge tone={partner.permitted ? "brand" : withdrawn ? "danger" : "neutral"}>{t(partner.permitted ? "sharing.permit" : withdrawn ? "sharing.withdrawn" : "sharing.none")}</Badge>
      </div>
      <p className="text-sm text-muted">{t(`sharing.sees.${sees(partner)}`)}</p>
      {until && <p className="text-sm">{t("sharing.until", { date: format.date(until) })}</p>}
      <div className="mt-auto flex flex-wrap gap-3">
        <Button kind={partner.permitted ? "plain" : "primary"} onClick={give}>
          <ShieldCheck className="size-4" aria-hidden />
          {t(partner.permitted ? "sharing.change" : "sharing.give")}
          <span className="sr-only">{partner.name}</span>
        </Button>
        {!withdrawn && (
          <Button kind="danger" onClick={withdraw} busy={busy}>
            <ShieldOff className="size-4" aria-hidden />
            {t(partner.permitted ? "sharing.withdraw" : "sharing.forbid")}
            <span className="sr-only">{partner.name}</span>
          </Button>
        )}
      </div>
    </li>
  );
}

function sees({ permitted, basis, types }: Partner): string {
  if (!permitted) return basis === "consent" ? "nothing" : "silent";
  if (basis === "share") return "shared";
  if (types.length === 0) return "everything";
  const [images, reports] = [types.includes("ImagingStudy"), types.includes("DiagnosticReport")];
  return images && reports ? "both" : images ? "images" : reports ? "reports" : "some";
}

function GiveDialog({ partner, close }: { partner: Partner; close: () => void }) {
  const { t } = useTranslation();
  const { id } = useSignedIn();
  const queries = useQueryClient();
  const [what, setWhat] = useState<"everything" | "reports" | "images">("everything");
  const give = useMutation({
    mutationFn: (until: string) => {
      const types = what === "reports" ? [...REPORTS, ...ALWAYS] : [...IMAGES, ...ALWAYS];
      const provision: ConsentProvision = {
        type: "permit",
        ...(until && { period: { end: until } }),
        ...(what !== "everything" && { class: types.map((code) => ({ system: TYPES, code })) }),
      };
      return write(id, partner, () => consentOf(id, partner, provision));
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["sharing"] });
      close();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    give.mutate(new FormData(event.currentTarget).get("until") as string);
  };
  return (
    <Dialog open close={close} title={t("sharing.giveTitle", { name: partner.name })} description={t("sharing.giveText")}>
      <form onSubmit={submit} className="flex flex-col gap-5">
        <fieldset>
          <legend className="mb-2 text-sm font-medium">{t("sharing.what")}</legend>
          <div className="flex flex-col">
            {(["everything", "reports", "images"] as const).map((one) => (
              <label key={one} className="flex min-h-11 items-center gap-3 text-sm">
                <input type="radio" name="what" value={one} checked={what === one} onChange={() => setWhat(one)} className="size-5 accent-brand" />
                {t(`sharing.what.${one}`)}
              </label>
            ))}
          </div>
        </fieldset>
        <Input label={t("sharing.end")} hint={t("sharing.endHint")} name="until" type="date" min={new Date().toISOString().slice(0, 10)} className="sm:max-w-60" />
        {give.error && <Failure error={give.error} />}
        <div className="flex justify-end gap-3">
          <Button onClick={close}>{t("cancel")}</Button>
          <Button type="submit" kind="primary" busy={give.isPending}>
            {t("sharing.give")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

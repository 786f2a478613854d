import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { Parameters } from "fhir/r4";
import { RefreshCw } from "lucide-react";
import type { Origin } from "../fhir";
import { json, ServerError } from "../server";
import { Button } from "./controls";
import { explain } from "./states";

/** When the timeline is looked at again for what was asked for, in milliseconds: it arrives as it is sent. */
const LOOKS = [2_000, 5_000, 10_000, 20_000, 45_000, 90_000];

/** A button for each hospital that has sent something: it is asked for what is new. */
export function AskHospitals({ patient, origins }: { patient: string; origins: (Origin | undefined)[] }) {
  const hospitals = new Map(origins.flatMap((one) => (one?.hospital ? [[one.hospital, one.name] as const] : [])));
  if (hospitals.size === 0) return null;
  return (
    <ul className="mb-5 flex flex-col gap-2">
      {[...hospitals].map(([hospital, name]) => (
        <li key={hospital}>
          <Ask patient={patient} hospital={hospital} name={name} />
        </li>
      ))}
    </ul>
  );
}

function Ask({ patient, hospital, name }: { patient: string; hospital: string; name: string }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const ask = useMutation({
    mutationFn: () => {
      const body: Parameters = { resourceType: "Parameters", parameter: [{ name: "partner", valueReference: { reference: `Organization/${hospital}` } }] };
      return json<Parameters>(`/fhir/Patient/${patient}/$fetch`, { method: "POST", json: body });
    },
  });
  useEffect(() => {
    if (!ask.data) return undefined;
    const timers = LOOKS.map((pause) => setTimeout(() => void queries.invalidateQueries({ queryKey: ["history", patient] }), pause));
    return () => timers.forEach(clearTimeout);
  }, [ask.data, patient, queries]);
  const status = ask.error instanceof ServerError ? ask.error.status : undefined;
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-sm">
      <Button busy={ask.isPending} onClick={() => ask.mutate()}>
        {!ask.isPending && <RefreshCw className="size-4" aria-hidden />}
        <bdi>{t("ask.new", { name })}</bdi>
      </Button>
      <p role="status" className="text-muted">
        {ask.isSuccess && t("ask.asked")}
      </p>
      {ask.error && (
        <p role="alert" className="text-danger">
          {status === 404 ? t("ask.unknown") : status === 503 ? t("ask.down") : explain(ask.error, t)}
        </p>
      )}
    </div>
  );
}

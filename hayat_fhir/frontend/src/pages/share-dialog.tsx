import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery } from "@tanstack/react-query";
import type { Endpoint, Organization, Parameters, Task } from "fhir/r4";
import clsx from "clsx";
import { CircleCheck, CircleX, LoaderCircle } from "lucide-react";
import { idOf, search } from "../fhir";
import { json } from "../server";
import { Button, Select } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Failure, Loaded } from "../ui/states";

/** Hospitals that a history can be sent to: those with a FHIR endpoint. */
export async function partners(signal: AbortSignal): Promise<{ organization: Organization; endpoint: Endpoint }[]> {
  const found = await search<Endpoint>("Endpoint", { "connection-type": "hl7-fhir-rest", status: "active", _include: "Endpoint:organization", _count: 200 }, signal);
  const organizations = new Map(found.included.map((one) => [one.id, one as Organization]));
  return found.resources.flatMap((endpoint) => {
    const organization = organizations.get(idOf(endpoint.managingOrganization));
    return organization ? [{ organization, endpoint }] : [];
  });
}

export function ShareDialog({ open, close, patient }: { open: boolean; close: () => void; patient: string }) {
  const { t } = useTranslation();
  const [job, setJob] = useState<string>();
  const found = useQuery({ queryKey: ["partners"], queryFn: ({ signal }) => partners(signal), enabled: open });
  const start = useMutation({
    mutationFn: async (partner: string) => {
      const body: Parameters = { resourceType: "Parameters", parameter: [{ name: "with", valueString: partner }] };
      return json<Task>(`/fhir/Patient/${patient}/$share`, { method: "POST", json: body });
    },
    onSuccess: (task) => setJob(task.id),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    start.mutate(new FormData(event.currentTarget).get("partner") as string);
  };
  const end = () => {
    setJob(undefined);
    start.reset();
    close();
  };
  return (
    <Dialog open={open} close={end} title={t("share.title")} description={t("share.text")}>
      {job ? (
        <Progress patient={patient} job={job} />
      ) : (
        <Loaded query={found} rows={1}>
          {(all) =>
            all.length === 0 ? (
              <p className="text-sm text-muted">{t("share.none")}</p>
            ) : (
              <form onSubmit={submit} className="flex flex-col gap-5">
                <Select label={t("hospital")} name="partner" required options={all.map(({ organization }) => [organization.id ?? "", organization.name ?? ""] as const)} />
                {start.error && <Failure error={start.error} />}
                <div className="flex justify-end gap-3">
                  <Button onClick={end}>{t("cancel")}</Button>
                  <Button type="submit" kind="primary" busy={start.isPending}>
                    {t("share.start")}
                  </Button>
                </div>
              </form>
            )
          }
        </Loaded>
      )}
    </Dialog>
  );
}

const steps = ["requested", "in-progress", "completed"] as const;

/** How far a share is: it goes on whether somebody looks or not. */
function Progress({ patient, job }: { patient: string; job: string }) {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: ["share", job],
    queryFn: ({ signal }) => json<Task>(`/fhir/Patient/${patient}/$share?job=${encodeURIComponent(job)}`, { signal }),
    refetchInterval: (state) => (state.state.data?.status === "completed" || state.state.data?.status === "failed" || state.state.data?.status === "cancelled" ? false : 1500),
  });
  const status = query.data?.status ?? "requested";
  const reached = steps.findIndex((step) => step === status);
  const over = status === "completed" || status === "failed" || status === "cancelled";
  const count = (name: string) => query.data?.output?.find((one) => one.type.text === name)?.valueInteger ?? 0;
  const Icon = status === "completed" ? CircleCheck : over ? CircleX : LoaderCircle;
  return (
    <div role="status" className="flex flex-col gap-5 rounded-card bg-sunken p-5">
      <ol className="grid grid-cols-3 gap-2" aria-hidden>
        {steps.map((step, number) => (
          <li key={step} className={clsx("text-xs", number <= reached ? "font-medium text-brand-strong" : "text-muted")}>
            <span className={clsx("mb-1.5 block h-1.5 rounded-full", number < reached || status === "completed" ? "bg-brand" : number === reached ? "bg-brand motion-safe:animate-pulse" : "bg-line")} />
            {t(`share.${step}`)}
          </li>
        ))}
      </ol>
      <div className="flex items-start gap-3">
        <Icon className={clsx("size-6 shrink-0", status === "completed" ? "text-brand" : over ? "text-danger" : "animate-spin text-muted")} aria-hidden />
        <div>
          <p className="font-medium">{t(`share.${status}`, { defaultValue: t("share.requested") })}</p>
          {status === "completed" && <p className="text-sm text-muted">{t("share.sent", { resources: count("resources"), images: count("images") })}</p>}
          {query.data?.statusReason?.text && !over && <p className="text-sm text-warn">{t("share.retry")}</p>}
        </div>
      </div>
    </div>
  );
}

import { type FormEvent, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Parameters } from "fhir/r4";
import { LockKeyhole, Siren } from "lucide-react";
import { useFormat } from "../format";
import { json, request } from "../server";
import { setSession, useSignedIn } from "../session";
import { Button, TextArea } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Failure } from "../ui/states";

const path = (patient: string) => `/fhir/Patient/${patient}/$break-glass`;

/** What is withheld of a patient: the way to it in an emergency, and while it is open, a banner that says so. */
export function BreakGlass({ patient }: { patient: string }) {
  const { t } = useTranslation();
  const { emergency } = useSignedIn();
  const [asking, setAsking] = useState(false);
  const until = useOpen(emergency?.patients[patient]);
  const query = useQuery({
    queryKey: ["glass", patient, until],
    queryFn: async ({ signal }) => (await json<Parameters>(path(patient), { signal })).parameter?.some((one) => one.name === "withheld" && one.valueBoolean === true) ?? false,
    enabled: until === undefined,
  });
  if (until) return <Open patient={patient} until={until} />;
  if (!query.data) return null;
  return (
    <aside aria-label={t("glass.withheld")} className="mb-6 flex flex-wrap items-center gap-4 rounded-card border border-line bg-sunken p-4 text-sm">
      <LockKeyhole className="size-5 shrink-0 text-muted" aria-hidden />
      <p className="min-w-52 flex-1">{t("glass.text")}</p>
      <Button kind="danger" onClick={() => setAsking(true)}>
        <Siren className="size-4" aria-hidden />
        {t("glass.break")}
      </Button>
      <Reason patient={patient} open={asking} close={() => setAsking(false)} />
    </aside>
  );
}

/** The time while it lies ahead; then the chart is drawn again without what was open. */
function useOpen(until: string | undefined): string | undefined {
  const queries = useQueryClient();
  const [over, setOver] = useState<string>();
  useEffect(() => {
    if (!until) return undefined;
    const timer = setTimeout(() => {
      setOver(until);
      void queries.resetQueries();
    }, Math.max(Date.parse(until) - Date.now(), 0));
    return () => clearTimeout(timer);
  }, [until, queries]);
  return until === over ? undefined : until;
}

function Open({ patient, until }: { patient: string; until: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const signedIn = useSignedIn();
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: async () => {
      const { emergency, ...session } = signedIn;
      if (emergency) await request("/api/v1/auth/logout", { method: "POST", anonymous: true, headers: { authorization: `Bearer ${emergency.token}` } }).catch(() => undefined);
      setSession(session);
      await queries.resetQueries();
    },
  });
  return (
    <div role="status" data-glass={patient} className="sticky top-16 z-10 mb-6 flex flex-wrap items-center gap-x-4 gap-y-2 rounded-card border-2 border-danger bg-danger-soft p-4 text-sm text-danger">
      <Siren className="size-5 shrink-0" aria-hidden />
      <p className="min-w-52 flex-1 font-medium">{t("glass.open", { time: format.dateTime(until) })}</p>
      <Button kind="danger" onClick={() => end.mutate()} busy={end.isPending}>
        {t("glass.end")}
      </Button>
    </div>
  );
}

function Reason({ patient, open, close }: { patient: string; open: boolean; close: () => void }) {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const queries = useQueryClient();
  const ask = useMutation({
    mutationFn: async (reason: string) => {
      const body: Parameters = { resourceType: "Parameters", parameter: [{ name: "reason", valueString: reason }, { name: "purpose", valueCode: "BTG" }] };
      const given = (await json<Parameters>(path(patient), { method: "POST", json: body })).parameter;
      return { token: given?.find((one) => one.name === "access_token")?.valueString ?? "", until: given?.find((one) => one.name === "until")?.valueInstant ?? "" };
    },
    onSuccess: async ({ token, until }) => {
      setSession({ ...signedIn, emergency: { token, patients: { ...signedIn.emergency?.patients, [patient]: until } } });
      close();
      await queries.resetQueries();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    ask.mutate(new FormData(event.currentTarget).get("reason") as string);
  };
  return (
    <Dialog open={open} close={close} title={t("glass.title")} description={t("glass.warning")}>
      <form onSubmit={submit} className="flex flex-col gap-5">
        <TextArea label={t("glass.reason")} hint={t("glass.reasonHint")} name="reason" required minLength={10} maxLength={500} />
        {ask.error && <Failure error={ask.error} />}
        <div className="flex justify-end gap-3">
          <Button onClick={close}>{t("cancel")}</Button>
          <Button type="submit" kind="danger" busy={ask.isPending}>
            <Siren className="size-4" aria-hidden />
            {t("glass.break")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

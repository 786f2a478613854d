import { useTranslation } from "react-i18next";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { AllergyIntolerance } from "fhir/r4";
import { Download, Printer } from "lucide-react";
import { saveEverything } from "../everything";
import { conceptText, searchAll } from "../fhir";
import { get } from "../legacy";
import { useSignedIn } from "../session";
import { Badge, Button, buttonClass } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Failure, Loaded } from "../ui/states";
import { Timeline } from "../ui/timeline";

export function History() {
  const { t } = useTranslation();
  const { id, name } = useSignedIn();
  const download = useMutation({ mutationFn: () => saveEverything(id) });
  return (
    <>
      <Heading title={t("history.title")} before={<p className="mb-1 text-sm text-muted">{t("history.greeting", { name })}</p>}>
        <Button onClick={() => download.mutate()} busy={download.isPending}>
          <Download className="size-4" aria-hidden />
          {t("history.download")}
        </Button>
        <Link to="/app/summary" className={buttonClass("plain")}>
          <Printer className="size-4" aria-hidden />
          {t("summary.open")}
        </Link>
      </Heading>
      {download.error && <Failure error={download.error} />}
      <div className="grid items-start gap-8 lg:grid-cols-[1fr_17rem]">
        <div className="min-w-0">
          <Timeline patient={id} own />
        </div>
        <AtAGlance patient={id} />
      </div>
    </>
  );
}

/** Allergies and blood group: what an emergency asks for first. */
function AtAGlance({ patient }: { patient: string }) {
  const { t } = useTranslation();
  const person = useQuery({ queryKey: ["patient", patient], queryFn: ({ signal }) => get("patient", patient, signal) });
  const allergies = useQuery({
    queryKey: ["allergies", patient],
    queryFn: ({ signal }) => searchAll<AllergyIntolerance>("AllergyIntolerance", { patient }, signal),
  });
  return (
    <aside aria-label={t("glance.title")} className="card order-first flex flex-col gap-5 p-5 lg:sticky lg:top-24 lg:order-none">
      <h2>{t("glance.title")}</h2>
      <div>
        <p className="text-sm text-muted">{t("bloodType")}</p>
        <p className="text-2xl font-semibold">{person.data?.bloodType ?? "–"}</p>
      </div>
      <div>
        <p className="mb-1 text-sm text-muted">{t("allergies")}</p>
        <Loaded query={allergies} rows={1}>
          {(found) => (
            <ul className="flex flex-wrap gap-2">
              {found.map((one) => (
                <li key={one.id}>
                  <Badge tone="danger">{conceptText(one.code)}</Badge>
                </li>
              ))}
              {found.length === 0 && <li className="text-sm">{t("allergies.none")}</li>}
            </ul>
          )}
        </Loaded>
      </div>
      <Link to="/app/profile" className="text-sm font-medium text-brand underline underline-offset-4">
        {t("glance.change")}
      </Link>
    </aside>
  );
}

import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import type { AllergyIntolerance, Condition } from "fhir/r4";
import { conceptText, searchAll } from "../fhir";
import { useFormat } from "../format";
import { Badge } from "../ui/controls";
import { Loaded } from "../ui/states";

export function useAllergies(patient: string) {
  return useQuery({
    queryKey: ["allergies", patient],
    queryFn: ({ signal }) => searchAll<AllergyIntolerance>("AllergyIntolerance", { patient }, signal),
  });
}

export function Problems({ patient }: { patient: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const conditions = useQuery({ queryKey: ["conditions", patient], queryFn: ({ signal }) => searchAll<Condition>("Condition", { patient }, signal) });
  const allergies = useAllergies(patient);
  return (
    <div className="grid items-start gap-6 lg:grid-cols-2">
      <section className="card p-5">
        <h2 className="mb-4">{t("chart.conditions")}</h2>
        <Loaded query={conditions} rows={2}>
          {(found) =>
            found.length === 0 ? (
              <p className="text-sm text-muted">{t("chart.noConditions")}</p>
            ) : (
              <ul className="divide-y divide-line">
                {found.map((one) => (
                  <li key={one.id} className="flex items-center gap-3 py-3">
                    <span className="flex-1 font-medium"><bdi>{conceptText(one.code)}</bdi></span>
                    <Badge tone={one.clinicalStatus?.coding?.[0]?.code === "active" ? "warn" : "neutral"}>{t(`condition.${one.clinicalStatus?.coding?.[0]?.code ?? "unknown"}`, { defaultValue: conceptText(one.clinicalStatus) })}</Badge>
                    <time className="text-sm text-muted">{format.date(one.onsetDateTime ?? one.recordedDate)}</time>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </section>
      <section className="card p-5">
        <h2 className="mb-4">{t("allergies")}</h2>
        <Loaded query={allergies} rows={2}>
          {(found) =>
            found.length === 0 ? (
              <p className="text-sm text-muted">{t("allergies.none")}</p>
            ) : (
              <ul className="divide-y divide-line">
                {found.map((one) => (
                  <li key={one.id} className="flex items-center gap-3 py-3">
                    <span className="flex-1 font-medium"><bdi>{conceptText(one.code)}</bdi></span>
                    {one.criticality && <Badge tone="danger">{t(`criticality.${one.criticality}`)}</Badge>}
                    <time className="text-sm text-muted">{format.date(one.recordedDate)}</time>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </section>
    </div>
  );
}

import { useTranslation } from "react-i18next";
import { Building2, ShieldCheck } from "lucide-react";
import type { Origin } from "../fhir";
import { Badge } from "./controls";

/** Which hospital something came from, and whether the server has verified that; without an origin it is this one's. */
export function OriginMark({ origin }: { origin: Origin | undefined }) {
  const { t } = useTranslation();
  if (!origin) return <Badge>{t("timeline.here")}</Badge>;
  return (
    <span className="inline-flex flex-wrap items-center gap-1.5">
      <Badge tone="info">
        <Building2 className="size-3.5" aria-hidden />
        <bdi>{origin.name}</bdi>
      </Badge>
      {origin.verified && (
        <span title={t("timeline.verifiedText")}>
          <Badge tone="brand">
            <ShieldCheck className="size-3.5" aria-hidden />
            {t("timeline.verified")}
          </Badge>
        </span>
      )}
    </span>
  );
}

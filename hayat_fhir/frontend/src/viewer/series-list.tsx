import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import clsx from "clsx";
import { ImageOff } from "lucide-react";
import { useFormat } from "../format";
import { request } from "../server";
import type { Stack } from "./series";

interface Props {
  stacks: Stack[];
  /** The keys of the series that are drawn, and of the one that a click replaces. */
  shown: string[];
  selected: string | undefined;
  show: (key: string) => void;
}

/** All series of the patient, by study: each with a picture of its middle. */
export function SeriesList({ stacks, shown, selected, show }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const studies = [...Map.groupBy(stacks, (one) => one.study)];
  return (
    <nav aria-label={t("viewer.series")} className="order-last min-w-0 lg:order-first">
      <ul className="flex gap-4 overflow-x-auto pb-2 lg:max-h-[78dvh] lg:flex-col lg:overflow-y-auto lg:pe-1">
        {studies.map(([study, series]) => (
          <li key={study} className="shrink-0 lg:shrink">
            <p className="mb-1.5 max-w-52 truncate text-xs font-medium">
              <bdi>{series[0]?.title || t("timeline.study")}</bdi>
            </p>
            <p className="mb-2 max-w-52 truncate text-xs text-muted">
              <bdi>{[format.date(series[0]?.date), series[0]?.source ?? t("timeline.here")].filter(Boolean).join(" · ")}</bdi>
            </p>
            <ul className="flex gap-2 lg:flex-col">
              {series.map((one) => (
                <li key={one.key} className="shrink-0">
                  <button
                    type="button"
                    aria-pressed={selected === one.key}
                    onClick={() => show(one.key)}
                    className={clsx("flex w-52 items-center gap-3 rounded-xl border p-2 text-start text-sm lg:w-full", shown.includes(one.key) ? "border-brand bg-brand-soft" : "border-line bg-surface hover:bg-sunken")}
                  >
                    <Thumbnail path={`${one.path}/thumbnail`} />
                    <span className="min-w-0">
                      <span className="block truncate font-medium"><bdi>{one.label}</bdi></span>
                      <span className="block text-xs text-muted">{[one.modality, t("viewer.images", { count: one.images.length })].join(" · ")}</span>
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** A small picture of a series, fetched once it comes into view. */
function Thumbnail({ path }: { path: string }) {
  const place = useRef<HTMLSpanElement>(null);
  const [seen, setSeen] = useState(false);
  const picture = useRef<HTMLImageElement>(null);
  const query = useQuery({
    queryKey: ["thumbnail", path],
    queryFn: async ({ signal }) => (await request(`${path}?viewport=112,112`, { headers: { accept: "image/jpeg" }, signal })).blob(),
    enabled: seen,
    staleTime: Infinity,
    retry: false,
  });
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && setSeen(true));
    if (place.current) observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (!query.data || !picture.current) return undefined;
    const made = URL.createObjectURL(query.data);
    picture.current.src = made;
    return () => URL.revokeObjectURL(made);
  }, [query.data]);
  return (
    <span ref={place} aria-hidden className="grid size-14 shrink-0 place-items-center overflow-hidden rounded-lg bg-black text-white/60">
      {query.data && <img ref={picture} alt="" className="size-full object-contain" />}
      {query.error && <ImageOff className="size-5" />}
    </span>
  );
}

import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import type { Observation } from "fhir/r4";
import { ChartSpline, Search } from "lucide-react";
import { CartesianGrid, Legend, Line, LineChart, ReferenceArea, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { searchAll } from "../fhir";
import { useFormat } from "../format";
import { Badge, Button, Input } from "../ui/controls";
import { Empty, Loaded } from "../ui/states";
import { type Trend, trends } from "./trends";

const AT_ONCE = 12;
const SEARCHED = 6;
const palette = ["var(--chart-1)", "var(--chart-2)", "var(--chart-3)", "var(--chart-4)"];
const axis = { tick: { fill: "var(--muted)", fontSize: 11 }, stroke: "var(--line)" };

/** A patient's measurements over time; where they are many, found by name. */
export default function Measurements({ patient }: { patient: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [text, setText] = useState("");
  const [more, setMore] = useState(false);
  const query = useQuery({ queryKey: ["observations", patient], queryFn: ({ signal }) => searchAll<Observation>("Observation", { patient }, signal) });
  const all = useMemo(() => trends(query.data ?? []), [query.data]);
  const found = all.filter((one) => [one.name, ...one.lines].join(" ").toLowerCase().includes(text.trim().toLowerCase()));
  const shown = more ? found : found.slice(0, AT_ONCE);
  return (
    <Loaded query={query}>
      {() =>
        all.length === 0 ? (
          <Empty title={t("measurements.none")} icon={<ChartSpline className="size-6" />}>
            {t("measurements.noneText")}
          </Empty>
        ) : (
          <>
            {all.length > SEARCHED && (
              <form role="search" onSubmit={(event) => event.preventDefault()} className="mb-5 max-w-md">
                <Input label={t("measurements.search")} type="search" value={text} onChange={(event) => setText(event.target.value)} />
              </form>
            )}
            {found.length === 0 && <Empty title={t("measurements.noneFound")} icon={<Search className="size-6" />} />}
            <div className="grid grid-cols-[minmax(0,1fr)] gap-5 md:grid-cols-2">
              {shown.map((one) => (
                <Figure key={one.key} trend={one} />
              ))}
            </div>
            {shown.length < found.length && (
              <Button className="mx-auto mt-6 flex" onClick={() => setMore(true)}>
                {t("measurements.more", { number: format.number(found.length - shown.length) })}
              </Button>
            )}
          </>
        )
      }
    </Loaded>
  );
}

function Figure({ trend }: { trend: Trend }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { name, unit, lines, points, low, high } = trend;
  const last = points.at(-1);
  const latest = lines.map((line) => last?.values[line]).filter((value) => value !== undefined);
  const outside = latest.length === 1 && latest.some((value) => (low !== undefined && value < low) || (high !== undefined && value > high));
  return (
    <figure className="card flex flex-col p-5">
      <figcaption className="mb-3 flex items-start justify-between gap-3">
        <div className="min-w-0">
          <h2><bdi>{name}</bdi></h2>
          <p className="text-xs text-muted">{format.date(last?.date)}</p>
        </div>
        <p className="text-end whitespace-nowrap">
          <span className="text-2xl font-semibold tabular-nums" dir="ltr">{latest.map(format.decimal).join(" / ")}</span> <span className="text-sm text-muted">{unit}</span>
          {outside && (
            <span className="block">
              <Badge tone="warn">{t("measurements.outside")}</Badge>
            </span>
          )}
        </p>
      </figcaption>
      {points.length > 1 && <Lines trend={trend} />}
      <details className="mt-auto pt-3 text-sm">
        <summary className="cursor-pointer text-muted">{t("measurements.table", { count: points.length })}</summary>
        <div className="max-h-72 overflow-y-auto" role="region" tabIndex={0} aria-label={name}>
          <table className="mt-2 w-full">
            <thead className="text-muted">
              <tr>
                <th scope="col" className="py-1 text-start font-medium">{t("date")}</th>
                {lines.map((line) => (
                  <th key={line} scope="col" className="py-1 text-end font-medium">{line}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {[...points].reverse().map((point, number) => (
                <tr key={number} className="border-t border-line">
                  <td className="py-1.5">{format.dateTime(point.date)}</td>
                  {lines.map((line) => (
                    <td key={line} className="py-1.5 text-end whitespace-nowrap tabular-nums">
                      {point.values[line] === undefined ? "–" : `${format.decimal(point.values[line])} ${unit}`}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function Lines({ trend: { unit, lines, points, low, high } }: { trend: Trend }) {
  const format = useFormat();
  return (
    <div aria-hidden className="h-48" dir="ltr">
      <ResponsiveContainer width="100%" height="100%">
        <LineChart data={points} margin={{ top: 8, right: 12, bottom: 0, left: -18 }} accessibilityLayer={false}>
          <CartesianGrid stroke="var(--line)" vertical={false} />
          {(low !== undefined || high !== undefined) && <ReferenceArea y1={low} y2={high} fill="var(--brand)" fillOpacity={0.09} ifOverflow="hidden" />}
          <XAxis dataKey="at" type="number" domain={["dataMin", "dataMax"]} tickFormatter={(at: number) => format.monthOfYear(new Date(at))} minTickGap={40} {...axis} />
          <YAxis domain={["auto", "auto"]} tickFormatter={format.decimal} width={56} {...axis} />
          <Tooltip
            labelFormatter={(at) => format.date(new Date(Number(at)).toISOString())}
            formatter={(value, line) => [`${format.decimal(Number(value))} ${unit}`, String(line)]}
            contentStyle={{ background: "var(--surface)", border: "1px solid var(--line)", borderRadius: 10, color: "var(--ink)" }}
          />
          {lines.length > 1 && <Legend iconType="circle" iconSize={8} wrapperStyle={{ fontSize: 12 }} formatter={(line) => <span style={{ color: "var(--muted)" }}>{String(line)}</span>} />}
          {lines.map((line, number) => {
            const colour = palette[number % palette.length];
            return <Line key={line} dataKey={(point: (typeof points)[number]) => point.values[line]} name={line} type="monotone" stroke={colour} strokeWidth={2.5} dot={{ r: 3.5, fill: "var(--surface)", strokeWidth: 2 }} isAnimationActive={false} connectNulls />;
          })}
        </LineChart>
      </ResponsiveContainer>
    </div>
  );
}

import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import type { CodeableConcept, Observation, Quantity } from "fhir/r4";
import { ChartSpline } from "lucide-react";
import { CartesianGrid, Line, LineChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { conceptText, searchAll } from "../fhir";
import { useFormat } from "../format";
import { Empty, Loaded } from "../ui/states";

interface Point {
  at: number;
  date: string;
  value: number;
}

interface Series {
  name: string;
  unit: string;
  points: Point[];
}

/** Numbers over time, one series for each code and unit. */
function series(observations: Observation[]): Series[] {
  const found = new Map<string, Series>();
  const add = (code: CodeableConcept, quantity: Quantity | undefined, date: string | undefined) => {
    if (quantity?.value === undefined || !date) return;
    const unit = quantity.unit ?? quantity.code ?? "";
    const key = `${code.coding?.[0]?.code ?? conceptText(code)}|${unit}`;
    const one = found.get(key) ?? { name: conceptText(code), unit, points: [] };
    one.points.push({ at: Date.parse(date), date, value: Number(quantity.value) });
    found.set(key, one);
  };
  for (const one of observations) {
    const date = one.effectiveDateTime ?? one.effectivePeriod?.start ?? one.issued;
    add(one.code, one.valueQuantity, date);
    for (const part of one.component ?? []) add(part.code, part.valueQuantity, date);
  }
  for (const one of found.values()) one.points.sort((a, b) => a.at - b.at);
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}

export default function Measurements({ patient }: { patient: string }) {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: ["observations", patient], queryFn: ({ signal }) => searchAll<Observation>("Observation", { patient }, signal) });
  const all = useMemo(() => series(query.data ?? []), [query.data]);
  return (
    <Loaded query={query}>
      {() =>
        all.length === 0 ? (
          <Empty title={t("measurements.none")} icon={<ChartSpline className="size-6" />}>
            {t("measurements.noneText")}
          </Empty>
        ) : (
          <div className="grid gap-5 md:grid-cols-2">
            {all.map((one) => (
              <Trend key={`${one.name}|${one.unit}`} series={one} />
            ))}
          </div>
        )
      }
    </Loaded>
  );
}

function Trend({ series: { name, unit, points } }: { series: Series }) {
  const { t } = useTranslation();
  const format = useFormat();
  const last = points[points.length - 1];
  return (
    <figure className="card p-5">
      <figcaption className="mb-3 flex items-baseline justify-between gap-3">
        <h2>{name}</h2>
        <p className="whitespace-nowrap">
          <span className="text-2xl font-semibold tabular-nums">{last && format.number(last.value)}</span> <span className="text-sm text-muted">{unit}</span>
        </p>
      </figcaption>
      <div aria-hidden className="h-44" dir="ltr">
        <ResponsiveContainer width="100%" height="100%">
          <LineChart data={points} margin={{ top: 8, right: 12, bottom: 0, left: -18 }} accessibilityLayer={false}>
            <CartesianGrid stroke="var(--line)" vertical={false} />
            <XAxis
              dataKey="at"
              type="number"
              domain={["dataMin", "dataMax"]}
              tickFormatter={(at: number) => new Date(at).toISOString().slice(0, 7)}
              tick={{ fill: "var(--muted)", fontSize: 11 }}
              stroke="var(--line)"
              minTickGap={40}
            />
            <YAxis domain={["auto", "auto"]} tick={{ fill: "var(--muted)", fontSize: 11 }} stroke="var(--line)" width={56} />
            <Tooltip
              labelFormatter={(at) => format.date(new Date(Number(at)).toISOString())}
              formatter={(value) => [`${String(value)} ${unit}`, name]}
              contentStyle={{ background: "var(--surface)", border: "1px solid var(--line)", borderRadius: 10, color: "var(--ink)" }}
            />
            <Line dataKey="value" type="monotone" stroke="var(--brand)" strokeWidth={2.5} dot={{ r: 3.5, fill: "var(--surface)", strokeWidth: 2 }} isAnimationActive={false} />
          </LineChart>
        </ResponsiveContainer>
      </div>
      <details className="mt-3 text-sm">
        <summary className="cursor-pointer text-muted">{t("measurements.table", { count: points.length })}</summary>
        <table className="mt-2 w-full">
          <thead className="sr-only">
            <tr>
              <th scope="col">{t("date")}</th>
              <th scope="col">{name}</th>
            </tr>
          </thead>
          <tbody>
            {points.map((point) => (
              <tr key={`${point.date}|${String(point.value)}`} className="border-t border-line">
                <td className="py-1.5">{format.dateTime(point.date)}</td>
                <td className="py-1.5 text-end tabular-nums">
                  {format.number(point.value)} {unit}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

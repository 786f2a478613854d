import { useTranslation } from "react-i18next";
import { Bar, BarChart, CartesianGrid, Legend, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { useFormat } from "../format";
import { type Count, daily } from "./daily";

interface Props {
  title: string;
  counts: Count[];
  days: number;
  /** What a kind is called. */
  label: (kind: string) => string;
  /** What stands where there is nothing to draw. */
  none: string;
  /** Colours by kind, where they mean something; else the palette's. */
  tones?: Record<string, string>;
}

const palette = ["var(--chart-1)", "var(--chart-2)", "var(--chart-3)", "var(--chart-4)", "var(--chart-5)", "var(--chart-6)"];
const axis = { tick: { fill: "var(--muted)", fontSize: 11 }, stroke: "var(--line)" };

/** Bars of the last days, stacked by kind; the same as a table for whoever does not see them. */
export function StackedDays({ title, counts, days, label, none, tones = {} }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const { days: rows, kinds } = daily(counts, days, new Date());
  const total = rows.reduce((sum, row) => sum + row.total, 0);
  return (
    <figure className="card flex flex-col p-5">
      <figcaption className="mb-4 flex items-baseline justify-between gap-3">
        <h2>{title}</h2>
        <p className="text-2xl font-semibold tabular-nums">{format.number(total)}</p>
      </figcaption>
      {total === 0 ? (
        <p className="grid h-56 place-items-center rounded-lg bg-sunken px-6 text-center text-sm text-muted">{none}</p>
      ) : (
        <>
          <div aria-hidden className="h-56" dir="ltr">
            <ResponsiveContainer width="100%" height="100%">
              <BarChart data={rows} margin={{ top: 4, right: 4, bottom: 0, left: -22 }} accessibilityLayer={false}>
                <CartesianGrid stroke="var(--line)" vertical={false} />
                <XAxis dataKey="day" tickFormatter={(day: string) => format.dayMonth(day)} minTickGap={24} {...axis} />
                <YAxis allowDecimals={false} {...axis} />
                <Tooltip
                  cursor={{ fill: "var(--sunken)" }}
                  labelFormatter={(day) => format.date(String(day))}
                  contentStyle={{ background: "var(--surface)", border: "1px solid var(--line)", borderRadius: 10, color: "var(--ink)" }}
                />
                <Legend iconType="circle" iconSize={8} wrapperStyle={{ fontSize: 12 }} formatter={(name) => <span style={{ color: "var(--muted)" }}>{String(name)}</span>} />
                {kinds.map((kind, index) => (
                  <Bar key={kind} dataKey={(row: (typeof rows)[number]) => row.kinds[kind] ?? 0} name={label(kind)} stackId="all" fill={tones[kind] ?? palette[index % palette.length]} maxBarSize={28} isAnimationActive={false} />
                ))}
              </BarChart>
            </ResponsiveContainer>
          </div>
          <details className="mt-3 text-sm">
            <summary className="cursor-pointer text-muted">{t("activity.table")}</summary>
            <div className="overflow-x-auto" role="region" tabIndex={0} aria-label={title}>
              <table className="mt-2 w-full">
                <thead>
                  <tr className="text-muted">
                    <th scope="col" className="py-1.5 pe-4 text-start font-medium">{t("date")}</th>
                    {kinds.map((kind) => (
                      <th key={kind} scope="col" className="py-1.5 pe-4 text-start font-medium">{label(kind)}</th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {rows.filter((row) => row.total > 0).map((row) => (
                    <tr key={row.day} className="border-t border-line">
                      <td className="py-1.5 pe-4 whitespace-nowrap">{format.date(row.day)}</td>
                      {kinds.map((kind) => (
                        <td key={kind} className="pe-4 tabular-nums">{format.number(row.kinds[kind] ?? 0)}</td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </details>
        </>
      )}
    </figure>
  );
}

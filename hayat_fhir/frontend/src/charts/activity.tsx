import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import type { AuditEvent } from "fhir/r4";
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { search } from "../fhir";
import { useFormat } from "../format";
import { Loaded } from "../ui/states";

const DAYS = 14;

interface Day {
  date: string;
  granted: number;
  refused: number;
}

/** What was done at this site on each of the last days, by the audit trail. */
async function days(signal: AbortSignal): Promise<Day[]> {
  const count = async (date: string, outcome: string) => (await search<AuditEvent>("AuditEvent", { date, outcome, _summary: "count" }, signal)).total ?? 0;
  const today = Date.now();
  const dates = Array.from({ length: DAYS }, (_, back) => new Date(today - (DAYS - 1 - back) * 86_400_000).toISOString().slice(0, 10));
  return Promise.all(dates.map(async (date) => ({ date, granted: await count(date, "0"), refused: await count(date, "4,8") })));
}

export default function Activity() {
  const { t } = useTranslation();
  const format = useFormat();
  const query = useQuery({ queryKey: ["activity"], queryFn: ({ signal }) => days(signal) });
  return (
    <Loaded query={query} rows={2}>
      {(data) => (
        <figure className="card p-5">
          <figcaption className="mb-4">
            <h2>{t("activity.title")}</h2>
            <p className="text-sm text-muted">{t("activity.text", { count: data.reduce((sum, day) => sum + day.granted + day.refused, 0) })}</p>
          </figcaption>
          <div aria-hidden className="h-64" dir="ltr">
            <ResponsiveContainer width="100%" height="100%">
              <BarChart data={data} margin={{ top: 4, right: 4, bottom: 0, left: -18 }} accessibilityLayer={false}>
                <CartesianGrid stroke="var(--line)" vertical={false} />
                <XAxis dataKey="date" tickFormatter={(date: string) => date.slice(5)} tick={{ fill: "var(--muted)", fontSize: 11 }} stroke="var(--line)" />
                <YAxis allowDecimals={false} tick={{ fill: "var(--muted)", fontSize: 11 }} stroke="var(--line)" />
                <Tooltip
                  cursor={{ fill: "var(--sunken)" }}
                  contentStyle={{ background: "var(--surface)", border: "1px solid var(--line)", borderRadius: 10, color: "var(--ink)" }}
                />
                <Bar dataKey="granted" name={t("audit.ok")} stackId="all" fill="var(--brand)" isAnimationActive={false} />
                <Bar dataKey="refused" name={t("audit.refused")} stackId="all" fill="var(--warn)" radius={[4, 4, 0, 0]} isAnimationActive={false} />
              </BarChart>
            </ResponsiveContainer>
          </div>
          <details className="mt-3 text-sm">
            <summary className="cursor-pointer text-muted">{t("activity.table")}</summary>
            <table className="mt-2 w-full">
              <thead>
                <tr className="text-muted">
                  {["date", "audit.ok", "audit.refused"].map((key) => (
                    <th key={key} scope="col" className="py-1.5 text-start font-medium">
                      {t(key)}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {data.map((day) => (
                  <tr key={day.date} className="border-t border-line">
                    <td className="py-1.5">{format.date(day.date)}</td>
                    <td className="tabular-nums">{format.number(day.granted)}</td>
                    <td className="tabular-nums">{format.number(day.refused)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        </figure>
      )}
    </Loaded>
  );
}

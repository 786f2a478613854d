import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { NotebookPen } from "lucide-react";
import { useFormat } from "../format";
import { list } from "../legacy";
import { useSignedIn } from "../session";
import { Heading } from "../ui/layout";
import { Empty, Loaded } from "../ui/states";

export function Records() {
  const { t } = useTranslation();
  const format = useFormat();
  const { id } = useSignedIn();
  const query = useQuery({ queryKey: ["records", id], queryFn: ({ signal }) => list("medicalRecord", { sort: "-date", doctor: id }, signal) });
  return (
    <>
      <Heading title={t("records.title")} />
      <Loaded query={query}>
        {(records) =>
          records.length === 0 ? (
            <Empty title={t("records.none")} icon={<NotebookPen className="size-6" />}>
              {t("records.noneText")}
            </Empty>
          ) : (
            <ul className="card divide-y divide-line overflow-hidden">
              {records.map((record) => (
                <li key={record.id} className="relative flex flex-wrap items-center gap-x-4 gap-y-1 px-5 py-4 hover:bg-sunken">
                  <div className="min-w-0 flex-1">
                    <Link to={`/app/reports/${record.id}`} className="font-medium after:absolute after:inset-0">
                      <bdi>{record.illness || t("timeline.report")}</bdi>
                    </Link>
                    <p className="truncate text-sm text-muted">{record.patient.name}</p>
                  </div>
                  <time dateTime={record.date} className="text-sm text-muted">
                    {format.dateTime(record.date)}
                  </time>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </>
  );
}

import { useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Patient } from "fhir/r4";
import { ChevronRight, Search } from "lucide-react";
import { page, personName, search } from "../fhir";
import { age, useFormat } from "../format";
import { Avatar, Input } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Pager } from "../ui/pager";
import { Empty, Loaded } from "../ui/states";

export function Patients() {
  const { t } = useTranslation();
  return (
    <>
      <Heading title={t("patients.title")} />
      <FindPatient all />
    </>
  );
}

/** The search for patients; with `all`, everybody is listed until something is looked for. */
export function FindPatient({ all = false }: { all?: boolean }) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [path, setPath] = useState<string>();
  const name = useDeferredValue(text.trim());
  const query = useQuery({
    queryKey: ["patients", name, path],
    queryFn: ({ signal }) => (path ? page<Patient>(path, signal) : search<Patient>("Patient", { "name:contains": name, _sort: "name", _count: 25 }, signal)),
    placeholderData: (previous) => previous,
    enabled: all || name !== "",
  });
  return (
    <>
      <form role="search" onSubmit={(event) => event.preventDefault()} className="mb-6 max-w-xl">
        <Input
          label={t("patients.search")}
          type="search"
          value={text}
          onChange={(event) => {
            setPath(undefined);
            setText(event.target.value);
          }}
        />
      </form>
      {(all || name !== "") && (
        <Loaded query={query}>
          {({ resources, next }) =>
            resources.length === 0 ? (
              <Empty title={t("patients.none")} icon={<Search className="size-6" />}>
                {t("patients.noneText")}
              </Empty>
            ) : (
              <>
                <ul className="card divide-y divide-line overflow-hidden">
                  {resources.map((patient) => (
                    <Found key={patient.id} patient={patient} />
                  ))}
                </ul>
                <Pager first={path === undefined} next={next} go={setPath} />
              </>
            )
          }
        </Loaded>
      )}
    </>
  );
}

function Found({ patient }: { patient: Patient }) {
  const { t } = useTranslation();
  const format = useFormat();
  const shown = personName(patient.name) || t("unnamed");
  const years = age(patient.birthDate);
  return (
    <li className="relative flex items-center gap-4 px-4 py-3.5 hover:bg-sunken sm:px-5">
      <Avatar name={shown} />
      <div className="min-w-0 flex-1">
        <Link to={`/app/patients/${patient.id ?? ""}`} className="block truncate font-medium after:absolute after:inset-0">
          <bdi>{shown}</bdi>
        </Link>
        <p className="truncate text-sm text-muted">
          {[patient.gender && t(`gender.${patient.gender}`), years !== null && t("years", { count: years }), patient.birthDate && format.date(patient.birthDate)].filter(Boolean).join(" · ")}
        </p>
      </div>
      <ChevronRight className="size-5 text-muted rtl:-scale-x-100" aria-hidden />
    </li>
  );
}

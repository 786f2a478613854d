import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import { Columns2, ImageOff, Square } from "lucide-react";
import { personName } from "../fhir";
import { useSignedIn } from "../session";
import { Button } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Loaded, Skeleton } from "../ui/states";
import { type Images, load, prior } from "./series";
import { SeriesList } from "./series-list";

/** The viewer itself is large: it comes together with what it is to show, not after. */
const panes = import("./panes");
panes.catch(() => undefined);
const Panes = lazy(() => panes);

/** The images of a study, and beside them those of the patient's other studies. */
export function Study() {
  const { id = "" } = useParams();
  const query = useQuery({ queryKey: ["study", id], queryFn: ({ signal }) => load(id, signal), staleTime: Infinity });
  return <Loaded query={query}>{(found) => <StudyView key={id} {...found} />}</Loaded>;
}

function StudyView({ study, patient, stacks }: Images) {
  const { t } = useTranslation();
  const { role } = useSignedIn();
  const [shown, setShown] = useState<string[]>(stacks[0] ? [stacks[0].key] : []);
  const [pane, setPane] = useState(0);
  const name = personName(patient.name) || t("unnamed");
  const comparing = shown.length === 2;
  const drawn = shown.flatMap((key) => stacks.find((one) => one.key === key) ?? []);
  const compare = () => {
    const [first] = drawn;
    if (!first) return;
    setShown(comparing ? [first.key] : [first.key, (prior(stacks, first) ?? first).key]);
    setPane(comparing ? 0 : 1);
  };
  return (
    <>
      <Heading
        title={study.description ?? t("timeline.study")}
        before={
          <Link to={role === "patient" ? "/app" : `/app/patients/${patient.id ?? ""}`} className="mb-1 inline-block text-sm text-brand underline underline-offset-4">
            {role === "patient" ? t("history.title") : <bdi>{name}</bdi>}
          </Link>
        }
      >
        {stacks.length > 0 && (
          <Button onClick={compare} aria-pressed={comparing}>
            {comparing ? <Square className="size-4" aria-hidden /> : <Columns2 className="size-4" aria-hidden />}
            {t(comparing ? "viewer.single" : "viewer.compare")}
          </Button>
        )}
      </Heading>
      {stacks.length === 0 ? (
        <Empty title={t("viewer.none")} icon={<ImageOff className="size-6" />} />
      ) : (
        <div data-wide className="grid grid-cols-[minmax(0,1fr)] gap-4 lg:grid-cols-[14rem_minmax(0,1fr)]">
          <SeriesList stacks={stacks} shown={shown} selected={shown[pane]} show={(key) => setShown(shown.map((one, index) => (index === pane ? key : one)))} />
          <Suspense fallback={<Skeleton rows={4} />}>
            <Panes stacks={drawn} person={{ name, birthDate: patient.birthDate, gender: patient.gender }} active={pane} activate={setPane} />
          </Suspense>
        </div>
      )}
    </>
  );
}

import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { Attachment, DiagnosticReport, DocumentReference, Encounter } from "fhir/r4";
import { FileText, Pause, Play } from "lucide-react";
import { conceptText, idOf, read, searchAll } from "../fhir";
import { useFormat } from "../format";
import { request } from "../server";
import { useSignedIn } from "../session";
import { Button } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Failure, Loaded } from "../ui/states";

interface Found {
  encounter: Encounter;
  reports: DiagnosticReport[];
  recordings: DocumentReference[];
}

async function load(id: string, signal: AbortSignal): Promise<Found> {
  const about = { encounter: `Encounter/${id}` };
  const [encounter, reports, documents] = await Promise.all([
    read<Encounter>(`Encounter/${id}`, signal),
    searchAll<DiagnosticReport>("DiagnosticReport", about, signal),
    searchAll<DocumentReference>("DocumentReference", about, signal),
  ]);
  const isVideo = (one: DocumentReference) => one.content.some(({ attachment }) => attachment.contentType?.startsWith("video/"));
  return { encounter, reports, recordings: documents.filter(isVideo) };
}

/** A visit or video consultation of the past: who and when, what was written, and what was recorded. */
export function Consultation() {
  const { id = "" } = useParams();
  const query = useQuery({ queryKey: ["consultation", id], queryFn: ({ signal }) => load(id, signal) });
  return <Loaded query={query}>{(found) => <Told {...found} />}</Loaded>;
}

function Told({ encounter, reports, recordings }: Found) {
  const { t } = useTranslation();
  const format = useFormat();
  const { role } = useSignedIn();
  const patient = idOf(encounter.subject);
  const doctors = encounter.participant?.map((who) => who.individual?.display ?? "").filter(Boolean) ?? [];
  return (
    <article className="mx-auto max-w-4xl">
      <Heading
        title={conceptText(encounter.type?.[0]) || t(encounter.class.code === "VR" ? "call.title" : "timeline.encounter")}
        before={
          <Link to={role === "patient" ? "/app" : `/app/patients/${patient}`} className="mb-1 inline-block text-sm text-brand underline underline-offset-4">
            {role === "patient" ? t("history.title") : encounter.subject?.display || t("call.chart")}
          </Link>
        }
      />
      <dl className="card mb-6 grid gap-x-8 gap-y-3 p-5 sm:grid-cols-[auto_1fr] sm:p-7">
        <dt className="text-sm text-muted">{t("consultation.with")}</dt>
        <dd><bdi>{doctors.join(", ") || t("unknown")}</bdi></dd>
        <dt className="text-sm text-muted">{t("consultation.begun")}</dt>
        <dd>{format.dateTime(encounter.period?.start)}</dd>
        {encounter.period?.end && (
          <>
            <dt className="text-sm text-muted">{t("consultation.ended")}</dt>
            <dd>{format.dateTime(encounter.period.end)}</dd>
          </>
        )}
      </dl>
      <section className="mb-6">
        <h2 className="mb-3">{t("consultation.reports")}</h2>
        {reports.length === 0 && <p className="text-sm text-muted">{t("consultation.noReports")}</p>}
        <ul className="flex flex-col gap-2">
          {reports.map((report) => (
            <li key={report.id} className="card">
              <Link to={`/app/reports/${report.id ?? ""}`} className="flex items-center gap-3 p-4 font-medium">
                <FileText className="size-5 text-brand" aria-hidden />
                <bdi>{conceptText(report.conclusionCode?.[0]) || conceptText(report.code)}</bdi>
              </Link>
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h2 className="mb-3">{t("consultation.recordings")}</h2>
        {recordings.length === 0 && <p className="text-sm text-muted">{t("consultation.noRecordings")}</p>}
        {recordings.map((one) => (
          <Recording key={one.id} attachments={one.content.map(({ attachment }) => attachment)} />
        ))}
      </section>
    </article>
  );
}

/** What each side sent, played together. It is fetched when asked for, and held in memory alone. */
function Recording({ attachments }: { attachments: Attachment[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [playing, setPlaying] = useState(false);
  const [urls, setUrls] = useState<string[]>();
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => () => urls?.forEach((url) => URL.revokeObjectURL(url)), [urls]);
  const fetched = useMutation({
    mutationFn: () =>
      Promise.all(
        attachments.map(async ({ url = "" }) => {
          const answer = await request(new URL(url, location.origin).pathname);
          return URL.createObjectURL(await answer.blob());
        }),
      ),
    onSuccess: setUrls,
  });
  const videos = () => [...(frame.current?.querySelectorAll("video") ?? [])];
  const toggle = () => {
    for (const video of videos()) void (playing ? video.pause() : video.play().catch(() => undefined));
    setPlaying(!playing);
  };
  const title = (attachment: Attachment) => t(`role.${attachment.title ?? ""}`, { defaultValue: attachment.title ?? "" });
  return (
    <div className="card mb-4 flex flex-col gap-4 p-5">
      <p className="text-sm text-muted">
        {format.dateTime(attachments[0]?.creation)} · {t("consultation.megabytes", { size: format.number(Math.ceil(attachments.reduce((sum, one) => sum + (one.size ?? 0), 0) / 1e6)) })}
      </p>
      {urls ? (
        <>
          <div ref={frame} className="grid gap-3 sm:grid-cols-2">
            {attachments.map((attachment, number) => (
              <figure key={attachment.url}>
                {/* eslint-disable-next-line jsx-a11y/media-has-caption -- what is said is not written down */}
                <video src={urls[number]} aria-label={title(attachment)} playsInline onEnded={() => setPlaying(false)} className="aspect-video w-full rounded-xl bg-black" />
                <figcaption className="mt-1 text-sm text-muted">{title(attachment)}</figcaption>
              </figure>
            ))}
          </div>
          <Button onClick={toggle} className="self-start">
            {playing ? <Pause className="size-4" aria-hidden /> : <Play className="size-4" aria-hidden />}
            {t(playing ? "consultation.pause" : "consultation.play")}
          </Button>
        </>
      ) : (
        <Button busy={fetched.isPending} onClick={() => fetched.mutate()} className="self-start">
          {t("consultation.open")}
        </Button>
      )}
      {fetched.error && <Failure error={fetched.error} retry={() => fetched.mutate()} />}
    </div>
  );
}

import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "react-router";
import clsx from "clsx";
import { Camera, CameraOff, CircleDot, Mic, MicOff, NotebookPen, PhoneOff, UserRound } from "lucide-react";
import { Call as Side, type CallState } from "../call";
import { type Consultation, told, useLive } from "../live";
import { json } from "../server";
import { useSignedIn } from "../session";
import { Avatar, Badge, Button, buttonClass } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded } from "../ui/states";
import { RecordPanel } from "./record-panel";

function act(id: string, action: string, body: unknown = {}): Promise<void> {
  return json<Consultation>(`/realtime/consultations/${id}/${action}`, { method: "POST", json: body }).then(told);
}

/** A stream, as long as there is one; the own one makes no sound. */
function Video({ stream, own = false, label }: { stream: MediaStream; own?: boolean; label: string }) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (element.current) element.current.srcObject = stream;
  }, [stream]);
  // eslint-disable-next-line jsx-a11y/media-has-caption -- a live conversation has no captions
  return <video ref={element} autoPlay playsInline muted={own} aria-label={label} className="size-full object-cover" />;
}

/** Minutes and seconds since a moment. */
function Elapsed({ since }: { since: string }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  return (
    <span role="timer" aria-live="off" className="tabular-nums">
      {Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, "0")}
    </span>
  );
}

/** Both pictures, and what can be done while they are there. */
function Conversation({ consultation }: { consultation: Consultation }) {
  const { t } = useTranslation();
  const { role } = useSignedIn();
  const side = useRef<Side>(null);
  const [state, setState] = useState<CallState>();
  const [writing, setWriting] = useState(false);
  const { id } = consultation;
  useEffect(() => {
    const made = new Side(id, setState);
    side.current = made;
    void made.start();
    return () => made.end();
  }, [id]);
  useEffect(() => {
    side.current?.pass(consultation);
  }, [consultation, state?.local, state?.remote]);
  const other = role === "doctor" ? consultation.patient : consultation.doctor;
  const agreed = consultation.recording.agreed.includes(role);
  return (
    <div className={clsx("grid grid-cols-[minmax(0,1fr)] items-start gap-6", writing && "xl:grid-cols-[minmax(0,1fr)_24rem]")}>
      <div className={clsx(writing && "sm:max-xl:sticky sm:max-xl:top-16 sm:max-xl:z-10 sm:max-xl:bg-canvas sm:max-xl:pb-3")}>
        <div className="card relative aspect-[4/3] w-full overflow-hidden bg-black text-white sm:aspect-video">
          {state?.remote ? (
            <Video stream={state.remote} label={other.name} />
          ) : (
            <div className="grid size-full place-items-center" role="status">
              <p className="flex flex-col items-center gap-3 text-sm">
                <Avatar name={other.name} size="size-20" />
                {t("call.waiting", { name: other.name })}
              </p>
            </div>
          )}
          {state?.local && (
            <div className="absolute end-3 bottom-3 h-1/4 overflow-hidden rounded-xl border border-white/30">
              <Video stream={state.local} own label={t("call.you")} />
            </div>
          )}
          <div className="absolute start-3 top-3 flex items-center gap-2 rounded-lg bg-black/60 px-3 py-1.5 text-sm">
            {other.name}
            {consultation.started && <Elapsed since={consultation.started} />}
            {consultation.recording.state === "on" && <Badge tone="warn">{t("call.recording")}</Badge>}
          </div>
        </div>
        {state?.problem && (
          <p role="alert" className="mt-4 text-sm text-danger">
            {t(state.problem)}
          </p>
        )}
        <div className="mt-5 flex flex-wrap items-center justify-center gap-3">
          <Button aria-pressed={state?.microphone === false} onClick={() => side.current?.microphone(state?.microphone === false)}>
            {state?.microphone === false ? <MicOff className="size-4" aria-hidden /> : <Mic className="size-4" aria-hidden />}
            {t(state?.microphone === false ? "call.unmute" : "call.mute")}
          </Button>
          <Button aria-pressed={state?.camera === false} onClick={() => side.current?.camera(state?.camera === false)}>
            {state?.camera === false ? <CameraOff className="size-4" aria-hidden /> : <Camera className="size-4" aria-hidden />}
            {t(state?.camera === false ? "call.cameraOn" : "call.cameraOff")}
          </Button>
          <Button aria-pressed={agreed} onClick={() => void act(id, "recording", { agree: !agreed }).catch(() => undefined)}>
            <CircleDot className="size-4" aria-hidden />
            {t(agreed ? "call.stopRecording" : consultation.recording.state === "asked" ? "call.agreeToRecord" : "call.record")}
          </Button>
          {role === "doctor" && (
            <>
              <Button aria-pressed={writing} onClick={() => setWriting(!writing)}>
                <NotebookPen className="size-4" aria-hidden />
                {t("record.write")}
              </Button>
              <Link to={`/app/patients/${consultation.patient.id}`} target="_blank" rel="opener" className={buttonClass("plain")}>
                <UserRound className="size-4" aria-hidden />
                {t("call.chart")}
              </Link>
            </>
          )}
          <Button kind="danger" onClick={() => void act(id, "end").catch(() => undefined)}>
            <PhoneOff className="size-4" aria-hidden />
            {t("call.hangUp")}
          </Button>
        </div>
      </div>
      {role === "doctor" && (
        <div hidden={!writing}>
          <RecordPanel patient={consultation.patient.id} consultation={id} close={() => setWriting(false)} />
        </div>
      )}
    </div>
  );
}

/** A consultation, from the ring to its end. */
export function Call() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  const { role } = useSignedIn();
  const navigate = useNavigate();
  const { consultations } = useLive();
  const [failure, setFailure] = useState<unknown>();
  const query = useQuery({ queryKey: ["consultation", id], queryFn: ({ signal }) => json<Consultation>(`/realtime/consultations/${id}`, { signal }) });
  return (
    <>
      <Heading title={t("call.title")} />
      {failure ? <Failure error={failure} /> : null}
      <Loaded query={query}>
        {(fetched) => {
          const consultation = consultations[id] ?? fetched;
          const other = role === "doctor" ? consultation.patient : consultation.doctor;
          if (consultation.state === "active") return <Conversation key={id} consultation={consultation} />;
          if (consultation.state === "ringing")
            return (
              <div className="card flex flex-col items-center gap-5 p-10 text-center" role="status">
                <Avatar name={other.name} size="size-24" />
                <p className="text-lg">{t(role === "doctor" ? "call.calls" : "call.calling", { name: other.name })}</p>
                <Button kind="danger" onClick={() => void act(id, "end").catch(setFailure)}>
                  <PhoneOff className="size-4" aria-hidden />
                  {t("cancel")}
                </Button>
              </div>
            );
          return (
            <Empty title={t(`call.${consultation.state}`, { name: other.name })} icon={<PhoneOff className="size-6" />}>
              <Button kind="primary" className="mt-3" onClick={() => void navigate("/app")}>
                {t("missing.home")}
              </Button>
            </Empty>
          );
        }}
      </Loaded>
    </>
  );
}

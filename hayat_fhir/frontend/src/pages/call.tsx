import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "react-router";
import clsx from "clsx";
import { Camera, CameraOff, CircleDot, LogOut, Mic, MicOff, NotebookPen, PhoneOff, UserRound, UserRoundPlus } from "lucide-react";
import { Call as Side, type CallState } from "../call";
import { isInvited, sides } from "../faces";
import { type Consultation, told, useLive } from "../live";
import { json } from "../server";
import { useSignedIn } from "../session";
import { Avatar, Button, buttonClass } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded } from "../ui/states";
import { InviteDialog } from "./invite-dialog";
import { Pictures } from "./pictures";
import { RecordPanel } from "./record-panel";

function act(id: string, action: string, body: unknown = {}): Promise<void> {
  return json<Consultation>(`/realtime/consultations/${id}/${action}`, { method: "POST", json: body }).then(told);
}

/** What a button does: on a phone its picture says it, so that all fit in one row below the faces. */
function Name({ children, always = false }: { children: string; always?: boolean }) {
  return <span className={clsx(!always && "max-sm:sr-only")}>{children}</span>;
}

/** Who is there, and what can be done meanwhile. */
function Conversation({ consultation }: { consultation: Consultation }) {
  const { t } = useTranslation();
  const { role, id: self } = useSignedIn();
  const navigate = useNavigate();
  const side = useRef<Side>(null);
  const [state, setState] = useState<CallState>();
  const [writing, setWriting] = useState(false);
  const [inviting, setInviting] = useState(false);
  const { id } = consultation;
  const guest = isInvited(consultation, self);
  useEffect(() => {
    const made = new Side(id, guest, setState);
    side.current = made;
    void made.start();
    return () => made.end();
  }, [id, guest]);
  useEffect(() => {
    side.current?.pass(consultation);
  }, [consultation, state?.local, state?.remotes]);
  const agreed = consultation.recording.agreed.includes(role);
  const asked = !agreed && consultation.recording.state === "asked";
  return (
    <div className={clsx("grid grid-cols-[minmax(0,1fr)] items-start gap-6", writing && "xl:grid-cols-[minmax(0,1fr)_24rem]")}>
      <div className={clsx(writing && "sm:max-xl:sticky sm:max-xl:top-16 sm:max-xl:z-10 sm:max-xl:bg-canvas sm:max-xl:pb-3")}>
        <Pictures consultation={consultation} state={state} />
        <p role="status" className="mt-4 min-h-5 text-center text-sm text-muted">
          {state?.notice && t(state.notice.text, { name: state.notice.name })}
        </p>
        {state?.problem && (
          <p role="alert" className="mt-4 text-sm text-danger">
            {t(state.problem)}
          </p>
        )}
        <div className="mt-5 flex flex-wrap items-center justify-center gap-2 max-sm:[&>*]:px-3 sm:gap-3">
          <Button aria-pressed={state?.microphone === false} onClick={() => side.current?.microphone(state?.microphone === false)}>
            {state?.microphone === false ? <MicOff className="size-4" aria-hidden /> : <Mic className="size-4" aria-hidden />}
            <Name>{t(state?.microphone === false ? "call.unmute" : "call.mute")}</Name>
          </Button>
          <Button aria-pressed={state?.camera === false} onClick={() => side.current?.camera(state?.camera === false)}>
            {state?.camera === false ? <CameraOff className="size-4" aria-hidden /> : <Camera className="size-4" aria-hidden />}
            <Name>{t(state?.camera === false ? "call.cameraOn" : "call.cameraOff")}</Name>
          </Button>
          {!guest && (
            <Button aria-pressed={agreed} onClick={() => void act(id, "recording", { agree: !agreed }).catch(() => undefined)}>
              <CircleDot className="size-4" aria-hidden />
              <Name always={asked}>{t(agreed ? "call.stopRecording" : asked ? "call.agreeToRecord" : "call.record")}</Name>
            </Button>
          )}
          {role === "doctor" && (
            <>
              <Button aria-pressed={writing} onClick={() => setWriting(!writing)}>
                <NotebookPen className="size-4" aria-hidden />
                <Name>{t("record.write")}</Name>
              </Button>
              <Link to={`/app/patients/${consultation.patient.id}`} target="_blank" rel="opener" className={buttonClass("plain")}>
                <UserRound className="size-4" aria-hidden />
                <Name>{t("call.chart")}</Name>
              </Link>
            </>
          )}
          {consultation.doctor.id === self && (
            <>
              <Button onClick={() => setInviting(true)}>
                <UserRoundPlus className="size-4" aria-hidden />
                <Name>{t("invite.title")}</Name>
              </Button>
              <InviteDialog open={inviting} close={() => setInviting(false)} consultation={consultation} />
            </>
          )}
          {guest ? (
            <Button kind="danger" onClick={() => void navigate("/app")}>
              <LogOut className="size-4 rtl:-scale-x-100" aria-hidden />
              <Name>{t("call.leave")}</Name>
            </Button>
          ) : (
            <Button kind="danger" onClick={() => void act(id, "end").catch(() => undefined)}>
              <PhoneOff className="size-4" aria-hidden />
              <Name>{t("call.hangUp")}</Name>
            </Button>
          )}
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
  const { role, id: self } = useSignedIn();
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
          const other = sides(consultation, self).at(-1) ?? consultation.patient;
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

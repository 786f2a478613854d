import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLocation, useNavigate } from "react-router";
import { Phone, PhoneOff } from "lucide-react";
import { isInvited } from "../faces";
import { answered, connect, type Consultation, disconnect, setAvailable, told, useLive } from "../live";
import { json } from "../server";
import { useSignedIn } from "../session";
import { Button } from "./controls";
import { Dialog } from "./dialog";

/** Two notes, again and again, until the ring is answered. */
function useRing(rings: boolean): void {
  useEffect(() => {
    if (!rings) return;
    const audio = new AudioContext();
    const ring = () => {
      for (const [place, pitch] of [660, 880].entries()) {
        const tone = audio.createOscillator();
        const volume = audio.createGain();
        const begin = audio.currentTime + place * 0.25;
        tone.frequency.value = pitch;
        volume.gain.setValueAtTime(0.12, begin);
        volume.gain.exponentialRampToValueAtTime(0.001, begin + 0.4);
        tone.connect(volume).connect(audio.destination);
        tone.start(begin);
        tone.stop(begin + 0.4);
      }
    };
    ring();
    const timer = setInterval(ring, 2000);
    return () => {
      clearInterval(timer);
      void audio.close();
    };
  }, [rings]);
}

/** Whether a doctor can be called. */
export function Availability() {
  const { t } = useTranslation();
  const { role } = useSignedIn();
  const { available, connected } = useLive();
  if (role !== "doctor") return null;
  return (
    <button
      type="button"
      role="switch"
      aria-checked={available}
      disabled={!connected}
      onClick={() => setAvailable(!available)}
      className="flex min-h-11 items-center gap-2 rounded-lg px-1 text-sm whitespace-nowrap text-muted hover:bg-sunken hover:text-ink disabled:opacity-60 sm:px-3"
    >
      <span className={available ? "size-2.5 rounded-full bg-brand" : "size-2.5 rounded-full bg-edge"} aria-hidden />
      {t(available ? "presence.online" : "presence.offline")}
    </button>
  );
}

/** The connection of this tab, and a ring or an invitation that wants an answer. */
export function Incoming() {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const { consultations, invitation } = useLive();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    void connect(signedIn);
  }, [signedIn]);
  useEffect(() => disconnect, []);
  const ringing = signedIn.role === "doctor" ? Object.values(consultations).find((one) => one.state === "ringing" && one.doctor.id === signedIn.id) : undefined;
  const invited = Object.values(consultations).find((one) => one.id === invitation && one.state === "active" && isInvited(one, signedIn.id) && pathname !== `/app/calls/${one.id}`);
  const call = ringing ?? invited;
  useRing(call !== undefined);
  const answer = async (action: "accept" | "decline") => {
    if (!call) return;
    setBusy(true);
    try {
      // an invitation is accepted by coming
      if (ringing || action === "decline") told(await json<Consultation>(`/realtime/consultations/${call.id}/${action}`, { method: "POST", json: {} }));
      if (action === "accept") await navigate(`/app/calls/${call.id}`);
    } catch {
      if (ringing) told({ ...ringing, state: "missed" });
    } finally {
      if (!ringing) answered();
      setBusy(false);
    }
  };
  return (
    <Dialog
      open={call !== undefined}
      close={() => void answer("decline")}
      title={t("call.incoming")}
      description={ringing || !invited ? t("call.calls", { name: ringing?.patient.name ?? "" }) : t("invite.invites", { name: invited.doctor.name, patient: invited.patient.name })}
    >
      <div className="flex justify-end gap-3">
        <Button kind="danger" busy={busy} onClick={() => void answer("decline")}>
          <PhoneOff className="size-4" aria-hidden />
          {t("call.decline")}
        </Button>
        <Button kind="primary" busy={busy} onClick={() => void answer("accept")}>
          <Phone className="size-4" aria-hidden />
          {t("call.accept")}
        </Button>
      </div>
    </Dialog>
  );
}

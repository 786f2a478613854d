import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import clsx from "clsx";
import type { CallState } from "../call";
import { type Face, faces } from "../faces";
import type { Consultation } from "../live";
import { useSignedIn } from "../session";
import { Avatar, Badge } from "../ui/controls";

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

/** One of the others: their picture, or that they are waited for. */
function Tile({ face: { name, stream } }: { face: Face }) {
  const { t } = useTranslation();
  return (
    <figure className="relative min-h-0 min-w-0 overflow-hidden">
      {stream ? (
        <Video stream={stream} label={name} />
      ) : (
        <div className="grid size-full place-items-center" role="status">
          <p className="flex flex-col items-center gap-3 text-sm">
            <Avatar name={name} size="size-20" />
            {t("call.waiting", { name })}
          </p>
        </div>
      )}
      <figcaption className="absolute start-3 bottom-3 max-w-[60%] truncate rounded-lg bg-black/60 px-3 py-1.5 text-sm">
        <bdi>{name}</bdi>
      </figcaption>
    </figure>
  );
}

/** Everybody in the consultation: the others side by side, on a phone one above the other, and oneself in a corner. */
export function Pictures({ consultation, state }: { consultation: Consultation; state: CallState | undefined }) {
  const { t } = useTranslation();
  const { id } = useSignedIn();
  const shown = faces(consultation, id, state?.remotes ?? [], state?.people ?? new Map());
  const several = shown.length > 1;
  return (
    <div className={clsx("card relative w-full overflow-hidden bg-black text-white sm:aspect-video", several ? "aspect-[3/4]" : "aspect-[4/3]")}>
      <div className={clsx("grid size-full auto-rows-fr gap-px", several && "sm:auto-cols-fr sm:grid-flow-col")}>
        {shown.map((face) => (
          <Tile key={face.id} face={face} />
        ))}
      </div>
      {state?.local && (
        <div className={clsx("absolute end-3 bottom-3 overflow-hidden rounded-xl border border-white/30", several ? "h-1/6 sm:h-1/4" : "h-1/4")}>
          <Video stream={state.local} own label={t("call.you")} />
        </div>
      )}
      <div className="absolute start-3 top-3 flex items-center gap-2 rounded-lg bg-black/60 px-3 py-1.5 text-sm empty:hidden">
        {consultation.started && <Elapsed since={consultation.started} />}
        {consultation.recording.state === "on" && <Badge tone="warn">{t("call.recording")}</Badge>}
      </div>
    </div>
  );
}

import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Camera, CircleAlert, CircleCheck, LoaderCircle, Mic, RotateCcw } from "lucide-react";
import { type CheckState, DeviceCheck, type Verdict } from "../device-check";
import { useSignedIn } from "../session";
import { Button } from "../ui/controls";
import { Heading } from "../ui/layout";

/** Camera and microphone, tried before a call. */
export function Devices() {
  const { t } = useTranslation();
  const [attempt, setAttempt] = useState(0);
  return (
    <>
      <Heading title={t("devices.title")} />
      <p className="mb-6 max-w-2xl text-muted">{t("devices.text")}</p>
      {attempt === 0 ? (
        <Button kind="primary" onClick={() => setAttempt(1)}>
          {t("devices.start")}
        </Button>
      ) : (
        <Check key={attempt} again={() => setAttempt(attempt + 1)} />
      )}
    </>
  );
}

function Check({ again }: { again: () => void }) {
  const { t } = useTranslation();
  const { token } = useSignedIn();
  const [state, setState] = useState<CheckState>({ step: "asking", echo: null, audio: 0, video: 0 });
  const picture = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const check = new DeviceCheck(setState);
    void check.start(token);
    return () => check.end();
  }, [token]);
  useEffect(() => {
    if (picture.current) picture.current.srcObject = state.echo;
  }, [state.echo]);
  const over = state.step === "done" || state.step === "failed";
  return (
    <div className="grid max-w-4xl gap-6 md:grid-cols-[3fr_2fr]">
      <div className="card aspect-[4/3] overflow-hidden bg-black">
        <video ref={picture} autoPlay playsInline muted aria-label={t("devices.echo")} className="size-full -scale-x-100 object-cover" />
      </div>
      <div className="flex flex-col gap-5">
        <div>
          <p id="loudness" className="mb-2 text-sm font-medium">
            {t("devices.loudness")}
          </p>
          <div role="meter" aria-labelledby="loudness" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(state.audio * 100)} className="h-3 overflow-hidden rounded-full bg-sunken">
            <svg aria-hidden viewBox="0 0 100 1" preserveAspectRatio="none" className="size-full rtl:-scale-x-100">
              <rect width={state.audio * 100} height="1" className="fill-brand" />
            </svg>
          </div>
          <p className="mt-2 text-xs text-muted">{t("devices.speak")}</p>
        </div>
        <div role="status" className="flex flex-col gap-3">
          {state.step === "failed" && <Line good={false}>{t("devices.failed")}</Line>}
          {!over && (
            <p className="flex items-center gap-3 text-sm text-muted">
              <LoaderCircle className="size-5 animate-spin" aria-hidden />
              {t(`devices.${state.step}`)}
            </p>
          )}
          {state.microphone && <Judged device="microphone" verdict={state.microphone} />}
          {state.camera && <Judged device="camera" verdict={state.camera} />}
        </div>
        {over && (
          <Button className="self-start" onClick={again}>
            <RotateCcw className="size-4" aria-hidden />
            {t("devices.again")}
          </Button>
        )}
      </div>
    </div>
  );
}

function Judged({ device, verdict }: { device: "microphone" | "camera"; verdict: Verdict }) {
  const { t } = useTranslation();
  const Icon = device === "microphone" ? Mic : Camera;
  return (
    <Line good={verdict === "good"}>
      <span className="mb-0.5 flex items-center gap-2 font-medium">
        <Icon className="size-4" aria-hidden />
        {t(`devices.${device}`)}
      </span>
      {t(`devices.${device}.${verdict}`)}
    </Line>
  );
}

function Line({ good, children }: { good: boolean; children: React.ReactNode }) {
  const Icon = good ? CircleCheck : CircleAlert;
  return (
    <div className={good ? "flex gap-3 rounded-card bg-brand-soft p-4 text-sm text-brand-strong" : "flex gap-3 rounded-card bg-danger-soft p-4 text-sm text-danger"}>
      <Icon className="mt-0.5 size-5 shrink-0" aria-hidden />
      <div>{children}</div>
    </div>
  );
}

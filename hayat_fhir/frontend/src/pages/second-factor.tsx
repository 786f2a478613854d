import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation } from "@tanstack/react-query";
import qrcode from "qrcode-generator";
import { json, ServerError } from "../server";
import { setSession } from "../session";
import { Button, Input } from "../ui/controls";
import { Failure } from "../ui/states";

const PATH = "/api/v1/auth/second-factor";

interface Enrolment {
  secret: string;
  uri: string;
}

/** Sets a second factor up, by a picture for an authenticator app; or takes the one that is set away. */
export function SecondFactor() {
  const { t } = useTranslation();
  const enrol = useMutation({ mutationFn: () => json<Enrolment>(PATH, { method: "POST" }) });
  const isSet = enrol.error instanceof ServerError && enrol.error.status === 403;
  return (
    <div className="flex flex-col gap-5 p-5 sm:p-7">
      <div className="flex flex-wrap items-center justify-between gap-4">
        <p className="max-w-md text-sm text-muted">{t("security.factorText")}</p>
        {!enrol.data && !isSet && (
          <Button busy={enrol.isPending} onClick={() => enrol.mutate()}>
            {t("security.factor")}
          </Button>
        )}
      </div>
      {enrol.data && <Confirm {...enrol.data} />}
      {isSet && <Remove />}
      {enrol.error && !isSet && <Failure error={enrol.error} />}
    </div>
  );
}

function Confirm({ secret, uri }: Enrolment) {
  const { t } = useTranslation();
  const [code, setCode] = useState("");
  const confirm = useMutation({
    mutationFn: () => json(PATH, { method: "PUT", json: { secret, code }, keepSession: true }),
    onSuccess: () => setSession(null),
  });
  return (
    <form
      className="flex flex-col gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        confirm.mutate();
      }}
    >
      <div className="grid items-center gap-6 sm:grid-cols-[11rem_1fr]">
        <Code text={uri} label={t("security.scan")} />
        <div>
          <p className="text-sm font-medium">{t("security.scan")}</p>
          <p className="mt-4 text-sm text-muted">{t("security.secret")}</p>
          <code className="mt-1.5 block rounded-lg bg-sunken p-3 text-sm break-all select-all" dir="ltr">
            {secret}
          </code>
          <a href={uri} className="mt-3 inline-block text-sm text-brand underline underline-offset-4 sm:hidden">
            {t("security.openApp")}
          </a>
        </div>
      </div>
      <div className="flex flex-wrap items-end gap-4">
        <Input className="w-44" label={t("signIn.code")} inputMode="numeric" autoComplete="one-time-code" pattern="[0-9]{6}" required value={code} onChange={(event) => setCode(event.target.value)} />
        <Button type="submit" kind="primary" busy={confirm.isPending}>
          {t("security.confirm")}
        </Button>
      </div>
      {confirm.error && <Failure error={confirm.error} />}
    </form>
  );
}

/** A QR code, ISO/IEC 18004, black on white in either theme. */
function Code({ text, label }: { text: string; label: string }) {
  const { path, size } = useMemo(() => {
    const code = qrcode(0, "M");
    code.addData(text);
    code.make();
    const count = code.getModuleCount();
    const squares = Array.from({ length: count * count }, (_, place) => [Math.floor(place / count), place % count] as const);
    return { path: squares.flatMap(([row, column]) => (code.isDark(row, column) ? [`M${String(column)} ${String(row)}h1v1h-1z`] : [])).join(""), size: count };
  }, [text]);
  return (
    <svg role="img" aria-label={label} viewBox={`-4 -4 ${String(size + 8)} ${String(size + 8)}`} shapeRendering="crispEdges" className="size-44 rounded-xl bg-white">
      <path d={path} fill="#000" />
    </svg>
  );
}

function Remove() {
  const { t } = useTranslation();
  const remove = useMutation({
    mutationFn: (fields: unknown) => json(PATH, { method: "DELETE", json: fields, keepSession: true }),
    onSuccess: () => setSession(null),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    remove.mutate(Object.fromEntries(new FormData(event.currentTarget)));
  };
  return (
    <form onSubmit={submit} className="grid gap-4 sm:grid-cols-[1fr_10rem_auto] sm:items-end">
      <p className="text-sm sm:col-span-3">{t("security.factorThere")}</p>
      <Input label={t("security.old")} name="password" type="password" autoComplete="current-password" required />
      <Input label={t("signIn.code")} name="code" inputMode="numeric" autoComplete="one-time-code" required />
      <Button type="submit" kind="danger" busy={remove.isPending}>
        {t("security.factorRemove")}
      </Button>
      {remove.error && (
        <div className="sm:col-span-3">
          <Failure error={remove.error} />
        </div>
      )}
    </form>
  );
}

import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { LogOut } from "lucide-react";
import { type Doctor, get, photoPath, save } from "../legacy";
import { json } from "../server";
import { setSession, useSignedIn } from "../session";
import { Avatar, Button, Input, TextArea } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Failure, Loaded } from "../ui/states";
import { PatientProfile } from "./patient";

export function Profile() {
  const { role } = useSignedIn();
  return (
    <>
      {role === "patient" && <PatientProfile />}
      {role === "doctor" && <DoctorProfile />}
      {role === "staff" && <StaffProfile />}
      <Security />
    </>
  );
}

function StaffProfile() {
  const { t } = useTranslation();
  return <Heading title={t("profile.title")} />;
}

function DoctorProfile() {
  const { t } = useTranslation();
  const { id } = useSignedIn();
  const query = useQuery({ queryKey: ["doctor", id], queryFn: ({ signal }) => get("doctor", id, signal) });
  return (
    <>
      <Heading title={t("profile.title")} />
      <Loaded query={query}>{(doctor) => <DoctorForm doctor={doctor} />}</Loaded>
    </>
  );
}

function DoctorForm({ doctor }: { doctor: Doctor }) {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (fields: Record<string, unknown>) => save("doctor", doctor.id, fields),
    onSuccess: async (_, fields) => {
      setSession({ ...signedIn, name: String(fields.name) });
      await queries.invalidateQueries({ queryKey: ["doctor", doctor.id] });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    change.mutate(Object.fromEntries(new FormData(event.currentTarget)));
  };
  return (
    <form onSubmit={submit} className="card grid max-w-3xl gap-5 p-5 sm:grid-cols-2 sm:p-7">
      <div className="flex items-center gap-5 sm:col-span-2">
        <Avatar name={doctor.name} photo={photoPath(doctor.photo)} size="size-20" />
        <Input className="flex-1" label={t("field.photo")} name="photo" type="file" accept="image/png,image/jpeg,image/webp" />
      </div>
      <Input label={t("name")} name="name" defaultValue={doctor.name} required />
      <Input label={t("phone")} name="phone" type="tel" defaultValue={doctor.phone} required />
      <Input label={t("field.hospital")} name="hospital" defaultValue={doctor.hospital} required />
      <Input label={t("field.specializationDetail")} name="specializationDetail" defaultValue={doctor.specializationDetail} required />
      <TextArea className="sm:col-span-2" label={t("field.background")} name="background" defaultValue={doctor.background} required />
      {change.error && (
        <div className="sm:col-span-2">
          <Failure error={change.error} />
        </div>
      )}
      <div className="flex items-center gap-4 sm:col-span-2">
        <Button type="submit" kind="primary" busy={change.isPending}>
          {t("save")}
        </Button>
        <p role="status" className="text-sm text-brand">
          {change.isSuccess ? t("saved") : ""}
        </p>
      </div>
    </form>
  );
}

/** Password, second factor, and the end of all sessions. */
function Security() {
  const { t } = useTranslation();
  const { role } = useSignedIn();
  const everywhere = useMutation({
    mutationFn: () => json("/api/v1/auth/logout-everywhere", { method: "POST" }),
    onSuccess: () => setSession(null),
  });
  const password = useMutation({
    mutationFn: (fields: unknown) => json("/api/v1/auth/password", { method: "POST", json: fields, keepSession: true }),
    onSuccess: () => setSession(null),
  });
  return (
    <section aria-labelledby="security" className="mt-10 max-w-3xl">
      <h2 id="security" className="mb-4 text-lg">
        {t("security.title")}
      </h2>
      <div className="card divide-y divide-line">
        <form
          className="grid gap-5 p-5 sm:grid-cols-2 sm:p-7"
          onSubmit={(event) => {
            event.preventDefault();
            password.mutate(Object.fromEntries(new FormData(event.currentTarget)));
          }}
        >
          <Input label={t("security.old")} name="password" type="password" autoComplete="current-password" required />
          <Input label={t("security.new")} name="newPassword" type="password" autoComplete="new-password" minLength={15} required hint={t("passwordHint")} />
          {password.error && (
            <div className="sm:col-span-2">
              <Failure error={password.error} />
            </div>
          )}
          <div className="flex flex-wrap items-center gap-4 sm:col-span-2">
            <Button type="submit" busy={password.isPending}>
              {t("security.change")}
            </Button>
            <p className="text-sm text-muted">{t("security.changeText")}</p>
          </div>
        </form>
        {role !== "patient" && <SecondFactor />}
        <div className="flex flex-wrap items-center justify-between gap-4 p-5 sm:p-7">
          <p className="max-w-md text-sm text-muted">{t("security.everywhereText")}</p>
          <Button kind="danger" busy={everywhere.isPending} onClick={() => everywhere.mutate()}>
            <LogOut className="size-4 rtl:-scale-x-100" aria-hidden />
            {t("security.everywhere")}
          </Button>
          {everywhere.error && <Failure error={everywhere.error} />}
        </div>
      </div>
    </section>
  );
}

function SecondFactor() {
  const { t } = useTranslation();
  const [code, setCode] = useState("");
  const enrol = useMutation({ mutationFn: () => json<{ secret: string; uri: string }>("/api/v1/auth/second-factor", { method: "POST" }) });
  const confirm = useMutation({
    mutationFn: () => json("/api/v1/auth/second-factor", { method: "PUT", json: { secret: enrol.data?.secret, code } }),
    onSuccess: () => setSession(null),
  });
  return (
    <div className="flex flex-col gap-4 p-5 sm:p-7">
      <div className="flex flex-wrap items-center justify-between gap-4">
        <p className="max-w-md text-sm text-muted">{t("security.factorText")}</p>
        {!enrol.data && (
          <Button busy={enrol.isPending} onClick={() => enrol.mutate()}>
            {t("security.factor")}
          </Button>
        )}
      </div>
      {enrol.error && <p className="text-sm">{t("security.factorThere")}</p>}
      {enrol.data && (
        <form
          className="grid gap-4 sm:grid-cols-[1fr_10rem_auto] sm:items-end"
          onSubmit={(event) => {
            event.preventDefault();
            confirm.mutate();
          }}
        >
          <div>
            <p className="text-sm font-medium">{t("security.secret")}</p>
            <code className="mt-2 block rounded-lg bg-sunken p-3 text-sm break-all select-all" dir="ltr">
              {enrol.data.secret}
            </code>
          </div>
          <Input label={t("signIn.code")} inputMode="numeric" autoComplete="one-time-code" required value={code} onChange={(event) => setCode(event.target.value)} />
          <Button type="submit" kind="primary" busy={confirm.isPending}>
            {t("security.confirm")}
          </Button>
          {confirm.error && (
            <div className="sm:col-span-3">
              <Failure error={confirm.error} />
            </div>
          )}
        </form>
      )}
    </div>
  );
}

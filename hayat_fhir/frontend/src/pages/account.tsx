import type { FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type Doctor, get, photoPath, save } from "../legacy";
import { setSession, useSignedIn } from "../session";
import { Avatar, Button, Input, TextArea } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Failure, Loaded } from "../ui/states";
import { PatientProfile } from "./patient-profile";
import { Security } from "./security";

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

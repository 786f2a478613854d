import type { FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { get, type Patient, save } from "../legacy";
import { setSession, useSignedIn } from "../session";
import { Button, Input, Select, TextArea } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Failure, Loaded } from "../ui/states";

export function PatientProfile() {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const query = useQuery({ queryKey: ["patient", signedIn.id], queryFn: ({ signal }) => get("patient", signedIn.id, signal) });
  return (
    <>
      <Heading title={t("profile.title")} />
      <Loaded query={query}>{(person) => <PatientForm person={person} />}</Loaded>
    </>
  );
}

function PatientForm({ person }: { person: Patient }) {
  const { t } = useTranslation();
  const signedIn = useSignedIn();
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (fields: Record<string, unknown>) => save("patient", person.id, fields),
    onSuccess: async (_, fields) => {
      setSession({ ...signedIn, name: String(fields.name) });
      await queries.invalidateQueries({ queryKey: ["patient", person.id] });
      await queries.invalidateQueries({ queryKey: ["allergies", person.id] });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { relativeName, relativePhone, relativeType, bloodType, ...fields } = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    const relative = Object.fromEntries(Object.entries({ name: relativeName, phoneNumber: relativePhone, relativeType }).filter(([, value]) => value));
    change.mutate({ ...fields, bloodType: bloodType || null, relative });
  };
  return (
    <form onSubmit={submit} className="card grid max-w-3xl gap-5 p-5 sm:grid-cols-2 sm:p-7">
      <Input label={t("name")} name="name" defaultValue={person.name} required />
      <Input label={t("phone")} name="phone" type="tel" defaultValue={person.phone} required />
      <Input className="sm:col-span-2" label={t("address")} name="currentAddress" autoComplete="street-address" defaultValue={person.currentAddress} />
      <Select
        label={t("bloodType")}
        name="bloodType"
        defaultValue={person.bloodType ?? ""}
        options={[["", t("unknown")], ["A", "A"], ["B", "B"], ["O", "O"], ["AB", "AB"]]}
      />
      <TextArea className="sm:col-span-2" label={t("allergies")} name="allergy" defaultValue={person.allergy} hint={t("allergies.hint")} />
      <fieldset className="grid gap-5 border-t border-line pt-5 sm:col-span-2 sm:grid-cols-3">
        <legend className="float-start mb-4 text-sm font-semibold">{t("relative")}</legend>
        <Input className="sm:col-start-1" label={t("name")} name="relativeName" defaultValue={person.relative?.name} />
        <Input label={t("phone")} name="relativePhone" type="tel" defaultValue={person.relative?.phoneNumber} />
        <Input label={t("relative.type")} name="relativeType" defaultValue={person.relative?.relativeType} />
      </fieldset>
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

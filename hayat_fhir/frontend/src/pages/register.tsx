import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { register } from "../legacy";
import { Button, Input, Select } from "../ui/controls";
import { Doorway } from "../ui/doorway";
import { Heading } from "../ui/layout";
import { Failure } from "../ui/states";

export function Register() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { IDcard, ...fields } = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    setBusy(true);
    setError(null);
    try {
      await register({ ...fields, IDcard: Number(IDcard) });
      await navigate("/app/sign-in", { state: { email: fields.email, done: "register.done" } });
    } catch (refusal) {
      setError(refusal);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Doorway>
      <Heading title={t("register.title")} />
      <form onSubmit={(event) => void submit(event)} className="grid gap-5 sm:grid-cols-2">
        <Input className="sm:col-span-2" label={t("name")} name="name" autoComplete="name" required maxLength={200} />
        <Input className="sm:col-span-2" label={t("email")} name="email" type="email" autoComplete="email" required />
        <Input className="sm:col-span-2" label={t("password")} hint={t("passwordHint")} name="password" type="password" autoComplete="new-password" minLength={15} required />
        <Input label={t("phone")} name="phone" type="tel" autoComplete="tel" required />
        <Input label={t("idCard")} name="IDcard" inputMode="numeric" pattern="[0-9]{1,15}" required />
        <Input label={t("birthdate")} name="birthdate" type="date" max={new Date().toISOString().slice(0, 10)} required />
        <Select
          label={t("gender")}
          name="gender"
          required
          options={[
            ["Female", t("gender.Female")],
            ["Male", t("gender.Male")],
          ]}
        />
        {error !== null && (
          <div className="sm:col-span-2">
            <Failure error={error} />
          </div>
        )}
        <Button type="submit" kind="primary" busy={busy} className="sm:col-span-2">
          {t("register.submit")}
        </Button>
      </form>
      <p className="mt-8 text-sm text-muted">
        {t("register.known")}{" "}
        <Link to="/app/sign-in" className="font-medium text-brand underline underline-offset-4">
          {t("signIn.submit")}
        </Link>
      </p>
    </Doorway>
  );
}

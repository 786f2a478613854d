import type { FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { useMutation } from "@tanstack/react-query";
import { Link, useNavigate } from "react-router";
import { json, ServerError } from "../server";
import { Button, Input } from "../ui/controls";
import { Doorway } from "../ui/doorway";
import { Heading } from "../ui/layout";
import { Failure } from "../ui/states";

/** A lost password is replaced with the one-time code that the hospital's administrator gives. */
export function Reset() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const reset = useMutation({
    mutationFn: (fields: Record<string, FormDataEntryValue>) => json("/api/v1/auth/reset", { method: "POST", json: fields, anonymous: true }),
    onSuccess: (_, { email }) => navigate("/app/sign-in", { state: { email, done: "reset.done" } }),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    reset.mutate(Object.fromEntries(new FormData(event.currentTarget)));
  };
  const wrong = reset.error instanceof ServerError && reset.error.status === 401;
  return (
    <Doorway>
      <Heading title={t("reset.title")} />
      <p className="mb-6 text-muted">{t("reset.text")}</p>
      <form onSubmit={submit} className="flex flex-col gap-5">
        <Input label={t("email")} name="email" type="email" autoComplete="username" required />
        <Input label={t("reset.code")} name="code" autoComplete="one-time-code" required dir="ltr" />
        <Input label={t("security.new")} hint={t("passwordHint")} name="password" type="password" autoComplete="new-password" minLength={15} required />
        {wrong && (
          <p role="alert" className="rounded-card bg-danger-soft p-4 text-sm text-danger">
            {t("reset.wrong")}
          </p>
        )}
        {reset.error && !wrong && <Failure error={reset.error} />}
        <Button type="submit" kind="primary" busy={reset.isPending}>
          {t("reset.submit")}
        </Button>
      </form>
      <p className="mt-8 text-sm">
        <Link to="/app/sign-in" className="font-medium text-brand underline underline-offset-4">
          {t("signIn.submit")}
        </Link>
      </p>
    </Doorway>
  );
}

import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation, useNavigate } from "react-router";
import { Tabs } from "radix-ui";
import { signIn } from "../legacy";
import { ServerError } from "../server";
import { type Role, setSession } from "../session";
import { Button, Input } from "../ui/controls";
import { Doorway } from "../ui/doorway";
import { Heading } from "../ui/layout";
import { Failure } from "../ui/states";

const roles: Role[] = ["patient", "doctor", "staff"];

export function SignIn() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const arrival = useLocation().state as { email?: string; done?: string } | null;
  const [role, setRole] = useState<Role>("patient");
  const [error, setError] = useState<unknown>(null);
  const [needsCode, setNeedsCode] = useState(false);
  const [busy, setBusy] = useState(false);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const text = (name: string) => (fields.get(name) as string | null) ?? "";
    setBusy(true);
    setError(null);
    try {
      const who = await signIn(role, text("email"), text("password"), text("code") || undefined);
      setSession({ ...who, role });
      await navigate("/app", { replace: true });
    } catch (refusal) {
      if (isSecondFactor(refusal)) setNeedsCode(true);
      else setError(refusal);
    } finally {
      setBusy(false);
    }
  };
  const wrong = error instanceof ServerError && (error.status === 401 || error.status === 400);
  return (
    <Doorway>
      <Heading title={t("signIn.title")} />
      {arrival?.done && (
        <p role="status" className="mb-5 rounded-card bg-brand-soft p-4 text-sm text-brand-strong">
          {t(arrival.done)}
        </p>
      )}
      <Tabs.Root value={role} onValueChange={(value) => setRole(value as Role)}>
        <Tabs.List aria-label={t("signIn.as")} className="mb-6 grid grid-cols-3 gap-1 rounded-xl bg-sunken p-1">
          {roles.map((one) => (
            <Tabs.Trigger
              key={one}
              value={one}
              className="min-h-10 rounded-lg text-sm text-muted data-[state=active]:bg-surface data-[state=active]:font-semibold data-[state=active]:text-ink data-[state=active]:shadow-card"
            >
              {t(`role.${one}`)}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        {roles.map((one) => (
          <Tabs.Content key={one} value={one} tabIndex={-1}>
            <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-5">
              <Input label={t("email")} name="email" type="email" autoComplete="username" required defaultValue={arrival?.email} />
              <Input label={t("password")} name="password" type="password" autoComplete="current-password" required />
              {needsCode && (
                <Input label={t("signIn.code")} hint={t("signIn.codeHint")} name="code" inputMode="numeric" autoComplete="one-time-code" required />
              )}
              {wrong && (
                <p role="alert" className="rounded-card bg-danger-soft p-4 text-sm text-danger">
                  {t("signIn.wrong")}
                </p>
              )}
              {error !== null && !wrong && <Failure error={error} />}
              <Button type="submit" kind="primary" busy={busy}>
                {t("signIn.submit")}
              </Button>
            </form>
          </Tabs.Content>
        ))}
      </Tabs.Root>
      <p className="mt-8 text-sm text-muted">
        {t("signIn.lost")}{" "}
        <Link to="/app/reset" className="font-medium text-brand underline underline-offset-4">
          {t("reset.link")}
        </Link>
      </p>
      <p className="mt-2 text-sm text-muted">
        {t("signIn.new")}{" "}
        <Link to="/app/register" className="font-medium text-brand underline underline-offset-4">
          {t("register.link")}
        </Link>
      </p>
    </Doorway>
  );
}

function isSecondFactor(error: unknown): boolean {
  return error instanceof ServerError && error.status === 401 && (error.code === "second-factor" || error.message.includes("second factor"));
}

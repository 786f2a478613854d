import { type FormEvent, type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation, useNavigate } from "react-router";
import { Tabs } from "radix-ui";
import { register, signIn } from "../legacy";
import { ServerError } from "../server";
import { type Role, setSession } from "../session";
import { Button, Input, Select } from "../ui/controls";
import { Brand, Heading, Preferences } from "../ui/layout";
import { Failure } from "../ui/states";

const roles: Role[] = ["patient", "doctor", "staff"];

/** The frame of the pages that need no session. */
function Doorway({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <div className="grid min-h-dvh lg:grid-cols-[minmax(24rem,5fr)_7fr]">
      <aside className="relative hidden overflow-hidden bg-[#0b4f57] p-12 text-[#e8f6f3] lg:flex lg:flex-col lg:justify-between">
        <Brand />
        <Journey />
        <div className="max-w-md">
          <p className="text-3xl leading-tight font-semibold text-balance">{t("welcome.title")}</p>
          <p className="mt-4 text-[#c4e6e0]">{t("welcome.text")}</p>
        </div>
      </aside>
      <div className="flex min-w-0 flex-col">
        <header className="flex h-16 items-center justify-between px-4 sm:px-8">
          <span className="lg:invisible">
            <Brand />
          </span>
          <Preferences />
        </header>
        <main id="main" tabIndex={-1} className="mx-auto flex w-full max-w-xl flex-1 flex-col justify-center px-4 pt-4 pb-16 outline-none sm:px-8">
          {children}
        </main>
      </div>
    </div>
  );
}

/** Two hospitals and the line of a life between them. */
function Journey() {
  return (
    <svg viewBox="0 0 420 220" aria-hidden className="pointer-events-none my-8 w-full max-w-lg">
      <path d="M20 150h110l18-52 26 96 20-44h206" fill="none" stroke="#7fd6c6" strokeWidth="3" strokeLinecap="round" strokeLinejoin="round" />
      <g fill="#12686d" stroke="#7fd6c6" strokeWidth="1.500">
        <rect x="36" y="52" width="64" height="80" rx="10" />
        <rect x="300" y="36" width="80" height="96" rx="10" />
      </g>
      <g stroke="#e8f6f3" strokeWidth="4" strokeLinecap="round">
        <path d="M68 74v20M58 84h20" />
        <path d="M340 62v24M328 74h24" />
      </g>
      <circle cx="212" cy="150" r="7" fill="#e8f6f3" />
      <circle cx="212" cy="150" r="15" fill="none" stroke="#e8f6f3" strokeOpacity=".4" />
    </svg>
  );
}

export function SignIn() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const arrival = useLocation().state as { email?: string; registered?: boolean } | null;
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
      {arrival?.registered && (
        <p role="status" className="mb-5 rounded-card bg-brand-soft p-4 text-sm text-brand-strong">
          {t("register.done")}
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
      await navigate("/app/sign-in", { state: { email: fields.email, registered: true } });
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

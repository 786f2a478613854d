import { useTranslation } from "react-i18next";
import { useMutation } from "@tanstack/react-query";
import { LogOut } from "lucide-react";
import { json } from "../server";
import { setSession, useSignedIn } from "../session";
import { Button, Input } from "../ui/controls";
import { Failure } from "../ui/states";
import { SecondFactor } from "./second-factor";

/** Password, second factor, and the end of all sessions. */
export function Security() {
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

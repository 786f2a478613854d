import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery } from "@tanstack/react-query";
import type { Practitioner } from "fhir/r4";
import clsx from "clsx";
import { UserRoundPlus } from "lucide-react";
import { personName, searchAll } from "../fhir";
import { fold } from "../folding";
import { type Consultation, type Person, told, useLive } from "../live";
import { json, ServerError } from "../server";
import { Avatar, Button, Input } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Failure, Loaded } from "../ui/states";

/** How many doctors the dialog shows at once: a name finds the others. */
const SHOWN = 30;

async function doctors(signal: AbortSignal): Promise<Person[]> {
  const found = await searchAll<Practitioner>("Practitioner", { _tag: "urn:hayat:role|doctor", _sort: "name" }, signal);
  return found.filter(({ active }) => active !== false).map(({ id = "", name }) => ({ id, name: personName(name) }));
}

/** Lets a further doctor into the consultation: one who is online, for nobody else would hear of it. */
export function InviteDialog({ open, close, consultation }: { open: boolean; close: () => void; consultation: Consultation }) {
  const { t } = useTranslation();
  const { online } = useLive();
  const [text, setText] = useState("");
  const query = useQuery({ queryKey: ["doctors", "invite"], queryFn: ({ signal }) => doctors(signal), enabled: open });
  const invite = useMutation({
    mutationFn: (doctor: string) => json<Consultation>(`/realtime/consultations/${consultation.id}/invite`, { method: "POST", json: { doctor } }),
    onSuccess: (changed) => {
      told(changed);
      end();
    },
  });
  const end = () => {
    setText("");
    invite.reset();
    close();
  };
  const there = new Set([consultation.doctor, ...consultation.invited].map(({ id }) => id));
  const wanted = fold(text);
  const found = (all: Person[]) =>
    all
      .filter(({ id, name }) => !there.has(id) && fold(name).includes(wanted))
      .sort((a, b) => Number(online.has(b.id)) - Number(online.has(a.id)))
      .slice(0, SHOWN);
  return (
    <Dialog open={open} close={end} title={t("invite.title")} description={t("invite.text")}>
      <div className="flex flex-col gap-5">
        <Input label={t("invite.search")} type="search" value={text} onChange={(event) => setText(event.target.value)} />
        {invite.error && (invite.error instanceof ServerError && invite.error.status === 409 ? <p role="alert">{t("invite.busy")}</p> : <Failure error={invite.error} />)}
        <Loaded query={query}>
          {(all) => {
            const some = found(all);
            return some.length === 0 ? (
              <p className="text-sm text-muted">{t("doctors.none")}</p>
            ) : (
              <ul className="divide-y divide-line">
                {some.map(({ id, name }) => (
                  <li key={id} className="flex items-center gap-3 py-3">
                    <Avatar name={name} />
                    <div className="min-w-0 flex-1">
                      <p className="truncate font-medium"><bdi>{name}</bdi></p>
                      <p className={clsx("text-sm", online.has(id) ? "text-brand-strong" : "text-muted")}>{t(online.has(id) ? "presence.online" : "presence.offline")}</p>
                    </div>
                    <Button kind="primary" disabled={!online.has(id)} busy={invite.isPending && invite.variables === id} onClick={() => invite.mutate(id)}>
                      <UserRoundPlus className="size-4" aria-hidden />
                      {t("invite.invite")}
                      <span className="sr-only">{name}</span>
                    </Button>
                  </li>
                ))}
              </ul>
            );
          }}
        </Loaded>
      </div>
    </Dialog>
  );
}

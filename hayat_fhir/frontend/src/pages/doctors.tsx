import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "react-router";
import clsx from "clsx";
import { Mic, Phone, Search } from "lucide-react";
import { fold } from "../folding";
import { useFormat } from "../format";
import { type Doctor, list, photoPath } from "../legacy";
import { type Consultation, told, useLive } from "../live";
import { json, ServerError } from "../server";
import { Avatar, Badge, Button, buttonClass, Input, Select } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Empty, Failure, Loaded } from "../ui/states";

export function Doctors() {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [field, setField] = useState("");
  const [onlyOnline, setOnlyOnline] = useState(false);
  const query = useQuery({ queryKey: ["doctors"], queryFn: ({ signal }) => list("doctor", { sort: "name", limit: 1000 }, signal) });
  const format = useFormat();
  const { online } = useLive();
  const navigate = useNavigate();
  const call = useMutation({
    mutationFn: (doctor: string) => json<Consultation>("/realtime/consultations", { method: "POST", json: { doctor } }),
    onSuccess: async (made) => {
      told(made);
      await navigate(`/app/calls/${made.id}`);
    },
  });
  const fields = useMemo(() => [...new Set(query.data?.map((one) => one.specialization.specialization))].sort(), [query.data]);
  const wanted = fold(text);
  const found = query.data
    ?.filter((one) => (!field || one.specialization.specialization === field) && (!onlyOnline || online.has(one.id)) && fold(`${one.name} ${one.hospital} ${one.specialization.specialization} ${one.specializationDetail}`).includes(wanted))
    .sort((a, b) => Number(online.has(b.id)) - Number(online.has(a.id)));
  return (
    <>
      <Heading title={t("doctors.title")}>
        <Link to="/app/devices" className={buttonClass("plain")}>
          <Mic className="size-4" aria-hidden />
          {t("devices.title")}
        </Link>
      </Heading>
      {call.error && (
        <div className="mb-6">{call.error instanceof ServerError && call.error.status === 409 ? <p role="alert">{t("call.busy")}</p> : <Failure error={call.error} />}</div>
      )}
      <form role="search" onSubmit={(event) => event.preventDefault()} className="mb-6 grid items-end gap-4 sm:grid-cols-[1fr_16rem_auto]">
        <Input label={t("doctors.search")} type="search" value={text} onChange={(event) => setText(event.target.value)} />
        <Select label={t("specialization")} value={field} onChange={(event) => setField(event.target.value)} options={[["", t("all")], ...fields.map((one) => [one, one] as const)]} />
        <Button aria-pressed={onlyOnline} onClick={() => setOnlyOnline(!onlyOnline)} className={clsx(onlyOnline && "border-brand bg-brand-soft text-brand-strong")}>
          <span className={clsx("size-2.5 rounded-full", online.size > 0 ? "bg-brand" : "bg-edge")} aria-hidden />
          {t("doctors.online", { number: format.number(online.size) })}
        </Button>
      </form>
      <Loaded query={query}>
        {() =>
          found?.length ? (
            <ul className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
              {found.map((doctor) => (
                <DoctorCard key={doctor.id} doctor={doctor} online={online.has(doctor.id)} busy={call.isPending && call.variables === doctor.id} call={() => call.mutate(doctor.id)} />
              ))}
            </ul>
          ) : (
            <Empty title={t("doctors.none")} icon={<Search className="size-6" />}>
              {t(onlyOnline && online.size === 0 ? "doctors.noneOnline" : "doctors.noneText")}
            </Empty>
          )
        }
      </Loaded>
    </>
  );
}

function DoctorCard({ doctor, online, busy, call }: { doctor: Doctor; online: boolean; busy: boolean; call: () => void }) {
  const { t } = useTranslation();
  return (
    <li className="card flex flex-col gap-3 p-5">
      <div className="flex items-center gap-3">
        <Avatar name={doctor.name} photo={photoPath(doctor.photo)} size="size-14" />
        <div className="min-w-0">
          <h2 className="truncate"><bdi>{doctor.name}</bdi></h2>
          <p className="truncate text-sm text-muted"><bdi>{doctor.hospital}</bdi></p>
        </div>
      </div>
      <div>
        <Badge tone="brand">{doctor.specialization.specialization}</Badge>
      </div>
      <p className="line-clamp-3 text-sm text-muted"><bdi>{[doctor.specializationDetail, doctor.background].filter(Boolean).join(" · ")}</bdi></p>
      <div className="mt-auto flex items-center justify-between gap-3 pt-2">
        <span className={clsx("flex items-center gap-2 text-sm", online ? "font-medium text-brand-strong" : "text-muted")}>
          <span className={clsx("size-2.5 rounded-full", online ? "bg-brand" : "bg-edge")} aria-hidden />
          {t(online ? "presence.online" : "presence.offline")}
        </span>
        <Button kind="primary" disabled={!online} busy={busy} onClick={call}>
          <Phone className="size-4" aria-hidden />
          {t("call.call")}
          <span className="sr-only">{doctor.name}</span>
        </Button>
      </div>
    </li>
  );
}

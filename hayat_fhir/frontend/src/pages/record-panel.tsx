import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, PenLine, X } from "lucide-react";
import { get } from "../legacy";
import { Button } from "../ui/controls";
import { Loaded } from "../ui/states";
import { RecordForm, type Saying } from "./record-form";

interface Props {
  patient: string;
  consultation: string;
  close: () => void;
}

/** The record of a consultation, beside the call: what has been typed stays while the call goes on. */
export function RecordPanel({ patient, consultation, close }: Props) {
  const { t } = useTranslation();
  const [written, setWritten] = useState<{ id: string; saying: Saying }>();
  const [amending, setAmending] = useState(false);
  const draft = written?.saying === "draft";
  const query = useQuery({ queryKey: ["record", written?.id], queryFn: ({ signal }) => get("medicalRecord", written?.id ?? "", signal), enabled: written !== undefined && (draft || amending) });
  const done = (id: string, saying: Saying) => {
    setWritten({ id, saying });
    setAmending(false);
  };
  return (
    <section aria-label={t("record.write")} className="card flex flex-col gap-4 p-5">
      <div className="flex items-start justify-between gap-3">
        <div>
          <h2>{t("record.write")}</h2>
          <p className="text-sm text-muted">{t("record.beside")}</p>
        </div>
        <button type="button" aria-label={t("close")} onClick={close} className="-m-1 grid size-10 shrink-0 place-items-center rounded-lg text-muted hover:bg-sunken">
          <X className="size-5" aria-hidden />
        </button>
      </div>
      {written && !amending && (
        <p role="status" className="flex items-center gap-3 rounded-lg bg-brand-soft p-3 text-sm text-brand-strong">
          <CircleCheck className="size-5 shrink-0" aria-hidden />
          {t(`record.saved.${written.saying}`)}
        </p>
      )}
      {!written && <RecordForm patient={patient} consultation={consultation} done={done} />}
      {written && (draft || amending) && <Loaded query={query}>{(record) => <RecordForm key={written.id} patient={patient} record={record} done={done} />}</Loaded>}
      {written && !draft && !amending && (
        <Button className="self-end" onClick={() => setAmending(true)}>
          <PenLine className="size-4" aria-hidden />
          {t("record.amend")}
        </Button>
      )}
    </section>
  );
}

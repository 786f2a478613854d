import type { FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type MedicalRecord, save } from "../legacy";
import { useSignedIn } from "../session";
import { Button, Input, TextArea } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Failure } from "../ui/states";

interface Props {
  open: boolean;
  close: () => void;
  patient: string;
  record?: MedicalRecord;
  /** The video consultation in which it is written. */
  consultation?: string;
}

/** Writes a medical record, or amends one. */
export function RecordDialog({ open, close, patient, record, consultation }: Props) {
  const { t } = useTranslation();
  const { id: doctor } = useSignedIn();
  const queries = useQueryClient();
  const write = useMutation({
    mutationFn: (fields: Record<string, unknown>) => save("medicalRecord", record?.id ?? null, record ? fields : { ...fields, patient, doctor, consultation }),
    onSuccess: async () => {
      close();
      await Promise.all(["history", "report", "record", "records"].map((key) => queries.invalidateQueries({ queryKey: [key] })));
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    write.mutate(Object.fromEntries(new FormData(event.currentTarget)));
  };
  return (
    <Dialog open={open} close={close} title={t(record ? "record.amend" : "record.write")} description={t(record ? "record.amendText" : "record.writeText")}>
      <form onSubmit={submit} className="flex flex-col gap-5">
        <Input label={t("record.illness")} name="illness" required defaultValue={record?.illness} />
        <TextArea label={t("record.history")} name="history" required rows={3} defaultValue={record?.history} />
        <TextArea label={t("record.diagnosis")} name="peDiagnosis" required rows={4} defaultValue={record?.peDiagnosis} />
        <TextArea label={t("record.treatment")} name="treatment" required rows={3} defaultValue={record?.treatment} />
        {write.error && <Failure error={write.error} />}
        <div className="flex justify-end gap-3">
          <Button onClick={close}>{t("cancel")}</Button>
          <Button type="submit" kind="primary" busy={write.isPending}>
            {t(record ? "save" : "record.sign")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

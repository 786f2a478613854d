import type { FormEvent, ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { PenLine, Save } from "lucide-react";
import { type MedicalRecord, save } from "../legacy";
import { useSignedIn } from "../session";
import { Button, Input, TextArea } from "../ui/controls";
import { Failure } from "../ui/states";

/** What is said by saving: a draft waits for a signature, what was signed is amended. */
export type Saying = "draft" | "signed" | "amended";

interface Props {
  patient: string;
  /** The record to go on with; none: a new one. */
  record?: MedicalRecord;
  /** The video consultation in which it is written. */
  consultation?: string;
  /** Called with the record's id once it is stored. */
  done: (id: string, saying: Saying) => void;
  children?: ReactNode;
}

/** Writes a medical record: as a draft or signed; of one that is signed, the next version. */
export function RecordForm({ patient, record, consultation, done, children }: Props) {
  const { t } = useTranslation();
  const { id: doctor } = useSignedIn();
  const queries = useQueryClient();
  const signed = record !== undefined && record.status !== "draft";
  const write = useMutation({
    mutationFn: (fields: Record<string, unknown>) => save("medicalRecord", record?.id ?? null, record ? fields : { ...fields, patient, doctor, consultation }),
    onSuccess: async (id, { status }) => {
      done(id, status as Saying);
      await Promise.all(["history", "report", "record", "records", "drafts", "consultation"].map((key) => queries.invalidateQueries({ queryKey: [key] })));
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { submitter } = event.nativeEvent as SubmitEvent;
    write.mutate(Object.fromEntries(new FormData(event.currentTarget, submitter)));
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-5">
      <Input label={t("record.illness")} name="illness" required defaultValue={record?.illness} />
      <TextArea label={t("record.history")} name="history" required rows={3} defaultValue={record?.history} />
      <TextArea label={t("record.diagnosis")} name="peDiagnosis" required rows={4} defaultValue={record?.peDiagnosis} />
      <TextArea label={t("record.treatment")} name="treatment" required rows={3} defaultValue={record?.treatment} />
      {write.error && <Failure error={write.error} />}
      <div className="flex flex-wrap justify-end gap-3">
        {children}
        {!signed && (
          <Button type="submit" name="status" value="draft" disabled={write.isPending} busy={write.isPending && write.variables.status === "draft"}>
            <Save className="size-4" aria-hidden />
            {t("record.draft")}
          </Button>
        )}
        <Button type="submit" name="status" value={signed ? "amended" : "signed"} kind="primary" disabled={write.isPending} busy={write.isPending && write.variables.status !== "draft"}>
          <PenLine className="size-4" aria-hidden />
          {t(signed ? "record.signAmended" : "record.sign")}
        </Button>
      </div>
    </form>
  );
}

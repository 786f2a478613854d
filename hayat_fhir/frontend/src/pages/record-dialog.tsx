import { useTranslation } from "react-i18next";
import type { MedicalRecord } from "../legacy";
import { Button } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { RecordForm } from "./record-form";

interface Props {
  open: boolean;
  close: () => void;
  patient: string;
  record?: MedicalRecord;
}

/** Writes a medical record, goes on with a draft, or amends one that is signed. */
export function RecordDialog({ open, close, patient, record }: Props) {
  const { t } = useTranslation();
  const what = record === undefined ? "write" : record.status === "draft" ? "continue" : "amend";
  return (
    <Dialog open={open} close={close} title={t(`record.${what}`)} description={t(`record.${what}Text`)}>
      <RecordForm patient={patient} record={record} done={close}>
        <Button onClick={close}>{t("cancel")}</Button>
      </RecordForm>
    </Dialog>
  );
}

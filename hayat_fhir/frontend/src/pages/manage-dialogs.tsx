import type { FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { correct, get, list, photoPath, remove, save, setAccess } from "../legacy";
import { useOptimistic } from "../optimistic";
import { Avatar, Button, Input, Select, TextArea } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { Failure, Loaded } from "../ui/states";
import { type FieldOf, type Kind, type Row, type Rows, tables } from "./manage-tables";

type Values = Record<string, unknown>;

const CARD_SEEN = "cardSeen";

/** Adds an entry (no row), or changes one. */
export function EditDialog({ kind, open, row, close }: { kind: Kind; open: boolean; row: Row | null; close: () => void }) {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: ["entry", kind, row?.id],
    queryFn: async ({ signal }) => (await get(kind, row?.id ?? "", signal)) as unknown as Values,
    enabled: open && row !== null,
    staleTime: 0,
    gcTime: 0,
  });
  return (
    <Dialog open={open} close={close} title={t(row ? "manage.change" : `manage.add.${kind}`)} description={row?.name}>
      {row ? <Loaded query={query}>{(values) => <EditForm kind={kind} id={row.id} values={values} claimed={row.claimed} close={close} />}</Loaded> : <EditForm kind={kind} values={{}} close={close} />}
    </Dialog>
  );
}

function EditForm({ kind, id, values, claimed, close }: { kind: Kind; id?: string; values: Values; claimed?: boolean; close: () => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const fields = tables[kind].fields.filter((field) => id === undefined || !field.initial);
  const write = useMutation({
    mutationFn: async (given: Values) => {
      if (id !== undefined && kind !== "specialization") await correct(kind, id, given);
      else await save(kind, id ?? null, given);
    },
    onSuccess: async () => {
      close();
      await queries.invalidateQueries({ queryKey: ["manage", kind] });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const wanted = fields.filter(({ name, optional }) => !(optional && id === undefined && given.get(name) === "") && (name !== "IDcard" || vouches(values, given)));
    write.mutate(Object.fromEntries(wanted.map(({ name, type }) => [name, type === "number" ? Number(given.get(name)) : given.get(name)])));
  };
  return (
    <form onSubmit={submit} className="grid gap-5 sm:grid-cols-2">
      {fields.map((field) => (
        <EditField key={field.name} field={field} value={shown(values, field.name)} />
      ))}
      {claimed && (
        <Select
          className="sm:col-span-2"
          label={t("manage.cardSeen")}
          name={CARD_SEEN}
          options={[["", t("manage.cardSeenNo")], ["yes", t("manage.cardSeenYes")]]}
        />
      )}
      {write.error && (
        <div className="sm:col-span-2">
          <Failure error={write.error} />
        </div>
      )}
      <div className="flex justify-end gap-3 sm:col-span-2">
        <Button onClick={close}>{t("cancel")}</Button>
        <Button type="submit" kind="primary" busy={write.isPending}>
          {t(id === undefined ? "manage.add" : "save")}
        </Button>
      </div>
    </form>
  );
}

/** Whether the staff have written the number of the identity card, or seen that it is right: to send it confirms it. */
function vouches(values: Values, given: FormData): boolean {
  return given.get(CARD_SEEN) === "yes" || given.get("IDcard") !== shown(values, "IDcard");
}

/** A value as its control has it: of what is populated the id, of a moment the day. */
function shown(values: Values, name: string): string {
  const value = values[name];
  if (value && typeof value === "object") return String((value as { id?: string }).id ?? "");
  return name === "birthdate" && typeof value === "string" ? value.slice(0, 10) : String(value ?? "");
}

function EditField({ field: { name, type = "text", optional }, value }: { field: FieldOf; value: string }) {
  const { t } = useTranslation();
  const label = t(`field.${name}`);
  const specializations = useQuery({
    queryKey: ["specializations"],
    queryFn: ({ signal }) => list("specialization", { limit: 1000 }, signal),
    enabled: type === "specialization",
  });
  const common = { label, name, required: !optional, defaultValue: value };
  if (type === "long") return <TextArea className="sm:col-span-2" {...common} />;
  if (type === "gender") return <Select {...common} options={[["Female", t("gender.Female")], ["Male", t("gender.Male")]]} />;
  if (type === "specialization") {
    const options = specializations.data?.map((one) => [one.id, one.specialization] as const) ?? [];
    return <Select key={options.length} {...common} options={options} />;
  }
  if (type === "file") {
    return (
      <div className="flex items-center gap-4 sm:col-span-2">
        {value && <Avatar name="" photo={photoPath(value)} size="size-16" />}
        <Input className="flex-1" label={label} name={name} type="file" accept="image/png,image/jpeg,image/webp" hint={t("field.photoHint")} />
      </div>
    );
  }
  if (type === "password") return <Input {...common} type="password" autoComplete="new-password" minLength={15} hint={t("passwordHint")} />;
  return <Input {...common} type={type} min={type === "number" ? 0 : undefined} autoComplete="off" />;
}

/** Shuts somebody out, or lets them in again: seen in the list at once, and put back if the server refuses. */
export function AccessDialog({ kind, row, close }: { kind: Exclude<Kind, "specialization">; row: Row | null; close: () => void }) {
  const { t } = useTranslation();
  const change = useOptimistic<Rows, Row>({
    queryKey: ["manage", kind],
    write: ({ id, disabled }) => setAccess(kind, id, !disabled),
    foresee: (found, { id, disabled }) => ({ ...found, rows: found.rows.map((one) => (one.id === id ? { ...one, disabled: !disabled } : one)) }),
  });
  const what = row?.disabled ? "enable" : "disable";
  return <Confirm row={row} close={close} change={change} title={t(`partners.${what}Of`, { name: row?.name ?? "" })} text={t(`manage.${what}Text`)} yes={t(`partners.${what}`)} />;
}

export function RemoveDialog({ kind, row, close }: { kind: Kind; row: Row | null; close: () => void }) {
  const { t } = useTranslation();
  const drop = useOptimistic<Rows, Row>({
    queryKey: ["manage", kind],
    write: ({ id }) => remove(kind, id),
    foresee: (found, { id }) => ({ ...found, rows: found.rows.filter((one) => one.id !== id), total: found.total && found.total - 1 }),
  });
  return <Confirm row={row} close={close} change={drop} title={t("manage.remove", { name: row?.name ?? "" })} text={t(`manage.removeText.${kind}`)} yes={t("manage.removeYes")} />;
}

interface ConfirmProps {
  row: Row | null;
  close: () => void;
  change: { error: unknown; mutate: (row: Row) => void };
  title: string;
  text: string;
  yes: string;
}

/** Asks once more, and closes at once; what the server refused stands where the dialog was opened from. */
function Confirm({ row, close, change, title, text, yes }: ConfirmProps) {
  const { t } = useTranslation();
  return (
    <>
      {change.error ? (
        <div className="mb-5">
          <Failure error={change.error} />
        </div>
      ) : null}
      <Dialog open={row !== null} close={close} title={title} description={text}>
        <div className="mt-2 flex justify-end gap-3">
          <Button onClick={close}>{t("cancel")}</Button>
          <Button
            kind="danger"
            onClick={() => {
              if (row) change.mutate(row);
              close();
            }}
          >
            {yes}
          </Button>
        </div>
      </Dialog>
    </>
  );
}

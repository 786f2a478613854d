import { useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { ArrowDown, ArrowUp, Ban, PencilLine, Plus, RotateCcw, Search, Trash2 } from "lucide-react";
import { useFormat } from "../format";
import { useSignedIn } from "../session";
import { Avatar, Badge, Button, Input } from "../ui/controls";
import { Heading } from "../ui/layout";
import { Pager } from "../ui/pager";
import { Empty, Failure, Loaded } from "../ui/states";
import { AccessDialog, EditDialog, RemoveDialog } from "./manage-dialogs";
import { type Kind, type Row, rows, tables } from "./manage-tables";

type Doing = { what: "edit" | "access" | "remove"; row: Row } | { what: "add"; row?: undefined };

/** Patients, doctors, staff or specializations: found, sorted, added, changed, shut out. */
export function Manage() {
  const { kind } = useParams();
  return kind && kind in tables ? <ManageKind key={kind} kind={kind as Kind} /> : null;
}

function ManageKind({ kind }: { kind: Kind }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [text, setText] = useState("");
  const [sort, setSort] = useState("name");
  const [path, setPath] = useState<string>();
  const [doing, setDoing] = useState<Doing | null>(null);
  const name = useDeferredValue(text.trim());
  const query = useQuery({
    queryKey: ["manage", kind, name, sort, path],
    queryFn: ({ signal }) => rows(kind, name, sort, path, signal),
    placeholderData: (previous) => previous,
  });
  const close = () => setDoing(null);
  return (
    <>
      <Heading title={t(`manage.${kind}`)}>
        <Button kind="primary" onClick={() => setDoing({ what: "add" })}>
          <Plus className="size-4" aria-hidden />
          {t(`manage.add.${kind}`)}
        </Button>
      </Heading>
      <form role="search" onSubmit={(event) => event.preventDefault()} className="mb-5 flex flex-wrap items-end justify-between gap-4">
        <Input
          className="w-full max-w-xl"
          label={t("manage.search")}
          type="search"
          value={text}
          onChange={(event) => {
            setPath(undefined);
            setText(event.target.value);
          }}
        />
        <p role="status" className="text-sm text-muted tabular-nums">
          {query.data?.total !== undefined && t("manage.count", { number: format.number(query.data.total) })}
        </p>
      </form>
      <EditDialog key={doing?.row?.id ?? "new"} kind={kind} open={doing?.what === "edit" || doing?.what === "add"} row={doing?.what === "edit" ? doing.row : null} close={close} />
      {kind !== "specialization" && <AccessDialog kind={kind} row={doing?.what === "access" ? doing.row : null} close={close} />}
      <RemoveDialog kind={kind} row={doing?.what === "remove" ? doing.row : null} close={close} />
      {query.error && query.data && <Failure error={query.error} retry={() => void query.refetch()} />}
      <Loaded query={query}>
        {(found) =>
          found.rows.length === 0 && !path ? (
            <Empty title={t("manage.none")} icon={<Search className="size-6" />}>
              {t(name ? "manage.noneFound" : "manage.noneYet")}
            </Empty>
          ) : (
            <>
              <Entries
                kind={kind}
                rows={found.rows}
                sort={sort}
                setSort={(next) => {
                  setPath(undefined);
                  setSort(next);
                }}
                start={(what, row) => setDoing({ what, row })}
              />
              <Pager first={path === undefined} next={found.next} go={setPath} />
            </>
          )
        }
      </Loaded>
    </>
  );
}

interface EntriesProps {
  kind: Kind;
  rows: Row[];
  sort: string;
  setSort: (sort: string) => void;
  start: (what: "edit" | "access" | "remove", row: Row) => void;
}

function Entries({ kind, rows: all, sort, setSort, start }: EntriesProps) {
  const { t } = useTranslation();
  const { columns } = tables[kind];
  const order = (by: string) => (sort === by ? "ascending" : sort === `-${by}` ? "descending" : "none");
  return (
    <div className="card overflow-x-auto" role="region" tabIndex={0} aria-label={t(`manage.${kind}`)}>
      <table className="w-full text-sm">
        <thead>
          <tr className="border-b border-line text-start text-muted">
            {columns.map(({ name, sort: by, wide }) => (
              <th key={name} scope="col" className={`px-5 py-3 text-start font-medium ${wide ? "max-md:hidden" : ""}`} aria-sort={by ? order(by) : undefined}>
                {by ? (
                  <button type="button" className="inline-flex min-h-8 items-center gap-1.5 hover:text-ink" onClick={() => setSort(sort === by ? `-${by}` : by)}>
                    {t(`field.${name}`)}
                    {sort === by && <ArrowUp className="size-3.5" aria-hidden />}
                    {sort === `-${by}` && <ArrowDown className="size-3.5" aria-hidden />}
                  </button>
                ) : (
                  t(`field.${name}`)
                )}
              </th>
            ))}
            <th scope="col" className="px-5 py-3">
              <span className="sr-only">{t("manage.actions")}</span>
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {all.map((row) => (
            <Entry key={row.id} kind={kind} row={row} start={start} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Entry({ kind, row, start }: { kind: Kind; row: Row; start: EntriesProps["start"] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { id: me } = useSignedIn();
  const { columns, person } = tables[kind];
  const Access = row.disabled ? RotateCcw : Ban;
  const name = row.name || t("unnamed");
  const shown = (column: { name: string; date?: boolean } | undefined) => (column?.date ? format.date(row.cells[column.name]) : row.cells[column?.name ?? ""]);
  return (
    <tr className="hover:bg-sunken">
      {columns.map(({ name: column, wide, date }, index) => (
        <td key={column} className={`px-5 py-3 ${wide ? "max-md:hidden" : ""} ${index === 0 ? "font-medium" : "text-muted"}`}>
          {index === 0 ? (
            <span className="flex items-center gap-3 max-sm:flex-wrap">
              {person && <Avatar name={name} size="size-9" photo={row.photo} />}
              <span className={row.disabled ? "text-muted" : undefined}>
                <bdi>{name}</bdi>
                {person && <bdi className="block text-xs font-normal text-muted md:hidden">{shown(columns[1])}</bdi>}
              </span>
              {row.disabled && <Badge tone="warn">{t("manage.disabled")}</Badge>}
              {row.claimed && <Badge>{t("manage.claimed")}</Badge>}
            </span>
          ) : (
            <bdi>{shown({ name: column, date })}</bdi>
          )}
        </td>
      ))}
      <td className="py-2 pe-2 sm:px-3">
        <span className="flex justify-end">
          <Button kind="quiet" className="px-2 sm:px-2.5" aria-label={t("manage.edit", { name })} title={t("manage.change")} onClick={() => start("edit", row)}>
            <PencilLine className="size-4" aria-hidden />
          </Button>
          {person && row.id !== me && (
            <Button kind="quiet" className="px-2 sm:px-2.5" aria-label={t(row.disabled ? "partners.enableOf" : "partners.disableOf", { name })} title={t(row.disabled ? "partners.enable" : "partners.disable")} onClick={() => start("access", row)}>
              <Access className="size-4" aria-hidden />
            </Button>
          )}
          {row.id !== me && (
            <Button kind="quiet" className="px-2 sm:px-2.5" aria-label={t("manage.remove", { name })} title={t("manage.removeYes")} onClick={() => start("remove", row)}>
              <Trash2 className="size-4" aria-hidden />
            </Button>
          )}
        </span>
      </td>
    </tr>
  );
}

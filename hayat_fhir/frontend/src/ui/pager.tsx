import { useTranslation } from "react-i18next";
import { Button } from "./controls";

/** Onward through the pages of a search, and back to the first. */
export function Pager({ first, next, go }: { first: boolean; next: string | undefined; go: (path: string | undefined) => void }) {
  const { t } = useTranslation();
  if (first && !next) return null;
  return (
    <div className="mt-4 flex justify-between">
      <Button onClick={() => go(undefined)} disabled={first}>
        {t("page.first")}
      </Button>
      <Button onClick={() => go(next)} disabled={!next}>
        {t("page.next")}
      </Button>
    </div>
  );
}

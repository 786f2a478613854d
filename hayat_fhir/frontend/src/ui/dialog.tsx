import { type ReactNode, useRef } from "react";
import { useTranslation } from "react-i18next";
import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";

interface DialogProps {
  open: boolean;
  close: () => void;
  title: string;
  description?: string;
  children: ReactNode;
}

export function Dialog({ open, close, title, description, children }: DialogProps) {
  const { t } = useTranslation();
  const opener = useRef<Element | null>(null);
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && close()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/45 backdrop-blur-[2px]" />
        <Radix.Content
          className="card fixed inset-x-0 bottom-0 z-50 mx-auto flex max-h-[92dvh] w-full max-w-2xl flex-col overflow-y-auto rounded-b-none p-5 sm:inset-y-0 sm:my-auto sm:h-fit sm:rounded-card sm:p-7"
          onOpenAutoFocus={() => {
            opener.current = document.activeElement;
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            if (opener.current instanceof HTMLElement) opener.current.focus();
          }}
          {...(description ? {} : { "aria-describedby": undefined })}
        >
          <div className="mb-5 flex items-start justify-between gap-4">
            <div>
              <Radix.Title className="text-lg font-semibold">{title}</Radix.Title>
              {description && <Radix.Description className="mt-1 text-sm text-muted">{description}</Radix.Description>}
            </div>
            <Radix.Close className="-m-1 grid size-10 place-items-center rounded-lg text-muted hover:bg-sunken" aria-label={t("close")}>
              <X className="size-5" aria-hidden />
            </Radix.Close>
          </div>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

import { type ComponentProps, type ReactNode, useId } from "react";
import clsx from "clsx";
import { LoaderCircle } from "lucide-react";

const kinds = {
  primary: "bg-brand text-on-brand hover:bg-brand-strong border-transparent font-medium",
  plain: "bg-surface text-ink border-edge hover:bg-sunken",
  quiet: "border-transparent text-muted hover:bg-sunken hover:text-ink",
  danger: "bg-surface text-danger border-danger hover:bg-danger-soft",
};

/** What a link that looks like a button shares with one. */
export function buttonClass(kind: keyof typeof kinds = "plain", className?: string): string {
  return clsx(
    "inline-flex min-h-11 items-center justify-center gap-2 rounded-[0.625rem] border px-4 text-sm transition-colors",
    "disabled:cursor-not-allowed disabled:opacity-60",
    kinds[kind],
    className,
  );
}

interface ButtonProps extends ComponentProps<"button"> {
  kind?: keyof typeof kinds;
  busy?: boolean;
}

export function Button({ kind = "plain", busy = false, className, children, type = "button", disabled, ...rest }: ButtonProps) {
  return (
    <button type={type} className={buttonClass(kind, className)} disabled={disabled || busy} aria-busy={busy || undefined} {...rest}>
      {busy && <LoaderCircle className="size-4 animate-spin" aria-hidden />}
      {children}
    </button>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  required?: boolean;
  children: (props: { id: string; "aria-describedby": string | undefined; required: boolean | undefined }) => ReactNode;
  className?: string;
}

/** A label above its control, and a hint below. */
export function Field({ label, hint, required, children, className }: FieldProps) {
  const id = useId();
  return (
    <div className={clsx("flex flex-col gap-1.5", className)}>
      <label htmlFor={id} className="text-sm font-medium">
        {label}
        {required && (
          <span className="text-danger" aria-hidden>
            {" *"}
          </span>
        )}
      </label>
      {children({ id, "aria-describedby": hint ? `${id}-hint` : undefined, required })}
      {hint && (
        <p id={`${id}-hint`} className="text-xs text-muted">
          {hint}
        </p>
      )}
    </div>
  );
}

interface InputProps extends Omit<ComponentProps<"input">, "id"> {
  label: string;
  hint?: string;
}

export function Input({ label, hint, required, className, ...rest }: InputProps) {
  return (
    <Field label={label} hint={hint} required={required} className={className}>
      {(props) => <input className="field" {...props} {...rest} />}
    </Field>
  );
}

interface SelectProps extends Omit<ComponentProps<"select">, "id"> {
  label: string;
  hint?: string;
  options: (readonly [value: string, label: string])[];
}

export function Select({ label, hint, options, required, className, ...rest }: SelectProps) {
  return (
    <Field label={label} hint={hint} required={required} className={className}>
      {(props) => (
        <select className="field" {...props} {...rest}>
          {options.map(([value, shown]) => (
            <option key={value} value={value}>
              {shown}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface TextProps extends Omit<ComponentProps<"textarea">, "id"> {
  label: string;
  hint?: string;
}

export function TextArea({ label, hint, required, className, rows = 3, ...rest }: TextProps) {
  return (
    <Field label={label} hint={hint} required={required} className={className}>
      {(props) => <textarea className="field" rows={rows} {...props} {...rest} />}
    </Field>
  );
}

const tones = {
  neutral: "bg-sunken text-muted",
  brand: "bg-brand-soft text-brand-strong",
  info: "bg-info-soft text-info",
  warn: "bg-warn-soft text-warn",
  danger: "bg-danger-soft text-danger",
};

export function Badge({ tone = "neutral", children }: { tone?: keyof typeof tones; children: ReactNode }) {
  return <span className={clsx("inline-flex items-center gap-1 rounded-full px-2.5 py-0.5 text-xs font-medium", tones[tone])}>{children}</span>;
}

export function Avatar({ name, photo, size = "size-11" }: { name: string; photo?: string; size?: string }) {
  const initials = name
    .replace(/^(Dr\.?|Prof\.?|د\.)\s*/u, "")
    .split(/\s+/)
    .map((word) => word[0] ?? "")
    .filter((_, index, all) => index === 0 || index === all.length - 1)
    .join("");
  return photo ? (
    <img src={photo} alt="" className={clsx(size, "shrink-0 rounded-full bg-sunken object-cover")} />
  ) : (
    <span aria-hidden className={clsx(size, "grid shrink-0 place-items-center rounded-full bg-brand-soft text-sm font-semibold text-brand-strong uppercase")}>
      {initials}
    </span>
  );
}

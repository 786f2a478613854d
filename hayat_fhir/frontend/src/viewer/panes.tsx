import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Enums, type Types } from "@cornerstonejs/core";
import clsx from "clsx";
import { Contrast, Hand, RotateCcw, Ruler, TriangleAlert, ZoomIn } from "lucide-react";
import { useFormat } from "../format";
import { choose, open, type ToolName } from "./stack";
import type { Stack } from "./study";

const buttons: [ToolName, typeof Hand][] = [
  ["window", Contrast],
  ["zoom", ZoomIn],
  ["pan", Hand],
  ["measure", Ruler],
];

interface Props {
  stacks: Stack[];
  patient: string;
  active: number;
  activate: (pane: number) => void;
}

/** One or two stacks of images side by side, with the tools above them. */
export default function Panes({ stacks, patient, active, activate }: Props) {
  const { t } = useTranslation();
  const [tool, setTool] = useState<ToolName>("window");
  const [resets, setResets] = useState(0);
  useEffect(() => choose(tool), [tool]);
  return (
    <div className="min-w-0">
      <div role="toolbar" aria-label={t("viewer.tools")} className="mb-3 flex flex-wrap gap-1.5">
        {buttons.map(([name, Icon]) => (
          <button
            key={name}
            type="button"
            aria-pressed={tool === name}
            onClick={() => setTool(name)}
            className={clsx(
              "inline-flex min-h-11 items-center gap-2 rounded-lg border px-3 text-sm",
              tool === name ? "border-brand bg-brand-soft font-medium text-brand-strong" : "border-line bg-surface text-muted hover:text-ink",
            )}
          >
            <Icon className="size-5" aria-hidden />
            <span className="max-sm:sr-only">{t(`viewer.${name}`)}</span>
          </button>
        ))}
        <button type="button" onClick={() => setResets(resets + 1)} className="inline-flex min-h-11 items-center gap-2 rounded-lg border border-line bg-surface px-3 text-sm text-muted hover:text-ink">
          <RotateCcw className="size-5" aria-hidden />
          <span className="max-sm:sr-only">{t("viewer.reset")}</span>
        </button>
      </div>
      <div dir="ltr" className={clsx("grid gap-2", stacks.length === 2 && "sm:grid-cols-2")}>
        {stacks.map((stack, pane) => (
          <Pane
            key={`${String(pane)} ${stack.key}`}
            stack={stack}
            patient={patient}
            tool={tool}
            resets={resets}
            selected={stacks.length === 2 && active === pane}
            select={() => activate(pane)}
            label={stacks.length === 2 ? t(pane === 0 ? "viewer.left" : "viewer.right") : ""}
          />
        ))}
      </div>
    </div>
  );
}

interface PaneProps {
  stack: Stack;
  patient: string;
  tool: ToolName;
  resets: number;
  selected: boolean;
  select: () => void;
  label: string;
}

function Pane({ stack, patient, tool, resets, selected, select, label }: PaneProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const element = useRef<HTMLDivElement>(null);
  const [viewport, setViewport] = useState<Types.IStackViewport>();
  const [index, setIndex] = useState(0);
  const [range, setRange] = useState<Types.VOIRange>();
  const [state, setState] = useState<"loading" | "shown" | "failed">("loading");

  useEffect(() => {
    const place = element.current;
    if (!place) return;
    let closed = false;
    let close = () => {};
    const onImage = () => setState("shown");
    const onVoi = (event: Event) => setRange((event as Types.EventTypes.VoiModifiedEvent).detail.range);
    const onStack = (event: Event) => setIndex((event as CustomEvent<{ imageIdIndex?: number; newImageIdIndex?: number }>).detail.newImageIdIndex ?? 0);
    place.addEventListener(Enums.Events.IMAGE_RENDERED, onImage);
    place.addEventListener(Enums.Events.VOI_MODIFIED, onVoi);
    place.addEventListener(Enums.Events.STACK_VIEWPORT_SCROLL, onStack);
    open(crypto.randomUUID(), place).then(
      (opened) => {
        if (closed) return opened.close();
        close = opened.close;
        setViewport(opened.viewport);
      },
      () => setState("failed"),
    );
    const observer = new ResizeObserver(() => setViewport((current) => (current?.getRenderingEngine()?.resize(true, true), current)));
    observer.observe(place);
    return () => {
      closed = true;
      observer.disconnect();
      place.removeEventListener(Enums.Events.IMAGE_RENDERED, onImage);
      place.removeEventListener(Enums.Events.VOI_MODIFIED, onVoi);
      place.removeEventListener(Enums.Events.STACK_VIEWPORT_SCROLL, onStack);
      close();
    };
  }, []);

  useEffect(() => {
    if (!viewport) return;
    viewport.setStack(stack.images).then(
      () => {
        viewport.render();
        setIndex(0);
      },
      () => setState("failed"),
    );
  }, [viewport, stack.key]); // eslint-disable-line react-hooks/exhaustive-deps -- a stack is named by its key

  useEffect(() => {
    if (!viewport) return;
    choose(tool);
  }, [viewport, tool]);

  useEffect(() => {
    if (!viewport || resets === 0) return;
    viewport.resetCamera();
    viewport.resetProperties();
    viewport.render();
  }, [viewport, resets]);

  const go = (step: number) => {
    const next = Math.min(stack.images.length - 1, Math.max(0, index + step));
    if (viewport && next !== index) void viewport.setImageIdIndex(next).then(() => setIndex(next));
  };
  const steps: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -index, End: stack.images.length };
  const corner = "pointer-events-none absolute max-w-[48%] text-xs leading-snug text-[#e6f2ef] [text-shadow:0_0_3px_#000,0_0_2px_#000]";
  return (
    <section aria-label={label || stack.label} className={clsx("relative overflow-hidden rounded-xl bg-black", selected && "ring-2 ring-brand")}>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- keys go through the images, as the wheel does */}
      <div
        ref={element}
        role="application"
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        aria-label={t("viewer.canvas", { name: stack.label })}
        data-state={state}
        className="h-[62dvh] min-h-80 w-full touch-none"
        onFocus={select}
        onPointerDown={select}
        onContextMenu={(event) => event.preventDefault()}
        onKeyDown={(event) => {
          const step = steps[event.key];
          if (step === undefined) return;
          event.preventDefault();
          go(step);
        }}
      />
      <div className={clsx(corner, "start-3 top-3")}>
        <p className="font-semibold">{patient}</p>
        <p>{stack.study}</p>
        <p><bdi>{format.date(stack.date)}</bdi></p>
      </div>
      <div className={clsx(corner, "end-3 top-3 text-end")}>
        <p>{stack.label}</p>
        <p>{stack.modality}</p>
      </div>
      <p className={clsx(corner, "start-3 bottom-3 tabular-nums")} aria-live="polite">
        {t("viewer.image", { number: index + 1, count: stack.images.length })}
      </p>
      {range && (
        <p className={clsx(corner, "end-3 bottom-3 tabular-nums")}>
          W {Math.round(range.upper - range.lower)} · L {Math.round((range.upper + range.lower) / 2)}
        </p>
      )}
      {state === "failed" && (
        <div role="alert" className="absolute inset-0 grid place-content-center justify-items-center gap-2 bg-black/80 p-6 text-center text-[#e6f2ef]">
          <TriangleAlert className="size-8" aria-hidden />
          <p className="font-medium">{t("viewer.failed")}</p>
          <p className="max-w-sm text-sm">{t("viewer.failedText")}</p>
        </div>
      )}
    </section>
  );
}

import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Enums, type Types } from "@cornerstonejs/core";
import clsx from "clsx";
import { TriangleAlert } from "lucide-react";
import { useFormat } from "../format";
import type { Stack } from "./series";
import { details, type Details, open } from "./stack";

export interface Person {
  name: string;
  birthDate: string | undefined;
  gender: string | undefined;
}

interface PaneProps {
  stack: Stack;
  person: Person;
  selected: boolean;
  select: () => void;
  label: string;
  /** Told of the viewport once there is one, and of undefined when it goes. */
  opened: (viewport: Types.IStackViewport | undefined) => void;
  /** Told of how many images onward somebody has gone here. */
  scrolled: (steps: number) => void;
}

interface Shown {
  index: number;
  zoom: number;
  details: Details | undefined;
}

/** One stack of images, with what is known of them in its corners. */
export function Pane({ stack, person, selected, select, label, opened, scrolled }: PaneProps) {
  const { t } = useTranslation();
  const element = useRef<HTMLDivElement>(null);
  const [viewport, setViewport] = useState<Types.IStackViewport>();
  const [shown, setShown] = useState<Shown>({ index: 0, zoom: 1, details: undefined });
  const [range, setRange] = useState<Types.VOIRange>();
  const [state, setState] = useState<"loading" | "shown" | "failed">("loading");
  const told = useRef({ opened, scrolled });
  useEffect(() => {
    told.current = { opened, scrolled };
  });

  useEffect(() => {
    const place = element.current;
    if (!place) return;
    let made: Awaited<ReturnType<typeof open>> | undefined;
    let closed = false;
    const look = () => {
      if (!made) return;
      const image = made.viewport.getCurrentImageId() as string | undefined;
      if (image) setShown({ index: made.viewport.getCurrentImageIdIndex(), zoom: made.viewport.getZoom(), details: details(image) });
    };
    const onImage = () => {
      setState("shown");
      look();
    };
    const onVoi = (event: Event) => setRange((event as Types.EventTypes.VoiModifiedEvent).detail.range);
    const onScroll = (event: Event) => told.current.scrolled((event as CustomEvent<{ direction: number }>).detail.direction);
    place.addEventListener(Enums.Events.IMAGE_RENDERED, onImage);
    place.addEventListener(Enums.Events.VOI_MODIFIED, onVoi);
    place.addEventListener(Enums.Events.STACK_VIEWPORT_SCROLL, onScroll);
    open(crypto.randomUUID(), place).then(
      (one) => {
        if (closed) return one.close();
        made = one;
        setViewport(one.viewport);
        told.current.opened(one.viewport);
      },
      () => setState("failed"),
    );
    const observer = new ResizeObserver(() => made?.viewport.getRenderingEngine()?.resize(true, true));
    observer.observe(place);
    return () => {
      closed = true;
      observer.disconnect();
      place.removeEventListener(Enums.Events.IMAGE_RENDERED, onImage);
      place.removeEventListener(Enums.Events.VOI_MODIFIED, onVoi);
      place.removeEventListener(Enums.Events.STACK_VIEWPORT_SCROLL, onScroll);
      told.current.opened(undefined);
      made?.close();
    };
  }, []);

  useEffect(() => {
    if (!viewport) return;
    viewport.setStack(stack.images).then(
      () => viewport.render(),
      () => setState("failed"),
    );
  }, [viewport, stack.key]); // eslint-disable-line react-hooks/exhaustive-deps -- a stack is named by its key

  const go = (step: number) => {
    if (!viewport) return;
    const index = viewport.getCurrentImageIdIndex();
    const next = Math.min(stack.images.length - 1, Math.max(0, index + step));
    if (next === index) return;
    void viewport.setImageIdIndex(next);
    scrolled(next - index);
  };
  const steps: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -stack.images.length, End: stack.images.length };
  return (
    <section aria-label={label || stack.label} className={clsx("relative min-w-0 overflow-hidden rounded-xl bg-black", selected && "ring-2 ring-brand")}>
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
      <Corners stack={stack} person={person} shown={shown} range={range} />
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

/** Parts of a line, each in the direction of its own letters. */
function Parts({ parts }: { parts: (string | false | undefined)[] }) {
  return parts.filter(Boolean).map((part, number) => (
    <span key={number}>
      {number > 0 && " · "}
      <bdi>{part}</bdi>
    </span>
  ));
}

function Corners({ stack, person, shown, range }: { stack: Stack; person: Person; shown: Shown; range: Types.VOIRange | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  const corner = "pointer-events-none absolute max-w-[48%] text-xs leading-snug text-[#e6f2ef] [text-shadow:0_0_3px_#000,0_0_2px_#000]";
  const { rows, columns, thickness, location, patientId } = shown.details ?? {};
  const born = [patientId, format.date(person.birthDate), person.gender && t(`gender.${person.gender}`)];
  return (
    <>
      <div className={clsx(corner, "start-3 top-3")}>
        <p className="font-semibold"><bdi>{person.name}</bdi></p>
        <p className="max-sm:hidden"><Parts parts={born} /></p>
        <p><bdi>{stack.title}</bdi></p>
        <p><bdi>{format.date(stack.date)}</bdi></p>
        {stack.source && <p><bdi>{stack.source}</bdi></p>}
      </div>
      <div className={clsx(corner, "end-3 top-3 text-end")}>
        <p><bdi>{stack.label}</bdi></p>
        <p><Parts parts={[stack.modality, stack.number !== undefined && t("viewer.seriesNumber", { number: stack.number })]} /></p>
        {rows !== undefined && <p className="tabular-nums max-sm:hidden">{`${String(columns)} × ${String(rows)}`}</p>}
      </div>
      <div className={clsx(corner, "start-3 bottom-3 tabular-nums")}>
        {(thickness !== undefined || location !== undefined) && (
          <p className="max-sm:hidden">
            <Parts parts={[thickness !== undefined && t("viewer.thickness", { size: format.decimal(thickness) }), location !== undefined && t("viewer.location", { place: format.decimal(location) })]} />
          </p>
        )}
        <p aria-live="polite" className="tabular-nums">{t("viewer.image", { number: shown.index + 1, count: stack.images.length })}</p>
      </div>
      <div className={clsx(corner, "end-3 bottom-3 text-end tabular-nums")}>
        <p className="max-sm:hidden"><bdi>{t("viewer.magnified", { share: format.percent(shown.zoom) })}</bdi></p>
        {range && (
          <p>
            W {Math.round(range.upper - range.lower)} · L {Math.round((range.upper + range.lower) / 2)}
          </p>
        )}
      </div>
    </>
  );
}

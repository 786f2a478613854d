import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Types } from "@cornerstonejs/core";
import clsx from "clsx";
import { Contrast, Eclipse, Hand, Layers, Link2, Link2Off, Pause, Play, RotateCcw, RotateCw, Ruler, SquareDashed, TriangleRight, ZoomIn } from "lucide-react";
import { Pane, type Person } from "./pane";
import type { Stack } from "./series";
import { apply, choose, invert, type Preset, presets, reset, rotate, type ToolName } from "./stack";

const buttons: [ToolName, typeof Hand][] = [
  ["window", Contrast],
  ["scroll", Layers],
  ["zoom", ZoomIn],
  ["pan", Hand],
  ["measure", Ruler],
  ["angle", TriangleRight],
  ["region", SquareDashed],
];
/** Milliseconds that each image stands while a stack is played. */
const FRAME = 100;

interface Props {
  stacks: Stack[];
  person: Person;
  active: number;
  activate: (pane: number) => void;
}

/** One or two stacks of images side by side, with the tools above them. */
export default function Panes({ stacks, person, active, activate }: Props) {
  const { t } = useTranslation();
  const [tool, setTool] = useState<ToolName>("window");
  const [linked, setLinked] = useState(true);
  const [opened, setOpened] = useState(0);
  const viewports = useRef<(Types.IStackViewport | undefined)[]>([]);
  const comparing = stacks.length === 2;
  const pane = comparing ? active : 0;
  useEffect(() => choose(tool), [tool, opened]);
  const act = (what: (viewport: Types.IStackViewport) => void) => {
    const viewport = viewports.current[pane];
    if (viewport) what(viewport);
  };
  const follow = (from: number, steps: number) => {
    const other = viewports.current[1 - from];
    if (!linked || !comparing || !other) return;
    const index = other.getCurrentImageIdIndex();
    const next = Math.min(other.getImageIds().length - 1, Math.max(0, index + steps));
    if (next !== index) void other.setImageIdIndex(next);
  };
  return (
    <div className="min-w-0">
      <div role="toolbar" aria-label={t("viewer.tools")} className="mb-3 flex flex-wrap items-center gap-1">
        {buttons.map(([name, Icon]) => (
          <Tool key={name} label={t(`viewer.${name}`)} icon={Icon} pressed={tool === name} press={() => setTool(name)} />
        ))}
        <span className="mx-0.5 h-8 w-px bg-line max-sm:hidden" aria-hidden />
        {stacks[pane]?.modality === "CT" && (
          <select aria-label={t("viewer.preset")} className="field w-28! text-sm" value="" onChange={(event) => act((viewport) => apply(viewport, event.target.value as Preset))}>
            <option value="" disabled>
              {t("viewer.preset")}
            </option>
            {Object.entries(presets).map(([name, [width, centre]]) => (
              <option key={name} value={name}>
                {`${t(`viewer.preset.${name}`)} (${String(width)} / ${String(centre)})`}
              </option>
            ))}
          </select>
        )}
        <Tool label={t("viewer.invert")} icon={Eclipse} press={() => act(invert)} />
        <Tool label={t("viewer.rotate")} icon={RotateCw} press={() => act(rotate)} />
        {(stacks[pane]?.images.length ?? 0) > 1 && <Cine key={`${String(pane)} ${stacks[pane]?.key ?? ""}`} viewport={() => viewports.current[pane]} />}
        {comparing && <Tool label={t("viewer.link")} icon={linked ? Link2 : Link2Off} pressed={linked} press={() => setLinked(!linked)} />}
        <Tool label={t("viewer.reset")} icon={RotateCcw} press={() => viewports.current.forEach((viewport) => viewport && reset(viewport))} named />
      </div>
      <div dir="ltr" className={clsx("grid grid-cols-[minmax(0,1fr)] gap-2", comparing && "sm:grid-cols-2")}>
        {stacks.map((stack, number) => (
          <Pane
            key={`${String(number)} ${stack.key}`}
            stack={stack}
            person={person}
            selected={comparing && active === number}
            select={() => activate(number)}
            label={comparing ? t(number === 0 ? "viewer.left" : "viewer.right") : ""}
            opened={(viewport) => {
              viewports.current[number] = viewport;
              if (viewport) setOpened((count) => count + 1);
            }}
            scrolled={(steps) => follow(number, steps)}
          />
        ))}
      </div>
    </div>
  );
}

/** A button of the toolbar; one that can stay pressed says whether it is. */
function Tool({ label, icon: Icon, press, pressed, named = pressed !== undefined }: { label: string; icon: typeof Hand; press: () => void; pressed?: boolean; named?: boolean }) {
  return (
    <button
      type="button"
      aria-pressed={pressed}
      title={label}
      onClick={press}
      className={clsx(
        "inline-flex min-h-11 min-w-11 items-center justify-center gap-2 rounded-lg border px-2.5 text-sm",
        pressed ? "border-brand bg-brand-soft font-medium text-brand-strong" : "border-line bg-surface text-muted hover:text-ink",
      )}
    >
      <Icon className="size-5" aria-hidden />
      <span className={named ? "max-2xl:sr-only" : "sr-only"}>{label}</span>
    </button>
  );
}

/** Plays a stack from image to image, over and over. */
function Cine({ viewport }: { viewport: () => Types.IStackViewport | undefined }) {
  const { t } = useTranslation();
  const [playing, setPlaying] = useState(false);
  const source = useRef(viewport);
  useEffect(() => {
    source.current = viewport;
  });
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => {
      const one = source.current();
      if (one) void one.setImageIdIndex((one.getCurrentImageIdIndex() + 1) % one.getImageIds().length);
    }, FRAME);
    return () => clearInterval(timer);
  }, [playing]);
  return <Tool label={t("viewer.play")} icon={playing ? Pause : Play} pressed={playing} press={() => setPlaying(!playing)} named={false} />;
}

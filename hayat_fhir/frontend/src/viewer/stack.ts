/** Cornerstone3D, set up once: images come from this site with the session's token, and are decoded in a worker. */
import { Enums, init as initCore, RenderingEngine, type Types } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import {
  addTool,
  Enums as ToolEnums,
  init as initTools,
  LengthTool,
  PanTool,
  StackScrollTool,
  ToolGroupManager,
  type Types as ToolTypes,
  WindowLevelTool,
  ZoomTool,
} from "@cornerstonejs/tools";
import { bearer } from "../session";

export const tools = { window: WindowLevelTool.toolName, zoom: ZoomTool.toolName, pan: PanTool.toolName, measure: LengthTool.toolName } as const;
export type ToolName = keyof typeof tools;

const GROUP = "hayat";
let started: Promise<RenderingEngine> | undefined;

async function start(): Promise<RenderingEngine> {
  await initCore();
  initLoader({
    maxWebWorkers: Math.min(4, Math.max(1, (navigator.hardwareConcurrency || 2) - 1)),
    beforeSend: () => Promise.resolve({ Authorization: `Bearer ${bearer() ?? ""}`, Accept: "application/dicom; transfer-syntax=*" }),
  });
  initTools();
  for (const tool of [WindowLevelTool, ZoomTool, PanTool, LengthTool, StackScrollTool]) addTool(tool);
  const group = ToolGroupManager.createToolGroup(GROUP);
  for (const name of [...Object.values(tools), StackScrollTool.toolName]) group?.addTool(name);
  group?.setToolActive(StackScrollTool.toolName, { bindings: [{ mouseButton: ToolEnums.MouseBindings.Wheel }] });
  return new RenderingEngine(GROUP);
}

/** A viewport on this element; `close` takes it away. */
export async function open(id: string, element: HTMLDivElement): Promise<{ viewport: Types.IStackViewport; close: () => void }> {
  started ??= start();
  const engine = await started;
  engine.enableElement({ viewportId: id, type: Enums.ViewportType.STACK, element, defaultOptions: { background: [0, 0, 0] } });
  ToolGroupManager.getToolGroup(GROUP)?.addViewport(id, GROUP);
  return {
    viewport: engine.getViewport(id) as Types.IStackViewport,
    close: () => {
      ToolGroupManager.getToolGroup(GROUP)?.removeViewports(GROUP, id);
      engine.disableElement(id);
    },
  };
}

/** The tool of the first mouse button, or of one finger. */
export function choose(tool: ToolName): void {
  const group = ToolGroupManager.getToolGroup(GROUP);
  if (!group) return;
  const { Primary, Secondary, Auxiliary } = ToolEnums.MouseBindings;
  for (const name of Object.values(tools)) group.setToolPassive(name);
  const bind = (name: string, bindings: ToolTypes.IToolBinding[]) => group.setToolActive(name, { bindings });
  const second = tool === "zoom" ? [] : [{ mouseButton: Secondary }];
  const third = tool === "pan" ? [] : [{ mouseButton: Auxiliary }];
  if (second.length) bind(tools.zoom, second);
  if (third.length) bind(tools.pan, third);
  bind(tools[tool], [{ mouseButton: Primary }]);
}

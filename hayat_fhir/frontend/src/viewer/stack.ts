/** Cornerstone3D, set up once: images come from this site with the session's token, and are decoded in a worker. */
import { Enums, init as initCore, metaData, RenderingEngine, type Types } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import {
  addTool,
  AngleTool,
  annotation,
  EllipticalROITool,
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

const classes = [WindowLevelTool, ZoomTool, PanTool, StackScrollTool, LengthTool, AngleTool, EllipticalROITool];
export const tools = {
  window: WindowLevelTool.toolName,
  scroll: StackScrollTool.toolName,
  zoom: ZoomTool.toolName,
  pan: PanTool.toolName,
  measure: LengthTool.toolName,
  angle: AngleTool.toolName,
  region: EllipticalROITool.toolName,
} as const;
export type ToolName = keyof typeof tools;

/** Windows that CT images are read with, in Hounsfield units: width and centre. */
export const presets = { soft: [400, 40], lung: [1500, -600], bone: [2500, 480], brain: [80, 40] } as const;
export type Preset = keyof typeof presets;

const GROUP = "hayat";
let started: Promise<RenderingEngine> | undefined;

async function start(): Promise<RenderingEngine> {
  await initCore();
  initLoader({
    maxWebWorkers: Math.min(4, Math.max(1, (navigator.hardwareConcurrency || 2) - 1)),
    beforeSend: () => Promise.resolve({ Authorization: `Bearer ${bearer() ?? ""}`, Accept: "application/dicom; transfer-syntax=*" }),
  });
  initTools();
  for (const tool of classes) addTool(tool);
  const group = ToolGroupManager.createToolGroup(GROUP);
  for (const name of Object.values(tools)) group?.addTool(name);
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

/** The tool of the first mouse button, or of one finger; the wheel goes through the images whatever it is. */
export function choose(tool: ToolName): void {
  const group = ToolGroupManager.getToolGroup(GROUP);
  if (!group) return;
  const { Primary, Secondary, Auxiliary, Wheel } = ToolEnums.MouseBindings;
  for (const name of Object.values(tools)) group.setToolPassive(name);
  const bind = (name: string, bindings: ToolTypes.IToolBinding[]) => group.setToolActive(name, { bindings });
  if (tool !== "zoom") bind(tools.zoom, [{ mouseButton: Secondary }]);
  if (tool !== "pan") bind(tools.pan, [{ mouseButton: Auxiliary }]);
  if (tool !== "scroll") bind(tools.scroll, [{ mouseButton: Wheel }]);
  bind(tools[tool], [{ mouseButton: Primary }, ...(tool === "scroll" ? [{ mouseButton: Wheel }] : [])]);
}

/** Put an image back as it came, without what was measured on it. */
export function reset(viewport: Types.IStackViewport): void {
  for (const one of annotation.state.getAnnotations(tools.measure, viewport.element).concat(annotation.state.getAnnotations(tools.angle, viewport.element), annotation.state.getAnnotations(tools.region, viewport.element))) {
    if (one.annotationUID) annotation.state.removeAnnotation(one.annotationUID);
  }
  viewport.resetCamera();
  viewport.resetProperties();
  viewport.setViewPresentation({ rotation: 0, flipHorizontal: false });
  viewport.render();
}

export function apply(viewport: Types.IStackViewport, preset: Preset): void {
  const [width, centre] = presets[preset];
  viewport.setProperties({ voiRange: { lower: centre - width / 2, upper: centre + width / 2 } });
  viewport.render();
}

export function invert(viewport: Types.IStackViewport): void {
  viewport.setProperties({ invert: !viewport.getProperties().invert });
  viewport.render();
}

/** A quarter to the right. */
export function rotate(viewport: Types.IStackViewport): void {
  viewport.setViewPresentation({ rotation: ((viewport.getViewPresentation().rotation ?? 0) + 90) % 360 });
  viewport.render();
}

export interface Details {
  rows: number | undefined;
  columns: number | undefined;
  thickness: number | undefined;
  location: number | undefined;
  patientId: string | undefined;
}

/** What the header of a loaded image says of it. */
export function details(image: string): Details {
  const plane = metaData.get("imagePlaneModule", image) as Partial<Record<"rows" | "columns" | "sliceThickness" | "sliceLocation", number>> | undefined;
  const patient = metaData.get("patientModule", image) as { patientID?: string; patientId?: string } | undefined;
  return { rows: plane?.rows, columns: plane?.columns, thickness: plane?.sliceThickness, location: plane?.sliceLocation, patientId: patient?.patientID ?? patient?.patientId };
}

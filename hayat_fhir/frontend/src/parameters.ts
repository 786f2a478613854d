/** FHIR Parameters, as operations take and give them. */
import type { Parameters, ParametersParameter } from "fhir/r4";

export function parameters(values: Record<string, string | number | boolean>): Parameters {
  const parameter = Object.entries(values).map(([name, value]) => {
    if (typeof value === "boolean") return { name, valueBoolean: value };
    return typeof value === "number" ? { name, valueInteger: value } : { name, valueString: value };
  });
  return { resourceType: "Parameters", parameter };
}

/** The values of a parameter's name, in order. */
export function valuesOf(all: ParametersParameter[] | undefined, name: string): string[] {
  return (all ?? []).filter((one) => one.name === name).map((one) => String(one.valueString ?? one.valueUrl ?? one.valueUri ?? one.valueCode ?? one.valueInteger ?? one.valueBoolean ?? ""));
}

export function valueOf(all: ParametersParameter[] | undefined, name: string): string {
  return valuesOf(all, name)[0] ?? "";
}

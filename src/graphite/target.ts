// What one `target` of a request is. Functions are evaluated by a later part of this room; until it is there, a call
// is recognised, so that it is refused with a sentence instead of finding nothing.
import { splitView, type View } from "./view.ts";

export type Target =
  /** `pattern` is the whole text; `viewed` is there where it ends in a view. */
  | { kind: "path"; pattern: string; viewed: { pattern: string; view: View } | undefined }
  /** `constantLine(100)`: what Grafana asks to see whether we live. */
  | { kind: "constant"; name: string; value: number }
  | { kind: "call"; name: string };

const constantCall = /^constantLine\(\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*\)$/i;
const call = /^([A-Za-z_]\w*)\s*\(/;
const piped = /\|\s*([A-Za-z_]\w*)\s*\(/;

export function parseTarget(text: string): Target {
  const trimmed = text.trim();
  const constant = constantCall.exec(trimmed);
  if (constant !== null && trimmed.startsWith("constantLine")) {
    const value = Number(constant[1]);
    if (Number.isFinite(value)) return { kind: "constant", name: pythonFloat(value), value };
  }
  const called = call.exec(trimmed) ?? piped.exec(trimmed);
  if (called !== null) return { kind: "call", name: called[1] ?? "" };
  return { kind: "path", pattern: trimmed, viewed: splitView(trimmed) };
}

/** Numbers in names are written as Python writes floats. */
export function pythonFloat(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits, exponent] = value.toExponential().split("e");
    const power = Number(exponent);
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

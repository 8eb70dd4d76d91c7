// The grammar of src/metric/statsd.ts written a second time, with strings and without care for speed.
import type { Reason } from "../../src/metric/reason.ts";

export interface StatsdValue {
  type: "counter" | "gauge" | "timer" | "set";
  /** Text of a set's value, else a number. */
  value: number | string;
  rate: number;
  signed: boolean;
}

export interface JudgedStatsd {
  reason: Reason;
  key: string;
  /** The line without its key. */
  rest: string;
  /** Cleaned, with its tags; of good lines only. */
  name: string;
  values: StatsdValue[];
}

const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const types = { c: "counter", g: "gauge", ms: "timer", h: "timer", d: "timer", s: "set" } as const;
const blanks = /^[ \t\r\v\f\n]+|[ \t\r\v\f\n]+$/g;

/** A line without its end, one character a byte; undefined when it is blank. */
export function judgeStatsd(line: string, keyed: boolean): JudgedStatsd | undefined {
  const tooLong = line.length > 16_384;
  const text = tooLong ? line.slice(0, 16_384).replace(/^[ \t\r\v\f]+/, "") : trim(line);
  if (text === "" && !tooLong) return undefined;
  const judged: JudgedStatsd = { reason: "ok", key: "", rest: text, name: "", values: [] };
  const key = keyed ? /^([^.:| \t\r\v\f]+)\.([^]*)$/.exec(text) : undefined;
  if (key) {
    judged.key = key[1] ?? "";
    judged.rest = (key[2] ?? "").replace(/^[ \t\r\v\f]+/, "");
  }
  judged.reason = tooLong ? "line-too-long" : keyed && !key ? "no-key" : judgeRest(judged);
  if (judged.reason !== "ok") {
    judged.name = "";
    judged.values = [];
  }
  return judged;
}

function judgeRest(judged: JudgedStatsd): Reason {
  const { rest } = judged;
  if (/^(_e\{|_sc\|)/.test(rest)) return "bad-type";
  const match = /^([^:|]*):([^]*)$/.exec(rest);
  if (match === null) return "malformed";
  const [base = "", ...nameTags] = (match[1] ?? "").split(";");
  const name = cleaned(base, "");
  if (/^\.*$/.test(name)) return "bad-name";
  let tags: string[] = [];
  let left: string | undefined = match[2] ?? "";
  while (left !== undefined) {
    const piece: RegExpExecArray | null = /^([^|]*)\|([^:|]*)([^]*)$/.exec(left);
    if (piece === null) return "malformed";
    const [, values = "", letters = "", more = ""] = piece;
    const type = types[trim(letters) as keyof typeof types];
    if (!Object.hasOwn(types, trim(letters))) return "bad-type";
    const read: StatsdValue[] = [];
    for (const each of (type === "set" ? [values] : values.split(":")).map(trim)) {
      if (type !== "set" && /^[+-]?nan$/i.test(each)) return "nan";
      if (each === "" || (type !== "set" && !(number.test(each) && Number.isFinite(Number(each)))))
        return "bad-value";
      const value = type === "set" ? each : Number(each);
      read.push({ type, value, rate: 1, signed: type === "gauge" && /^[+-]/.test(each) });
    }
    let fields = more;
    while (fields.startsWith("|")) {
      const field = (/^\|@[^:|]*/.exec(fields) ?? /^\|[^|]*/.exec(fields))?.[0] ?? "";
      fields = fields.slice(field.length);
      if (field.startsWith("|@")) {
        const rate = trim(field.slice(2));
        if (!number.test(rate) || !(Number(rate) >= 1e-9 && Number(rate) <= 1)) return "bad-value";
        for (const each of read) each.rate = Number(rate);
      } else if (field.startsWith("|#")) tags = field.slice(2).split(",");
    }
    if (read.some((each) => each.type === "counter" && !Number.isFinite(Number(each.value) / each.rate)))
      return "bad-value";
    judged.values.push(...read);
    left = fields === "" ? undefined : fields.slice(1);
  }
  judged.name = name + [...nameTags, ...tags].map(tagText).join("");
  return judged.name.length > 982 ? "name-too-long" : "ok";
}

function tagText(text: string): string {
  const [, tag = "", value = ""] = /^([^:=]*)[:=]?([^]*)$/.exec(trim(text)) ?? [];
  const name = cleaned(tag, "");
  return name === "" ? "" : `;${name}=${cleaned(value, ":=") || "true"}`;
}

function cleaned(text: string, also: string): string {
  return Array.from(text.replaceAll(/[ \t\r\v\f]+/g, "_").replaceAll("/", "-"))
    .filter((char) => /[a-zA-Z0-9_.-]/.test(char) || also.includes(char))
    .join("");
}

function trim(text: string): string {
  return text.replaceAll(blanks, "");
}

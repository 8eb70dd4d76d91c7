// Counters and gauges of one process, as Prometheus text, and the sum of several processes' texts.
// Names: <room>_<noun>_<unit>_total. The number of label sets of a family is bounded: what comes after the
// bound is counted under "other", so that a hostile label can't fill the memory.

const seriesMax = 10_000;

interface Family {
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly labels: readonly string[];
  readonly values: Map<string, Cell>;
}

/** One number of a family. Hot paths keep the cell and add to it. */
export interface Cell {
  value: number;
}

export class Counters {
  readonly #families = new Map<string, Family>();

  /** The cell of one label set, made at first use. */
  counter(name: string, help: string, labels: Record<string, string | number> = {}): Cell {
    return this.#cell(name, help, "counter", labels);
  }

  gauge(name: string, help: string, labels: Record<string, string | number> = {}): Cell {
    return this.#cell(name, help, "gauge", labels);
  }

  #cell(name: string, help: string, type: Family["type"], labels: Record<string, string | number>): Cell {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { help, type, labels: Object.keys(labels), values: new Map() };
      this.#families.set(name, family);
    }
    const wanted = labelText(labels);
    const key =
      family.values.has(wanted) || family.values.size < seriesMax
        ? wanted
        : labelText(Object.fromEntries(family.labels.map((label) => [label, "other"])));
    let cell = family.values.get(key);
    if (cell === undefined) {
      cell = { value: 0 };
      family.values.set(key, cell);
    }
    return cell;
  }

  /** Prometheus text exposition format 0.0.4. */
  text(): string {
    const out: string[] = [];
    for (const [name, family] of this.#families) {
      out.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`);
      for (const [labels, cell] of family.values) out.push(`${name}${labels} ${cell.value}`);
    }
    return `${out.join("\n")}\n`;
  }
}

function labelText(labels: Record<string, string | number>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) =>
      `${name}="${String(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Adds texts of several processes line by line: the same name and labels are summed. */
export function sumTexts(texts: readonly string[]): string {
  const heads = new Map<string, string[]>();
  const sums = new Map<string, Map<string, number>>();
  for (const text of texts) {
    for (const line of text.split("\n")) {
      if (line === "") continue;
      if (line.startsWith("# ")) {
        const name = line.split(" ")[2] ?? "";
        const head = heads.get(name) ?? [];
        if (head.length < 2 && !head.includes(line)) head.push(line);
        heads.set(name, head);
        continue;
      }
      const space = line.lastIndexOf(" ");
      const series = line.slice(0, space);
      const brace = series.indexOf("{");
      const name = brace < 0 ? series : series.slice(0, brace);
      const family = sums.get(name) ?? new Map<string, number>();
      family.set(series, (family.get(series) ?? 0) + Number(line.slice(space + 1)));
      sums.set(name, family);
    }
  }
  const out: string[] = [];
  for (const [name, family] of sums) {
    out.push(...(heads.get(name) ?? []));
    for (const [series, value] of family) out.push(`${series} ${value}`);
  }
  return `${out.join("\n")}\n`;
}

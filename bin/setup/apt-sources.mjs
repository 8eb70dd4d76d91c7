// Where a Debian or Ubuntu machine gets its packages: both formats of apt's lists read (sources.list(5)), the entry of
// the distribution's own archive chosen, and an entry of our own written for a suite whose nats-server is new enough.
// Pure: text in, text out.

/**
 * One entry: a place and what is wanted from it. `options` are the fields both formats share, in small letters.
 * @typedef {{ uris: string[], suites: string[], components: string[], options: Map<string, string> }} Source
 */

/** What says how far to trust a place and goes with it; all else (languages, architectures) is ours to say. */
const kept = new Set([
  "signed-by",
  "trusted",
  "allow-insecure",
  "allow-weak",
  "check-valid-until",
  "valid-until-max",
  "check-date",
  "date-max-future",
  "by-hash",
]);

/** `deb [signed-by=/path arch=amd64] http://host/debian bookworm main` @param {string} text @returns {Source[]} */
export function parseOneLine(text) {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?([^\s#[]+)\s+([^\s#]+)\s+([^#]+)/.exec(line);
    if (match === null) return [];
    /** @type {Map<string, string>} */
    const options = new Map();
    for (const word of (match[1] ?? "").split(/\s+/)) {
      const [name = "", value] = word.split(/[-+]?=(.*)/s);
      // One format separates several values by commas, the other by blanks.
      if (value !== undefined) options.set(name.toLowerCase(), value.replaceAll(",", " "));
    }
    const components = (match[4] ?? "").trim().split(/\s+/);
    return [{ uris: [match[2] ?? ""], suites: [match[3] ?? ""], components, options }];
  });
}

/** Stanzas of `Name: value`, values going on in lines that start with a blank. @param {string} text @returns {Source[]} */
export function parseDeb822(text) {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  const stanzas = lines.join("\n").split(/\n(?:[ \t]*\n)+/);
  return stanzas.flatMap((stanza) => {
    /** @type {Map<string, string>} */
    const fields = new Map();
    for (const match of stanza.matchAll(/^([A-Za-z-]+)[ \t]*:[ \t]*(.*(?:\n[ \t].*)*)/gm)) {
      fields.set((match[1] ?? "").toLowerCase(), (match[2] ?? "").trimEnd());
    }
    const words = (/** @type {string} */ name) =>
      (fields.get(name) ?? "").split(/\s+/).filter((word) => word !== "");
    const isOff = /^(no|false|without|off|disable)$/i.test(fields.get("enabled") ?? "");
    if (isOff || !words("types").includes("deb")) return [];
    return [
      { uris: words("uris"), suites: words("suites"), components: words("components"), options: fields },
    ];
  });
}

/**
 * The entries that may be the distribution's own archive, likeliest first. Entries of others name the same suite now
 * and then (`bookworm main`); the archive's own have a sibling `-updates` or end in the distribution's name.
 * @param {Source[]} sources @param {string} os /etc/os-release
 */
export function choose(sources, os) {
  const { codename, family } = readOs(os);
  const suites = new Set([codename, "stable", "oldstable", "testing", "unstable", "sid"]);
  const uses = (/** @type {string} */ suite) =>
    sources.filter((s) => s.suites.includes(suite)).flatMap((source) => source.uris);
  const updated = new Set(uses(`${codename}-updates`));
  const rank = (/** @type {Source} */ { uris }) =>
    (uris.some((uri) => updated.has(uri)) ? 2 : 0) +
    (uris.some((uri) => new RegExp(`/${family}(-ports)?/?$`).test(uri)) ? 1 : 0);
  const seen = new Set();
  return sources
    .filter(
      (source) => source.components.includes("main") && source.suites.some((suite) => suites.has(suite)),
    )
    .map((source) => ({ ...source, uris: source.uris.filter((uri) => !uri.startsWith("cdrom:")) }))
    .filter(({ uris }) => uris.length > 0 && !seen.has(uris.join(" ")) && seen.add(uris.join(" ")))
    .toSorted((a, b) => rank(b) - rank(a));
}

/**
 * The suites to try: where this release is too old, the first whose nats-server is new enough.
 * @param {string} os /etc/os-release
 */
export function suitesFor(os) {
  const { codename, family, release } = readOs(os);
  if (family === "debian") return release <= 13 ? ["trixie"] : [codename];
  return release < 24.04 ? ["noble", "resolute"] : [codename, "resolute"];
}

/**
 * An entry for one suite of the place that `source` names.
 * @param {Source} source @param {string} suite @param {string} os /etc/os-release @param {string} architecture
 */
export function privateSource(source, suite, os, architecture) {
  const options = [...source.options].filter(([name]) => kept.has(name));
  return [
    "Types: deb",
    `URIs: ${source.uris.join(" ")}`,
    `Suites: ${suite}`,
    `Components: ${readOs(os).family === "debian" ? "main" : "universe"}`,
    `Architectures: ${architecture}`,
    "Languages: none",
    "Targets: Packages",
    ...options.map(([name, value]) => `${name}: ${value}`),
    "",
  ].join("\n");
}

/** A release without a number (testing, sid) counts as newer than all. @param {string} os */
function readOs(os) {
  const field = (/** @type {string} */ name) =>
    new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(os)?.[1] ?? "";
  const isUbuntu = field("ID") === "ubuntu" || field("UBUNTU_CODENAME") !== "";
  const codename =
    (isUbuntu && field("UBUNTU_CODENAME")) || field("DEBIAN_CODENAME") || field("VERSION_CODENAME");
  const known = /** @type {Record<string, number>} */ ({
    jammy: 22.04,
    noble: 24.04,
    bullseye: 11,
    bookworm: 12,
  });
  const release = known[codename] ?? (Number.parseFloat(field("VERSION_ID")) || Infinity);
  return { codename, release, family: isUbuntu ? "ubuntu" : "debian" };
}

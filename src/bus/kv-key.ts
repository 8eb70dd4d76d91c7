// Keys as a bucket takes them. Any non-empty text is a key of ours (tenants' names are user input); what a subject
// can't hold is written as =XX, byte by byte, so no two keys meet and every key can be read back.

const plain = /[-/\w]/;

/** "name.Zürich" becomes "name.Z=C3=BCrich". Dots stay where a subject allows them. */
export function encodeKey(key: string): string {
  let out = "";
  for (const char of key) {
    const dotFits = char === "." && out !== "" && !out.endsWith(".");
    out += plain.test(char) || dotFits ? char : escape(char);
  }
  return out.endsWith(".") ? `${out.slice(0, -1)}=2E` : out;
}

/** What is not of our making comes back as it is. */
export function decodeKey(encoded: string): string {
  if (!encoded.includes("=")) return encoded;
  const bytes: number[] = [];
  for (let at = 0; at < encoded.length; at++) {
    const hex = encoded.slice(at + 1, at + 3);
    if (encoded[at] === "=" && /^[0-9A-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      at += 2;
    } else {
      bytes.push(encoded.charCodeAt(at));
    }
  }
  return Buffer.from(bytes).toString("utf8");
}

function escape(char: string): string {
  return [...Buffer.from(char, "utf8")]
    .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`)
    .join("");
}

// Canonical names: one form, however written.
import assert from "node:assert/strict";
import { canonicalName, canonicalText, formatTagged, isPlain, parseTagged } from "../../src/metric/name.ts";
import { fromLatin1, latin1, utf8, type Fuzzer } from "./fuzzer.ts";
import { judgeLine } from "./line-oracle.ts";
import { nameText } from "./line-text.ts";

export const nameFuzzer: Fuzzer = {
  name: "name",
  smokeRounds: 10_000,
  round(random) {
    const sent = nameText(random);
    if (judgeLine(`${sent} 1`, false)?.reason !== "ok") return;
    const bytes = fromLatin1(`xx${sent}yy`);
    const canonical = canonicalName(bytes, 2, bytes.length - 2);
    const text = latin1(canonical);
    assert.ok(canonical.length > 0 && canonical.length <= sent.length, sent);
    assert.equal(
      latin1(canonicalName(canonical, 0, canonical.length)),
      text,
      `twice: ${JSON.stringify(sent)}`,
    );
    if (isPlain(bytes, 2, bytes.length - 2)) assert.equal(text, sent);
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    assert.equal(utf8(canonicalText(decoder.decode(fromLatin1(sent)))), text);
    // Its tags in any other order are the same series.
    const parsed = parseTagged(decoder.decode(canonical));
    if (parsed === undefined) return;
    const shuffled = [...parsed.tags].sort(() => random.next() - 0.5);
    const respelled = `${parsed.name}${shuffled.map(([tag, value]) => `;${tag}=${value}`).join("")}`;
    assert.equal(formatTagged(parsed), decoder.decode(canonical));
    if (!respelled.endsWith('"}')) assert.equal(utf8(canonicalText(respelled)), text);
  },
};

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { parseProcfile } from "../../bin/procfile.ts";

test("a Procfile is read in its order", () => {
  assert.deepEqual(
    parseProcfile("# first\nnats: millrace nats\n\n  api:   millrace api --log-level debug\n"),
    [
      { name: "nats", arguments: ["nats"] },
      { name: "api", arguments: ["api", "--log-level", "debug"] },
    ],
  );
});

test("what is no entry is named with its line", () => {
  const f = (content: string, expected: RegExp) => assert.throws(() => parseProcfile(content), expected);
  f("nats: millrace nats\nrm -rf", /Procfile line 2/);
  f("nats: rm -rf", /Procfile line 1/);
  f("nats:", /Procfile line 1/);
  f("a: millrace api\na: millrace api", /line 2 names a a second time/);
});

// Both formats of apt's lists, and the entry that is made of them. The hosts are examples.
import assert from "node:assert/strict";
import { test } from "node:test";
import { choose, parseDeb822, parseOneLine, privateSource, suitesFor } from "../../bin/setup/apt-sources.mjs";

const bookworm = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n';
const jammy = 'ID=ubuntu\nVERSION_ID="22.04"\nUBUNTU_CODENAME=jammy\nVERSION_CODENAME=jammy\n';

test("one-line entries", () => {
  const f = (line: string, expected: [string, string, string, Record<string, string>] | undefined) => {
    const [source] = parseOneLine(line);
    const read = source && [
      source.uris.join(" "),
      source.suites.join(" "),
      source.components.join(" "),
      Object.fromEntries(source.options),
    ];
    assert.deepEqual(read, expected, line);
  };
  f("deb http://deb.example.org/debian bookworm main", [
    "http://deb.example.org/debian",
    "bookworm",
    "main",
    {},
  ]);
  f("  deb\thttp://a.example.org/debian/  sid  main contrib # note", [
    "http://a.example.org/debian/",
    "sid",
    "main contrib",
    {},
  ]);
  f("deb [signed-by=/k.gpg arch=amd64,i386] https://u:p@a.example.org/d trixie main", [
    "https://u:p@a.example.org/d",
    "trixie",
    "main",
    { "signed-by": "/k.gpg", arch: "amd64 i386" },
  ]);
  f("deb [ trusted=yes ] mirror+file:/etc/apt/mirrors/debian.list bookworm main", [
    "mirror+file:/etc/apt/mirrors/debian.list",
    "bookworm",
    "main",
    { trusted: "yes" },
  ]);
  f("# deb http://deb.example.org/debian bookworm main", undefined);
  f("deb-src http://deb.example.org/debian bookworm main", undefined);
  f("deb http://flat.example.org/ ./", undefined);
  f("deb cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_]/ bookworm main", undefined);
  f("", undefined);
});

test("deb822 entries", () => {
  const text = [
    "# made by the installer",
    "Types: deb deb-src",
    "URIs: http://deb.example.org/debian",
    "# in the middle",
    "Suites: bookworm",
    " bookworm-updates",
    "Components: main contrib",
    "Signed-By: /usr/share/keyrings/debian.gpg",
    "",
    "Types: deb-src",
    "URIs: http://sources.example.org/debian",
    "Suites: bookworm",
    "Components: main",
    " \t",
    "Enabled: no",
    "Types: deb",
    "URIs: http://off.example.org/debian",
    "Suites: bookworm",
    "Components: main",
    "",
    "types: deb",
    "uris: https://key.example.org/x https://key2.example.org/x",
    "suites: stable",
    "components: main",
    "signed-by:",
    " -----BEGIN PGP PUBLIC KEY BLOCK-----",
    " .",
    " mQINBF",
    " -----END PGP PUBLIC KEY BLOCK-----",
  ].join("\n");
  const [first, second, ...rest] = parseDeb822(text);
  assert.deepEqual(rest, []);
  assert.deepEqual(first?.uris, ["http://deb.example.org/debian"]);
  assert.deepEqual(first?.suites, ["bookworm", "bookworm-updates"]);
  assert.deepEqual(first?.components, ["main", "contrib"]);
  assert.equal(first?.options.get("signed-by"), "/usr/share/keyrings/debian.gpg");
  assert.deepEqual(second?.uris, ["https://key.example.org/x", "https://key2.example.org/x"]);
  assert.match(second?.options.get("signed-by") ?? "", /^\n -+BEGIN.*\n \.\n mQINBF\n -+END/);
  assert.deepEqual(parseDeb822(""), []);
});

test("the distribution's own archive comes first, others after it, the rest not at all", () => {
  const f = (lines: string, os: string, expected: string[]) =>
    assert.deepEqual(
      choose(parseOneLine(lines), os).map((source) => source.uris[0]),
      expected,
    );
  const debian = [
    "deb https://tools.example.com bookworm main",
    "deb https://docker.example.com/linux/debian bookworm stable",
    "deb http://sec.example.org/debian-security bookworm-security main",
    "deb http://deb.example.org/mirror bookworm main",
    "deb http://deb.example.org/mirror bookworm-updates main",
    "deb http://deb.example.org/mirror bookworm main",
  ].join("\n");
  f(debian, bookworm, ["http://deb.example.org/mirror", "https://tools.example.com"]);
  f("deb http://x.example.com stable main\ndeb http://a.example.org/debian/ stable main", bookworm, [
    "http://a.example.org/debian/",
    "http://x.example.com",
  ]);
  f("deb http://ports.example.org/ubuntu-ports jammy main universe", jammy, [
    "http://ports.example.org/ubuntu-ports",
  ]);
  f("", bookworm, []);
});

test("a suite whose nats-server is new enough", () => {
  const f = (os: string, expected: string[]) => assert.deepEqual(suitesFor(os), expected, os);
  f(bookworm, ["trixie"]);
  f('ID=debian\nVERSION_ID="11"\nVERSION_CODENAME=bullseye', ["trixie"]);
  f('ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie', ["trixie"]);
  f("ID=debian\nVERSION_CODENAME=forky", ["forky"]);
  f(jammy, ["noble", "resolute"]);
  f('ID=ubuntu\nVERSION_ID="24.04"\nUBUNTU_CODENAME=noble', ["noble", "resolute"]);
  f('ID=ubuntu\nVERSION_ID="25.10"\nUBUNTU_CODENAME=questing', ["questing", "resolute"]);
  f('ID=linuxmint\nVERSION_ID="22"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble', ["noble", "resolute"]);
});

test("the entry keeps the mirror and its keys, and asks for one index", () => {
  const f = (line: string, suite: string, os: string, expected: string[]) => {
    const [source] = parseOneLine(line);
    assert.ok(source);
    assert.deepEqual(privateSource(source, suite, os, "amd64").split("\n"), [...expected, ""]);
  };
  f(
    "deb [signed-by=/k.gpg arch=arm64 lang=de] http://a.example.org/debian bookworm main contrib",
    "trixie",
    bookworm,
    [
      "Types: deb",
      "URIs: http://a.example.org/debian",
      "Suites: trixie",
      "Components: main",
      "Architectures: amd64",
      "Languages: none",
      "Targets: Packages",
      "signed-by: /k.gpg",
    ],
  );
  f("deb http://a.example.org/ubuntu jammy main", "noble", jammy, [
    "Types: deb",
    "URIs: http://a.example.org/ubuntu",
    "Suites: noble",
    "Components: universe",
    "Architectures: amd64",
    "Languages: none",
    "Targets: Packages",
  ]);
});

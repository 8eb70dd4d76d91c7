// `npm run bench -- NAME [options]`: one entry for all measurements. The last line on stdout is one JSON object when
// --json is given; bench/README.md says what the fields mean.
const benches: Record<string, () => Promise<{ run(words: string[]): Promise<void> }>> = {
  aggregate: () => import("./aggregate.ts"),
  deaths: () => import("./deaths.ts"),
  doors: () => import("./doors.ts"),
  find: () => import("./find.ts"),
  ingest: () => import("./ingest.ts"),
  limits: () => import("./limits.ts"),
  record: () => import("./record.ts"),
  refusing: () => import("./refusing.ts"),
  replay: () => import("./replay.ts"),
  skip: () => import("./skip.ts"),
  store: () => import("./store.ts"),
  year: () => import("./year.ts"),
};

const [name = "", ...words] = process.argv.slice(2);
const load = benches[name];
if (load === undefined) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(benches).join("|")} [options]\n`);
  process.exit(2);
}
await (await load()).run(words);

// `millrace refused TENANT` and `millrace senders`: what gateways did not take, and from whom.
import type { Bus } from "../src/bus/bus.ts";
import { gatewayControlSubject } from "../src/bus/subjects.ts";
import { decodeGatewayAnswer, type GatewayAnswer, type GatewayQuestion } from "../src/gateway/questions.ts";
import { refusedLinesMost } from "../src/gateway/refused-lines.ts";
import { listTenants } from "../src/tenant/admin.ts";
import { allHomes } from "../src/tenant/routing.ts";
import { askShard } from "./ask-shard.ts";
import { fewAtATime } from "./few.ts";
import { exitUnknown } from "./ledger.ts";
import { find, Refusal, say, withDirectory, type Flags, type Output } from "./directory.ts";
import { countText } from "./words.ts";

/** How many gateways there are nobody knows: this long they may answer. */
const waitMs = 1000;

export function refusedShow(name: string, output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv, settings, bus) => {
    const tenant = await find(kv, name);
    const answers = await askGateways(bus, { kind: "refused-lines", tenant: tenant.id });
    let unknown = false;
    const ofShards = await fewAtATime(allHomes(tenant, settings.shards), async (shard) => {
      const answer = await askShard(bus, { kind: "refused-lines", shard, tenant: tenant.id });
      if (answer.kind === "refused-lines")
        return answer.lines.map((line) => ({ ...line, peer: `shard ${shard}`, gateway: "" }));
      const why = answer.kind === "none" ? `: ${answer.why}` : "";
      process.stderr.write(`millrace: shard ${shard} could not be asked${why}\n`);
      unknown = true;
      return [];
    });
    const lines = answers
      .flatMap((answer) =>
        answer.kind === "refused-lines"
          ? answer.lines.map((line) => ({ ...line, gateway: answer.gateway }))
          : [],
      )
      .concat(ofShards.flat())
      .sort((a, b) => a.atMs - b.atMs)
      .slice(-refusedLinesMost);
    say(
      output,
      lines,
      lines.length === 0
        ? [`no gateway remembers a refused line of ${name}`]
        : lines.map((line) =>
            [new Date(line.atMs).toISOString(), line.door, line.peer, line.reason, harmless(line.text)].join(
              "  ",
            ),
          ),
    );
    return unknown ? exitUnknown : 0;
  });
}

export interface SendersOptions extends Output {
  /** Only those whose key is nobody's; only those of tenants that are gone. */
  only: "unknown" | "deleted" | undefined;
}

export function sendersShow(options: SendersOptions, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv, _settings, bus) => {
    const names = new Map((await listTenants(kv)).map(({ id, name }) => [id, name]));
    const answers = await askGateways(bus, { kind: "unwanted-senders" });
    const wanted = (reason: string) =>
      options.only === undefined ||
      reason === (options.only === "unknown" ? "unknown-key" : "tenant-deleted");
    const senders = answers
      .flatMap((answer) =>
        answer.kind === "unwanted-senders"
          ? answer.senders.map((sender) => ({ ...sender, gateway: answer.gateway }))
          : [],
      )
      .filter(({ reason }) => wanted(reason))
      .sort((a, b) => b.rate - a.rate || b.lastMs - a.lastMs);
    const at = (ms: number) => new Date(ms).toISOString().slice(0, 19);
    say(
      options,
      senders,
      senders.length === 0
        ? ["no gateway knows of any"]
        : senders.map((s) => {
            const whose = s.tenant === undefined ? "" : `  ${names.get(s.tenant) ?? s.tenant}`;
            const when = `${at(s.firstMs)} to ${at(s.lastMs)}`;
            const key = s.keyHash === "" ? "no key" : `key ${s.keyHash}`;
            return `${s.address}  ${s.door}  ${s.reason}  ${key}${whose}  ${s.rate}/s, ${countText(s.lines, "line")}, ${when}`;
          }),
    );
  });
}

async function askGateways(bus: Bus, question: GatewayQuestion): Promise<GatewayAnswer[]> {
  const answers = await bus.ask(gatewayControlSubject, Buffer.from(JSON.stringify(question)), waitMs);
  if (answers.length === 0) throw new Refusal("no gateway answers");
  return answers.map(decodeGatewayAnswer).filter((answer) => answer !== undefined);
}

/** A terminal obeys control characters, and a sender chose these. */
export function harmless(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/[\u007f-\u009f]/g, "?");
}

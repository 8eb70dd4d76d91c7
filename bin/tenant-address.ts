// `millrace tenant address ...`: networks whose raw lines are a tenant's, without a key in front.
import { unreachable } from "../src/base/assert.ts";
import { addAddress, type AddressChanged, removeAddress } from "../src/tenant/address-admin.ts";
import { networksMax, networksOf, readNetworks } from "../src/tenant/networks.ts";
import { find, type Flags, type Output, Refusal, say, withDirectory } from "./tenant.ts";

export function tenantAddressList(name: string, output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv) => {
    const tenant = await find(kv, name);
    const read = readNetworks(tenant.addresses);
    const addresses = networksOf(tenant).map((network) => network.text);
    say(output, { id: tenant.id, name: tenant.name, addresses }, [
      ...(read.kind === "invalid" ? [`the addresses of ${name} can't be read (${read.why})`] : addresses),
    ]);
  });
}

export function tenantAddressAdd(name: string, address: string, output: Output, flags: Flags): Promise<void> {
  return changed(name, address, "add", output, flags);
}

export function tenantAddressRemove(
  name: string,
  address: string,
  output: Output,
  flags: Flags,
): Promise<void> {
  return changed(name, address, "remove", output, flags);
}

function changed(
  name: string,
  address: string,
  verb: "add" | "remove",
  output: Output,
  flags: Flags,
): Promise<void> {
  return withDirectory(flags, async (kv) => {
    const { id } = await find(kv, name);
    const result = await (verb === "add" ? addAddress : removeAddress)(kv, id, address);
    const { kind, addresses, text } = sure(result, name, verb);
    say(output, { id, name, outcome: kind, addresses }, [text]);
  });
}

function sure(result: AddressChanged, name: string, verb: "add" | "remove") {
  switch (result.kind) {
    case "changed":
    case "unchanged": {
      const addresses = networksOf(result.tenant).map((network) => network.text);
      const does = verb === "add" ? "is taken as" : "is not taken as";
      const more = result.kind === "unchanged" ? ", as before" : "";
      const text = `what ${result.address} sends to raw doors without a key ${does} ${name}'s${more}`;
      return { kind: result.kind, addresses, text };
    }
    case "invalid":
      throw new Refusal(result.why);
    case "taken":
      throw new Refusal(
        `${result.by.name} has this very network: give a part of it, or remove it there first`,
      );
    case "too-many":
      throw new Refusal(`${name} has ${networksMax} addresses, which is the most`);
    case "unknown-tenant":
      throw new Refusal(`there is no tenant ${name} any more`);
    default:
      return unreachable(result);
  }
}

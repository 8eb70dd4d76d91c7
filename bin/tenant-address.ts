// `millrace tenant address ...`: networks whose raw lines are a tenant's, without a key in front.
import { withAdmin } from "./admin/client.ts";
import type { Flags } from "./directory.ts";
import { say, type Output } from "./say.ts";
import { getTenant, pathOf } from "./tenant.ts";

export function tenantAddressList(name: string, output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { id, name: known, addresses = [] } = await getTenant(admin, name);
    say(output, { id, name: known, addresses }, addresses);
  });
}

export function tenantAddressAdd(name: string, address: string, output: Output, flags: Flags): Promise<void> {
  return changed(name, address, "addresses", output, flags);
}

export function tenantAddressRemove(
  name: string,
  address: string,
  output: Output,
  flags: Flags,
): Promise<void> {
  return changed(name, address, "addresses/remove", output, flags);
}

function changed(name: string, address: string, verb: string, output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { done, ...answer } = await admin.post<{ done: string }>(pathOf(name, verb), { address });
    say(output, answer, [done]);
  });
}

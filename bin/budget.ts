// What of the disk the parts of a system may use.
import { makeFolder } from "../src/base/folder.ts";
import { diskBudget, splitBudget, type Budget } from "../src/config/limits.ts";
import type { Settings } from "../src/config/settings.ts";

/** The budget as `up` finds it at its start: throws settings-invalid when the disk has no room for it. */
export async function checkedBudget(settings: Settings): Promise<Budget> {
  makeFolder(settings.home);
  return splitBudget(await diskBudget(settings.diskBudget, settings.home), settings.shards);
}

/**
 * What a process may use. A budget that is set is not held against the disk again: a process that died while others
 * filled the disk must come back, not find that it would not be founded there today.
 */
export async function budgetOf(settings: Settings): Promise<Budget> {
  if (settings.diskBudget === "auto") return checkedBudget(settings);
  return splitBudget(settings.diskBudget, settings.shards);
}

import { createMemoryEngine } from "../../src/store/memory.ts";
import { storeContract } from "../contract/store.ts";

storeContract("memory", async () => {
  const engine = createMemoryEngine();
  return { engine, reopen: async () => engine, end: async () => {} };
});

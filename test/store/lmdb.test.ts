import { storeContract } from "../contract/store.ts";
import { lmdbWorld } from "./lmdb-helpers.ts";

storeContract("lmdb", lmdbWorld);

// What a tenant does, and how its neighbours live through it.
import { played } from "./playing.ts";

played("deleted-user", "poison");

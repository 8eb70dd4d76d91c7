// The record away, and a store that is full.
import { played } from "./playing.ts";

played("nats-down", "disk-full");

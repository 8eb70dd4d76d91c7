#!/usr/bin/env node
// The command line; what it knows is in commands/program.ts.
import { buildProgram } from "./commands/program.ts";

await buildProgram().parseAsync();

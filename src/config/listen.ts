// Listening, and the sentence when it can't be: it names the address and the setting.
import type { Server } from "node:net";
import type { FastifyInstance } from "fastify";
import { Outage } from "../base/errors.ts";
import { formatAddress, type Address } from "./settings.ts";

/** Answers the address it got. Throws port-taken or settings-invalid. */
export function listen(server: Server, at: Address, setting: string): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, at, setting)));
    server.listen({ host: at.host, port: at.port }, () => {
      const bound = server.address();
      resolve({ host: at.host, port: typeof bound === "object" && bound !== null ? bound.port : at.port });
    });
  });
}

/** One sentence that names the address and the setting. */
export function listenError(error: NodeJS.ErrnoException, at: Address, setting: string): Error {
  if (error.code === "EADDRINUSE")
    return new Outage(
      "port-taken",
      `${formatAddress(at)} is taken by another program: end it, or set ${setting}.`,
    );
  return new Outage(
    "settings-invalid",
    `can't listen on ${formatAddress(at)} (${setting}): ${error.message}.`,
  );
}

/** The same for fastify. */
export async function listenApp(app: FastifyInstance, at: Address, setting: string): Promise<Address> {
  try {
    await app.listen({ host: at.host, port: at.port });
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, at, setting);
  }
  const bound = app.server.address();
  return { host: at.host, port: typeof bound === "object" && bound !== null ? bound.port : at.port };
}

// The whole system, for tests: the one that drills use.
export { freePorts } from "../../bin/drill/ports.ts";
export {
  cleanEnvironment,
  eventually,
  PrivateSystem as System,
  systemPorts,
  temporaryHome,
  type Keys,
  type LogLine,
  type NodeHealth,
  type RenderedSeries,
  type SystemOptions,
} from "../../bin/drill/private-system.ts";

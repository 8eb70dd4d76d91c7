// Python's standard library: the few lines that every guide to Graphite shows, in each of its protocols.
import { run, type Client } from "./client.ts";

const program = `
import pickle, socket, struct, sys, time
key, line_port, pickle_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
now = int(time.time())
with socket.create_connection(("127.0.0.1", line_port)) as s:
    s.sendall(("%s.python.tcp 1 %d\\n" % (key, now)).encode())
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.sendto(("%s.python.udp 2 %d\\n" % (key, now)).encode(), ("127.0.0.1", line_port))
with socket.create_connection(("127.0.0.1", pickle_port)) as s:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        points = [("%s.python.pickle%d" % (key, protocol), (now, protocol + 0.5))]
        body = pickle.dumps(points, protocol)
        s.sendall(struct.pack("!L", len(body)) + body)
`;

export const python: Client = {
  name: "python3",
  from: "machine",
  expected: {
    "python.tcp": 1,
    "python.udp": 2,
    ...Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`python.pickle${n}`, n + 0.5])),
  },
  async send({ system, keys }, arrived) {
    await run("python3", ["-c", program, keys.writeKey, `${system.tcpPort}`, `${system.picklePort}`]);
    await arrived();
  },
};

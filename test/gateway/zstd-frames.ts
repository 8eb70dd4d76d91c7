// zstd frames for tests: one of the zstd program (1.5.4, -19, with checksum), and frames of raw and repeated blocks.

/** 300 lines, `web.host<n>.requests <n>`. */
export const zstdFixture = Buffer.from(
  "KLUv/WRwG1UYAOpQWAkXgCcp5gD1hw3DEE1gJyIiRCZqQqAj0ROcAIkAiQAMRvDu7Kyu6Ghu5KTXbx7j4s7OzMqKjM" +
    "ZGTGrdpjEs7OqsrKqoaGqkpNVrFqOijs7IioqIhkZISp0mMSjo5myspmhoZmSk02cOY2JOzsRKioRGRkQqXaYwJOR6" +
    "VqsWlaYjlbZ3ltHofbbVRdM8svT+nHF8PKMVi0jDEUrZOUkyeGdWRTQj0j5JEELBUDAwQGBQAEAMBQMEAAgwOBDEIS" +
    "EKlViaOJFICmLQDW9saFPDGhrSzHBGhjIddh4+HHJiGHPCExOalLCEhCQjHBGhSIWVhQuFlBCGXHm10lpllUrqlFMp" +
    "pS3by8uSjTJ687Zp16xp0jNnmXJnfz4njxkfeTTSWGSRSOKQQyGFJcvJSZIMMnjBCwtaVLCCghQTnJCgRIONgweDjN" +
    "H7296ur+np+Vle7vf/+Tw+Pn40bixeJE4cPhQuLC/nk5wMHrz4wmKLiisopph4QmKJxo3jgzEj4ojveGdHuzrW0ZFu" +
    "jnNylOux9/HjkRfHuDOemdGsjGVkJBvjmBjFaqxt3GikhTHsildWtKpiFRWppjglRakWWxcvFllRjDrikRGNilhERK" +
    "IJBHcL9/2wcN8PC/f9sHDfDwv3/bBg2w8Ltv2wYNsPC7b9sGDbDwt1/bBQ1w8Ldf2wUH+xZkUddfSR0UZFFxFNNPSQ" +
    "0EKlS9MTaVLQQTff2GxTcw3NNDPPyCzTufP8cObEHHPyickmJZeQTDLyiMgilSvLC2VKyCHXr9at1avUqdOn0qXt7f" +
    "2ys9EDglaoEsCS9ftv4peWORI4QWGvA6wzSZYoS1LpZk88OZu00/VkjwPqFd08fs7DGoRPIn6ZRxuMT038mQcbEp9I" +
    "/DGg+DkPN4g+ifgxj20wPpn4Zx5sIL4i8Wc+bFF8JbFnddhA/CTTivlgrbVP+Hx+PjGmZHIy+WwQVBDw52BwMNTD8Y" +
    "wEwmM7GBqMpzyDBgF/DgYHgz0cz0igpIddtdI/gps2a6eJZ9b8vWHJ3Qg4tALIAQ5v",
  "base64",
);

/** Under a window of 8 MB. A number is a block of so many zeros, written as one byte. */
export function zstdFrame(blocks: readonly (Buffer | number)[]): Buffer {
  const cut = blocks.flatMap((block): (Buffer | number)[] =>
    typeof block === "number"
      ? [block]
      : Array.from({ length: Math.ceil(block.length / 131_072) }, (_, n) =>
          block.subarray(n * 131_072, (n + 1) * 131_072),
        ),
  );
  const parts: Buffer[] = [Buffer.from("28b52ffd0068", "hex")];
  for (const [n, block] of cut.entries()) {
    const size = typeof block === "number" ? block : block.length;
    const header = Buffer.alloc(3);
    header.writeUIntLE(
      (size << 3) | (typeof block === "number" ? 2 : 0) | (n === cut.length - 1 ? 1 : 0),
      0,
      3,
    );
    parts.push(header, typeof block === "number" ? Buffer.from([0]) : block);
  }
  return Buffer.concat(parts);
}

# Pickles as Python writes them, and what Python reads from them: a case a line, for pickle.test.ts.
# {"broken", "hex", "points": null | [[name in hex, double in hex | "bad", double in hex | "bad"] | null, ...]}
# null: not read, or no list; an element null: no (path, (time stamp, value)).
import io, json, math, pickle, pickletools, random, resource, struct, sys

resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
rng = random.Random(int(sys.argv[1]))


class Safe(pickle.Unpickler):
    def find_class(self, module, name):
        raise pickle.UnpicklingError("no globals")


def double(value):
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return "bad"
    return "bad" if math.isinf(number) else "nan" if math.isnan(number) else struct.pack(">d", number).hex()


def element(one):
    if not isinstance(one, (list, tuple)) or len(one) != 2 or not isinstance(one[0], (str, bytes, bytearray)):
        return None
    name, pair = one
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return None
    name = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else bytes(name)
    return [name.hex(), double(pair[0]), double(pair[1])]


def emit(data, broken=False):
    try:
        read = Safe(io.BytesIO(data)).load()
        points = [element(each) for each in read] if isinstance(read, (list, tuple)) else None
    except Exception:
        points = None
    print(json.dumps({"broken": broken, "hex": data.hex(), "points": points}))


def name(protocol):
    text = rng.choice(["a.b", "cpu.0", "caf\u00e9", "\u65e5\u672c", "\U0001f600", "a b", "x\ny", "q'\"\\t", "", "n" * 300, "\ud800", "\\u0041"])
    text += str(rng.randrange(9))
    if protocol >= 3 and rng.random() < 0.2:
        return rng.choice([bytes, bytearray] if protocol == 5 else [bytes])(text.encode("utf-8", "surrogatepass"))
    return text


def number():
    return rng.choice([
        lambda: rng.random() * 10.0 ** rng.randrange(-320, 308), lambda: -rng.random(), lambda: 0.0, lambda: -0.0,
        lambda: math.nan, lambda: math.inf, lambda: -math.inf, lambda: rng.randrange(-300, 300), lambda: rng.randrange(70000),
        lambda: rng.randrange(-(1 << 33), 1 << 33), lambda: rng.randrange(-(1 << 70), 1 << 70), lambda: (1 << 53) + 1,
        lambda: (1 << 54) + 2 + rng.randrange(3), lambda: -(1 << rng.randrange(130)), lambda: rng.getrandbits(1024), lambda: 1 << 3000, lambda: True, lambda: False,
        lambda: None, lambda: str(rng.random()), lambda: str(rng.randrange(10**9)), lambda: " 5\n", lambda: "x", lambda: "",
        lambda: "nan", lambda: "-inf", lambda: [1], lambda: {}, lambda: (), lambda: "1e400", lambda: "1.5e3",
    ])()


def one(protocol):
    if rng.random() < 0.1:
        return rng.choice([None, 1, "ab", (), [], ("a", 1, 2), ("a", (1, 2, 3)), (1, (1, 2)), {"a": 1}, {1, 2}, frozenset((1,)), ("a", "bc!"), [[[]]], {"a": {"b": [1]}}])
    pair = rng.choice([list, tuple])((number(), number()))
    return rng.choice([list, tuple])((name(protocol), pair))


for _ in range(int(sys.argv[2])):
    protocol = rng.randrange(6)
    points = [one(protocol) for _ in range(rng.choice([0, 1, 2, 5, 20]))]
    if points and rng.random() < 0.3:
        points += points[:3]
    data = pickle.dumps(rng.choice([list, tuple])(points), protocol)
    if rng.random() < 0.2:
        data = pickletools.optimize(data)
    emit(data)
    if rng.random() < 0.05:
        emit(pickle.dumps([("big.%d" % i, (i, i * 0.5)) for i in range(2500)], protocol))
    for _ in range(3):
        broken = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(broken))
            if rng.random() < 0.2:
                del broken[at:at + rng.randrange(1, 4)]
                if not broken:
                    break
            else:
                broken[at] = rng.choice([rng.randrange(256), ord(rng.choice("(.012aetlpqghjd})]NsuI"))])
        # A place in the memo far off makes Python allocate all before it.
        if b"r" not in broken and b"p" not in broken:
            emit(bytes(broken), True)

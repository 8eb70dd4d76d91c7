// An object with some of its methods replaced; the others are the object's own, private fields included.

export function replaced<T extends object>(target: T, change: Partial<T>): T {
  return new Proxy(target, {
    get(of, property) {
      const other: unknown = Reflect.get(change, property);
      if (other !== undefined) return other;
      const value: unknown = Reflect.get(of, property, of);
      return typeof value === "function" ? (value.bind(of) as unknown) : value;
    },
  });
}

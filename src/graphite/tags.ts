// A stored name as an answer's `tags` object shows it: `disk.used;dc=dc1;host=a` has name, dc and host. A name with an
// invalid tag part has no tags: all of it is the name, as it was when it was stored.

/** Without a prototype: a tag may be called anything. */
export function tagsOf(name: string): Record<string, string> {
  const tags = Object.create(null) as Record<string, string>;
  const [path, ...pairs] = name.split(";");
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals <= 0) return Object.assign(Object.create(null) as Record<string, string>, { name });
    tags[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  // The path is the name whatever a tag says.
  tags["name"] = path ?? "";
  return tags;
}

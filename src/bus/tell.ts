// Telling several listeners. One that throws has a bug of its own: it surfaces as an uncaught error, and the others are
// told nevertheless.

export function tell<T>(callbacks: Iterable<(value: T) => void>, value: T): void {
  const present = [...callbacks]; // who is told may come and go while we tell
  for (const callback of present) {
    try {
      callback(value);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

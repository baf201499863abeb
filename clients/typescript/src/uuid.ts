// crypto is there in browsers (in a secure context) and in Node.js.
export function randomUUID(): string {
  return globalThis.crypto.randomUUID();
}

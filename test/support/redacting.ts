// A wrapper of a write method, as an application or instrumentation puts one around Node's.

export type Method = (this: unknown, ...args: unknown[]) => unknown

/** Writes `secret` as `******`, as an application would that redacts what it sends. */
export function redacting(inner: Method): Method {
  return function (this: unknown, chunk: unknown, ...rest: unknown[]) {
    const isText = typeof chunk === 'string' || chunk instanceof Uint8Array
    const redacted = isText ? Buffer.from(chunk).toString().replaceAll('secret', '******') : chunk
    return inner.call(this, redacted, ...rest)
  }
}

// The request of a client.

/** The head of a request. */
export function requestFor(
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: number,
): string {
  const all = {
    host: 'rig',
    accept: 'text/event-stream',
    ...(body === undefined ? {} : { 'content-length': String(body) }),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

// What the tests of WPT's `eventsource/` ask their server for, on the same paths, answered by our streams. Most of it is bytes
// that no encoder of ours would write: the tests are about what clients make of them.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { createEventStream, type EventStreamOptions } from '../../../src/index.js'
import { EncodedEvent } from '../../../src/sse/encode.js'

/** A request, with its query by bytes: one character each, since much of it is no UTF-8 on purpose. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly query: ReadonlyMap<string, string>
  readonly cookies: ReadonlyMap<string, string>
}

export type Handler = (exchange: Exchange) => void | Promise<void>

/** Undoes percent-encoding byte by byte. */
export function parseQuery(query: string): Map<string, string> {
  const decode = (text: string): string =>
    text
      .replaceAll('+', ' ')
      .replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  const parts = query.split('&').filter((part) => part !== '')
  return new Map(
    parts
      .reverse() // The first of several counts.
      .map((part) => {
        const [name = '', ...value] = part.split('=')
        return [decode(name), decode(value.join('='))]
      }),
  )
}

const raw = (bytes: string): EncodedEvent => new EncodedEvent(Buffer.from(bytes, 'latin1'))

/** A response that is one piece of bytes and its end. */
async function answer(
  { req, res }: Exchange,
  bytes: string,
  options: EventStreamOptions = {},
): Promise<void> {
  const stream = createEventStream(req, res, options)
  stream.send(raw(bytes))
  await stream.close()
}

/** Not a stream: a status that clients must not take for one. */
function refuse({ res }: Exchange, status: number, body: string): void {
  res.writeHead(status, 'TEST', { 'content-type': 'text/event-stream' })
  res.end(status === 204 || status === 205 ? undefined : body)
}

async function message(exchange: Exchange): Promise<void> {
  const { query } = exchange
  const end = query.get('newline') === 'none' ? '\n' : '\n\n\n'
  await delay(Number(query.get('sleep') ?? 0))
  await answer(exchange, (query.get('message') ?? 'data: data') + end, {
    headers: { 'content-type': query.get('mime') ?? 'text/event-stream' },
  })
}

/** The same every two seconds, until the client leaves. */
async function fieldParsing({ req, res }: Exchange): Promise<void> {
  const stream = createEventStream(req, res)
  while (stream.state === 'open') {
    stream.send(
      raw(
        'data:msg\ndata: msg\n\n' +
          ':\nfalsefield:msg\n\n' +
          'falsefield:msg\nData:data\n\n' +
          'data\n\n' +
          'data:end\n\n',
      ),
    )
    await delay(2_000, undefined, { signal: stream.signal }).catch(() => {})
  }
}

/** Tells the client the id that it came back with, or gives it one. */
async function lastEventId({ req, res, query }: Exchange): Promise<void> {
  const stream = createEventStream(req, res, { retry: 200 })
  if (stream.lastEventId !== '') stream.send({ data: stream.lastEventId })
  // An id with a NUL, which clients have to ignore, is one that `send` refuses.
  else stream.send(raw(`id: ${query.get('idvalue') ?? '\xE2\x80\xA6'}\ndata: hello\n\n`))
  await stream.close()
}

/** Ids that last, and the two ways of taking one back. */
const idScripts: Record<string, string> = {
  1: 'id: 1\ndata: 1\n\ndata: 2\n\nid: 2\ndata:3\n\ndata:4\n\n',
  2: 'id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n',
  3: 'id: 1\ndata: 1\n\nid\ndata:2\n\ndata:3\n\n',
}

/** The first request gets the status asked for and a cookie, the next one the event. */
async function statusReconnect(exchange: Exchange): Promise<void> {
  const { query, cookies, res } = exchange
  const status = query.get('status') ?? '204'
  const cookie = `request${query.get('id') ?? status}`
  if (cookies.get(cookie) === status) {
    res.appendHeader('set-cookie', `${cookie}=; Max-Age=0; Path=/`)
    await answer(exchange, 'data: data\n\n')
    return
  }
  res.appendHeader('set-cookie', `${cookie}=${status}; Path=/`)
  const body = `retry: 2\n${query.has('ok_first') ? 'data: ok\n\n' : ''}`
  if (status === '200') await answer(exchange, body)
  else refuse(exchange, Number(status), body)
}

/** Three connections: an event, an event, and a status that ends it. */
async function reconnectFail(exchange: Exchange): Promise<void> {
  const { query, cookies, res } = exchange
  const cookie = `recon_fail_${query.get('id')}`
  const state = cookies.get(cookie)
  const next = state === undefined ? 'opened' : 'reconnected'
  res.appendHeader(
    'set-cookie',
    state === 'reconnected' ? `${cookie}=; Max-Age=0; Path=/` : `${cookie}=${next}; Path=/`,
  )
  if (state === 'reconnected') refuse(exchange, 204, '')
  else await answer(exchange, `retry: 2\ndata: ${next}\n\n`)
}

/** Says whether the client's cookie came, on a connection and on the one after it. */
async function corsCookie(exchange: Exchange): Promise<void> {
  const { req, res, query, cookies } = exchange
  const name = query.get('ident') ?? 'test'
  const came = cookies.has(name) ? 'COOKIE' : 'NO_COOKIE'
  allowOrigin(exchange, { unless: 'none' })
  const id = req.headers['last-event-id']
  if (id === undefined) {
    res.appendHeader('set-cookie', `${name}=COOKIE; Path=/`)
    await answer(exchange, `id: 1\nretry: 200\ndata: first ${came}\n\n`)
  } else if (id === '1') {
    res.appendHeader('set-cookie', `${name}=COOKIE; Max-Age=0; Path=/`)
    await answer(exchange, `id: 2\ndata: second ${came}\n\n`)
  } else {
    await answer(exchange, `data: ${id}${came}\n\n`, { headers: { 'content-type': 'stop' } })
  }
}

function allowOrigin({ req, res, query }: Exchange, { unless }: { unless?: string } = {}): void {
  const origin = query.get('origin') ?? req.headers.origin ?? ''
  const credentials = query.get('credentials') ?? 'true'
  if (origin !== unless) res.setHeader('access-control-allow-origin', origin)
  if (credentials !== unless) res.setHeader('access-control-allow-credentials', credentials)
}

function redirect({ res, query }: Exchange): void {
  const status = Number(query.get('status') ?? 302)
  res.writeHead(status, { location: query.get('location') ?? '' }).end()
}

/** Another handler's answer, to a page of another origin. */
async function cors(exchange: Exchange): Promise<void> {
  const handlers: Record<string, Handler> = {
    message,
    'status-reconnect': statusReconnect,
    redirect,
    'cache-control': echo('cache-control'),
  }
  allowOrigin(exchange)
  const run = handlers[exchange.query.get('run') ?? '']
  if (run === undefined) refuse(exchange, 404, '')
  else await run(exchange)
}

/** A header of the request. */
const echo =
  (header: string): Handler =>
  (exchange) =>
    answer(exchange, `data: ${exchange.req.headers[header] ?? ''}\n\n`)

export const handlers: Readonly<Record<string, Handler>> = {
  '/common/redirect.py': redirect,
  '/eventsource/resources/accept.event_stream': echo('accept'),
  '/eventsource/resources/cache-control.event_stream': echo('cache-control'),
  '/eventsource/resources/cors.py': cors,
  '/eventsource/resources/cors-cookie.py': corsCookie,
  '/eventsource/resources/last-event-id.py': lastEventId,
  '/eventsource/resources/last-event-id2.py': (exchange) =>
    answer(exchange, idScripts[exchange.query.get('type') ?? '1'] ?? ''),
  '/eventsource/resources/message.py': message,
  '/eventsource/resources/message2.py': fieldParsing,
  '/eventsource/resources/reconnect-fail.py': reconnectFail,
  '/eventsource/resources/status-error.py': (exchange) =>
    refuse(exchange, Number(exchange.query.get('status') ?? 404), 'data: data\n\n'),
  '/eventsource/resources/status-reconnect.py': statusReconnect,
}

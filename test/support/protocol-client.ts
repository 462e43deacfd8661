// One client for three protocols, which reads, stops reading, and goes away.
import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Readable } from 'node:stream'
import type { Protocol } from './framework-servers.js'

export interface ProtocolClient {
  readonly status: number
  readonly headers: Record<string, unknown>
  /** All that it has read. */
  text(): string
  pause(): void
  resume(): void
  /** Reads so many bytes or a little more, and pauses. */
  readSome(bytes: number): void
  /** Goes as a browser does when an EventSource is closed. */
  leave(): void
  /** Settles at the end: whether it was a proper one. */
  readonly end: Promise<'end' | 'cut'>
}

export async function connect(
  protocol: Protocol,
  port: number,
  headers: Record<string, string> = {},
  path = '/',
): Promise<ProtocolClient> {
  return protocol === 'http2'
    ? connectHttp2(port, headers, path)
    : connectHttp1(protocol, port, headers, path)
}

async function connectHttp1(
  protocol: 'http' | 'https',
  port: number,
  headers: Record<string, string>,
  path: string,
): Promise<ProtocolClient> {
  const target = { port, path, host: '127.0.0.1', headers, agent: false as const }
  const request =
    protocol === 'http'
      ? http.get(target)
      : https.get({ ...target, rejectUnauthorized: false, servername: 'localhost' })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  request.on('error', () => {})
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    ...reader(response),
    leave: () => void response.destroy(),
  }
}

async function connectHttp2(
  port: number,
  headers: Record<string, string>,
  path: string,
): Promise<ProtocolClient> {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  const request = session.request({ ':path': path, ...headers })
  request.on('error', () => {})
  request.on('close', () => session.close())
  const [head] = (await once(request, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  return {
    status: head[':status'],
    headers: head,
    ...reader(request),
    leave: () => request.close(http2.constants.NGHTTP2_CANCEL),
  }
}

function reader(
  stream: Readable,
): Pick<ProtocolClient, 'text' | 'pause' | 'resume' | 'readSome' | 'end'> {
  const chunks: Buffer[] = []
  let ended = false
  stream.on('data', (chunk) => chunks.push(chunk))
  stream.on('error', () => {})
  stream.on('end', () => {
    // An HTTP/2 stream that was reset ends too.
    ended = ((stream as { rstCode?: number }).rstCode ?? 0) === 0
  })
  return {
    text: () => Buffer.concat(chunks).toString(),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    readSome(bytes) {
      let read = 0
      const count = (chunk: Buffer): void => {
        read += chunk.length
        if (read < bytes) return
        stream.off('data', count)
        stream.pause()
      }
      stream.on('data', count)
      stream.resume()
    },
    end: new Promise((resolve) => stream.on('close', () => resolve(ended ? 'end' : 'cut'))),
  }
}

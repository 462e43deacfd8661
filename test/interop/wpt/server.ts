// WPT's server, as far as `eventsource/` needs it: our handlers, a checkout's files, made-up pages; two ports, one with TLS.
import { existsSync, readFileSync } from 'node:fs'
import http, { type RequestListener } from 'node:http'
import https from 'node:https'
import { extname, join } from 'node:path'
import { listenOn } from '../../support/ports.js'
import { handlers, parseQuery } from './handlers.js'
import { madeUp } from './pages.js'

/** The name by which pages know the server; the browser is told that it, and all below it, is this machine. */
export const HOST = 'web-platform.test'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.htm': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
}

/** Hands a page's results to whoever waits: browsers' own copies of this file do the same. */
const REPORT = `add_completion_callback((tests, { status, message }) => {
  globalThis.wptResult = {
    status, message, tests: tests.map(({ name, status, message }) => ({ name, status, message })),
  }
})`

const parseCookies = (header = ''): Map<string, string> =>
  new Map(
    header.split('; ').map((pair) => {
      const at = pair.indexOf('=')
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )

const listener = (checkout: string): RequestListener => {
  return (req, res) => {
    const [path = '/', query = ''] = (req.url ?? '/').split('?', 2)
    const handler = handlers[path]
    if (handler !== undefined) {
      const exchange = {
        req,
        res,
        query: parseQuery((req.url ?? '').slice(path.length + 1)),
        cookies: parseCookies(req.headers.cookie),
      }
      void Promise.resolve(handler(exchange)).catch((error) => {
        console.error(`${path}?${query}:`, error)
        res.destroy()
      })
      return
    }
    const text = path === '/resources/testharnessreport.js' ? REPORT : fileOf(checkout, path)
    const type = TYPES[extname(path)] ?? 'application/octet-stream'
    if (text === undefined) res.writeHead(404).end()
    else res.writeHead(200, { 'content-type': type }).end(text)
  }
}

function fileOf(checkout: string, path: string): string | Buffer | undefined {
  const file = join(checkout, join('/', path))
  return existsSync(file) ? readFileSync(file) : madeUp(checkout, path)
}

/** Serves a checkout on two ports. */
export async function wptServer(
  checkout: string,
): Promise<{ http: number; https: number; close(): void }> {
  const pem = (name: string): Buffer =>
    readFileSync(new URL(`../../support/tls/${name}.pem`, import.meta.url))
  const onRequest = listener(checkout)
  const servers = [
    http.createServer(onRequest),
    https.createServer({ key: pem('key'), cert: pem('cert') }, onRequest),
  ] as const
  const [plain = 0, secure = 0] = await Promise.all(servers.map((each) => listenOn(each)))
  return {
    http: plain,
    https: secure,
    close() {
      for (const server of servers) server.close().closeAllConnections()
    },
  }
}

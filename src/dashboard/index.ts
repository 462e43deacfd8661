/**
 * A web page that shows every live event stream of the process: verdict, round-trip time, bytes waiting and where, and why
 * those ended that are gone.
 *
 * @packageDocumentation
 */
import type { NodeRequest, NodeResponse } from '../adapters/node.js'
import { TcpSseError } from '../internal/errors.js'
import type { EventStream } from '../stream/event-stream.js'
import { type DashboardOptions, dashboardSettings } from './options.js'
import { isPage, sendPage, sendText } from './page.js'
import { Registry } from './registry.js'
import { shortened } from './text.js'
import { Watchers } from './watchers.js'

export type { DashboardOptions } from './options.js'

/** A dashboard, mounted by being called with requests. */
export interface DashboardHandler {
  /** For `app.use('/_sse', …)`, or with the requests below a path of a Node server. */
  (req: NodeRequest, res: NodeResponse, next?: (error?: unknown) => void): void
  /** Forgets everything, and ends the streams of those who watch. */
  close(): void
}

/**
 * Makes a dashboard. It knows the streams that are opened after it was made, of the whole process and of whichever
 * adapter. It asks the kernel about them only while somebody has the page open, and then about `maxRows` each `interval`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
 * @example
 * app.use('/_sse', dashboard({ authorize: (req) => req.headers['x-admin'] === secret }))
 */
export function dashboard(options: DashboardOptions = {}): DashboardHandler {
  const settings = dashboardSettings(options)
  const describe = (stream: EventStream): string => described(settings.describe, stream)
  const registry = new Registry(settings.maxEnded, describe)
  const { interval, maxRows, actions } = settings
  const names = Object.keys(actions)
  const watchers = new Watchers(registry, { interval, maxRows, describe, actions: names })

  async function handle(req: NodeRequest, res: NodeResponse, next?: Next): Promise<void> {
    if (settings.authorize !== undefined && (await settings.authorize(req)) !== true) {
      sendText(res, 403, 'Forbidden')
      return
    }
    const { name, query, folder } = place(req)
    if (name === 'action' && folder === undefined && req.method === 'POST')
      await act(req, res, query)
    else if (req.method !== 'GET' && (req.method !== 'HEAD' || name === 'events')) {
      sendText(res, 405, 'Method not allowed', { allow: 'GET' })
    } else if (folder !== undefined) {
      // What the page asks for stands beside it, so it must end in a slash. First: a mount may be called `events`.
      sendText(res, 308, 'Moved', { location: folder })
    } else if (name === 'events') {
      if (watchers.closed) sendText(res, 503, 'The dashboard is closed')
      else if (watchers.size < settings.maxWatchers) watchers.add(req, res)
      else sendText(res, 503, 'Too many people watch', { 'retry-after': '30' })
    } else if (isPage(name)) sendPage(res, name)
    else if (next === undefined) sendText(res, 404, 'Not found')
    else next()
  }

  async function act(req: NodeRequest, res: NodeResponse, query: URLSearchParams): Promise<void> {
    // A form or a link of another site cannot send it, and its scripts would have to ask first, which nobody grants.
    if (req.headers['x-tcp-sse'] !== 'dashboard') return sendText(res, 403, 'Forbidden')
    const action = query.get('action') ?? ''
    const stream = registry.find(Number(query.get('id')))
    if (!Object.hasOwn(actions, action)) return sendText(res, 404, 'No such action')
    if (stream === undefined) return sendText(res, 404, 'No such connection')
    await actions[action]?.(stream)
    sendText(res, 200, 'Done')
  }

  const handler = (req: NodeRequest, res: NodeResponse, next?: Next): void => {
    handle(req, res, next).catch((error: unknown) => {
      if (next !== undefined) next(error)
      else if (!res.headersSent) sendText(res, 500, textOf(error))
    })
  }
  return Object.assign(handler, {
    close() {
      watchers.close()
      registry.close()
    },
  })
}

/** Nothing of the application's errors is shown; that the page's files are missing, nobody would learn otherwise. */
function textOf(error: unknown): string {
  const missing = error instanceof TcpSseError && error.code === 'ERR_DASHBOARD_FILES'
  return missing ? error.message : 'Internal server error'
}

type Next = (error?: unknown) => void

interface Place {
  readonly name: string
  readonly query: URLSearchParams
  /** Where the page is, if the request should have ended in a slash. */
  readonly folder: string | undefined
}

/** Where in the dashboard a request wants to go: its path's last part tells, below whatever it is mounted. */
function place(req: NodeRequest): Place {
  const { originalUrl } = req as { originalUrl?: string }
  // Connect and Express take the mount's path off `url`, and make it `/` where nothing is left.
  const { pathname, search, searchParams } = new URL(originalUrl ?? req.url ?? '/', 'http://x')
  const name = pathname.slice(pathname.lastIndexOf('/') + 1)
  const mounted = originalUrl !== undefined && /^\/(\?|$)/.test(req.url ?? '')
  const outside = originalUrl === undefined && !name.includes('.') && !WORDS.has(name)
  const folder = name !== '' && (mounted || outside) ? `./${name}/${search}` : undefined
  return { name, query: searchParams, folder }
}

/** Names without a dot that are no mount. */
const WORDS = new Set(['events', 'action'])

/** What throws for one stream must not hide all others. */
function described(describe: DashboardOptions['describe'], stream: EventStream): string {
  try {
    const name: unknown = describe?.(stream)
    // An async function: against the types, and nobody would hear of its rejection.
    if (name instanceof Promise) name.catch(() => {})
    return shortened(String(name ?? ''))
  } catch (error) {
    // Not everything that can be thrown has a string.
    return shortened(`describe: ${error instanceof Error ? error : 'threw no Error'}`)
  }
}

/**
 * A web page that shows all live event streams of the process: their verdicts, round-trip times and
 * waiting bytes, and why streams have ended.
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

/** A dashboard. To mount it, call it with requests. */
export interface DashboardHandler {
  /**
   * Handles a request. Mount it with `app.use('/_sse', …)`, or call it with the requests below one
   * path of a Node server. If the files of the page are missing, it passes `ERR_DASHBOARD_FILES` to
   * `next`, or answers with 500.
   */
  (req: NodeRequest, res: NodeResponse, next?: (error?: unknown) => void): void
  /** Forgets all data, and ends the streams of the open pages. */
  close(): void
}

/**
 * Makes a dashboard. It shows the streams of the whole process, of all adapters, that are opened
 * after it was made. It samples them only while the page is open somewhere, and then at most
 * `maxRows` streams per `interval`.
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
      // The page's URLs are relative, so its own URL must end in a slash. This check comes first,
      // because a mount may be called `events`.
      sendText(res, 308, 'Moved', { location: folder })
    } else if (name === 'events') {
      if (watchers.closed) sendText(res, 503, 'The dashboard is closed')
      else if (watchers.size < settings.maxWatchers) watchers.add(req, res)
      else sendText(res, 503, 'Too many pages are open', { 'retry-after': '30' })
    } else if (isPage(name)) sendPage(res, name)
    else if (next === undefined) sendText(res, 404, 'Not found')
    else next()
  }

  async function act(req: NodeRequest, res: NodeResponse, query: URLSearchParams): Promise<void> {
    // A form or a link on another site cannot send this header, and its scripts would need a
    // preflight, which is not granted.
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

/**
 * Errors of the application are not shown. Missing page files are, because the developer would not
 * learn of them otherwise.
 */
function textOf(error: unknown): string {
  const missing = error instanceof TcpSseError && error.code === 'ERR_DASHBOARD_FILES'
  return missing ? error.message : 'Internal server error'
}

type Next = (error?: unknown) => void

interface Place {
  readonly name: string
  readonly query: URLSearchParams
  /** The URL to redirect to, if the request should have ended in a slash. */
  readonly folder: string | undefined
}

/**
 * The part of the dashboard that a request is for. The last segment of the path says it, wherever
 * the dashboard is mounted.
 */
function place(req: NodeRequest): Place {
  const { originalUrl } = req as { originalUrl?: string }
  // Connect and Express remove the mount's path from `url`. If nothing is left, they make it `/`.
  const { pathname, search, searchParams } = new URL(originalUrl ?? req.url ?? '/', 'http://x')
  const name = pathname.slice(pathname.lastIndexOf('/') + 1)
  const mounted = originalUrl !== undefined && /^\/(\?|$)/.test(req.url ?? '')
  const outside = originalUrl === undefined && !name.includes('.') && !WORDS.has(name)
  const folder = name !== '' && (mounted || outside) ? `./${name}/${search}` : undefined
  return { name, query: searchParams, folder }
}

/** Names without a dot that are not mounts. */
const WORDS = new Set(['events', 'action'])

/** Calls `describe`. An error for one stream must not hide the other streams. */
function described(describe: DashboardOptions['describe'], stream: EventStream): string {
  try {
    const name: unknown = describe?.(stream)
    // An async function violates the types. Its rejection must not become an unhandled one.
    if (name instanceof Promise) name.catch(() => {})
    return shortened(String(name ?? ''))
  } catch (error) {
    // Not every thrown value can be converted to a string.
    return shortened(`describe: ${error instanceof Error ? error : 'did not throw an Error'}`)
  }
}

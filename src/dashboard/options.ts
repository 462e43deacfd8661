// The options of a dashboard: one row each.
import type { NodeRequest } from '../adapters/node.js'
import { TcpSseError } from '../internal/errors.js'
import {
  type Check,
  type Checks,
  callable,
  checkOptions,
  duration,
  integer,
  wrongType,
} from '../internal/validate.js'
import type { EventStream } from '../stream/event-stream.js'

/** Options of `dashboard`. */
export interface DashboardOptions {
  /**
   * Asked for each request, of the page, its stream and its actions. Anything but `true` is answered with 403. Without it
   * everybody who can reach the path sees the page.
   */
  authorize?(req: NodeRequest): boolean | Promise<boolean>
  /** Names a stream for people, in a few words: asked at each look and at the end. 120 characters are shown. */
  describe?(stream: EventStream): string | undefined
  /**
   * Buttons beside each connection, by what they say. Off by default: with them the page can change things, so think of
   * `authorize`.
   */
  actions?: Readonly<Record<string, (stream: EventStream) => unknown>> | undefined
  /** Milliseconds between looks while somebody watches, 250 and more. @defaultValue 1 000 */
  interval?: number | undefined
  /** Connections that are looked at and shown, 1 to 1 000. Those in trouble come first. @defaultValue 100 */
  maxRows?: number | undefined
  /** Ended connections that are remembered, 1 to 1 000. @defaultValue 50 */
  maxEnded?: number | undefined
  /** People that may watch at a time, 1 to 100; others get 503. @defaultValue 8 */
  maxWatchers?: number | undefined
}

const actions: Check<NonNullable<DashboardOptions['actions']>> = (value, name) => {
  if (typeof value !== 'object' || value === null || Symbol.iterator in value) {
    throw wrongType(name, 'an object of functions', value)
  }
  for (const [each, action] of Object.entries(value)) callable()(action, `${name}.${each}`)
  if (Object.keys(value).length > MOST_ACTIONS) {
    const message = `${name} takes ${MOST_ACTIONS} actions at most.`
    throw new TcpSseError('ERR_OPTION_VALUE', message, { option: name })
  }
  return { ...value } as NonNullable<DashboardOptions['actions']>
}

const MOST_ACTIONS = 10

const checks: Checks<DashboardOptions> = {
  authorize: callable<NonNullable<DashboardOptions['authorize']>>(),
  describe: callable<NonNullable<DashboardOptions['describe']>>(),
  actions,
  interval: duration({ min: 250 }),
  maxRows: integer('rows', { min: 1, max: 1_000 }),
  maxEnded: integer('connections', { min: 1, max: 1_000 }),
  maxWatchers: integer('watchers', { min: 1, max: 100 }),
}

/** Checks options and fills in the defaults. */
export function dashboardSettings(options: DashboardOptions) {
  const given = checkOptions(options, checks, 'DashboardOptions')
  return {
    authorize: given.authorize,
    describe: given.describe,
    actions: given.actions ?? {},
    interval: given.interval ?? 1_000,
    maxRows: given.maxRows ?? 100,
    maxEnded: given.maxEnded ?? 50,
    maxWatchers: given.maxWatchers ?? 8,
  }
}

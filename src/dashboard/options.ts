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
   * Called for each request: for the page, its stream and its actions. Any result other than `true`
   * is answered with 403. Without this function, every client that can reach the path sees the
   * page.
   */
  authorize?(req: NodeRequest): boolean | Promise<boolean>
  /**
   * A short name of a stream, for people. Called for each sample and at the end of the stream. The
   * first 120 characters are shown.
   */
  describe?(stream: EventStream): string | undefined
  /**
   * Up to 10 buttons beside each connection, by label. Off by default. With actions, the page can
   * change things, so set `authorize`, too.
   */
  actions?: Readonly<Record<string, (stream: EventStream) => unknown>> | undefined
  /** Milliseconds between samples while a page is open, 250 or more. @defaultValue 1 000 */
  interval?: number | undefined
  /**
   * The number of connections that are sampled and shown, 1 to 1 000. If there are more, those in
   * trouble are chosen first. The rows are in the order of opening.
   * @defaultValue 100
   */
  maxRows?: number | undefined
  /** The number of ended connections that are kept, 1 to 1 000. @defaultValue 50 */
  maxEnded?: number | undefined
  /**
   * The number of pages that may be open at a time, 1 to 100. Further ones get 503. @defaultValue 8
   */
  maxWatchers?: number | undefined
}

const actions: Check<NonNullable<DashboardOptions['actions']>> = (value, name) => {
  if (typeof value !== 'object' || value === null || Symbol.iterator in value) {
    throw wrongType(name, 'an object of functions', value)
  }
  for (const [each, action] of Object.entries(value)) callable()(action, `${name}.${each}`)
  if (Object.keys(value).length > MOST_ACTIONS) {
    const message = `${name} must not have more than ${MOST_ACTIONS} actions.`
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

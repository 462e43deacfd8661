// One row of the stalled-reader table: a driver in one form, from the first event to the end.
import { type ChildProcessHandle, startProcess } from '../../src/testing/index.js'
import { waitFor } from '../../test/support/wait-for.js'
import type { Form } from '../drivers/driver.js'
import { stallAt } from './reader.js'
import type { Observed } from './server.js'

/** What to push. */
export interface StalledOptions {
  readonly driver: string
  readonly form: Form
  readonly events: number
  readonly eventBytes: number
}

/** The result. Sizes in bytes, times in milliseconds. */
export interface StalledResult extends StalledOptions {
  /** While the client was there and did not read. */
  readonly stalled: Observed
  readonly growth: number
  readonly inReceiveBuffer: number | undefined
  readonly hasHook: boolean
  /** After the client was destroyed. */
  readonly gone: Observed & { within: number }
  readonly laterSend: string
}

/** Time without an event after which the sender counts as blocked. */
const BLOCKED_FOR = 1_000
/** What has not settled this long after the client's end counts as never settling. */
export const SETTLES_WITHIN = 3_000

/** The forms of a driver. A child process reports them, so that this process loads no library. */
export async function formsOf(driver: string): Promise<readonly Form[]> {
  const server = startServer()
  try {
    return (await server.call<{ forms: Form[] }>('serve', driver)).forms
  } finally {
    server.stop()
  }
}

/** Runs one row in a separate process. Takes about five seconds. */
export async function runStalled(options: StalledOptions): Promise<StalledResult> {
  const server = startServer()
  try {
    const { port, path, hook } = await server.call<{ port: number; path: string; hook: boolean }>(
      'serve',
      options.driver,
    )
    const reader = await stallAt('127.0.0.1', port, path)
    await server.call('push', options)
    const stalled = await untilStill(server)
    const growth = await server.call<number>('growth')
    const inReceiveBuffer = reader.inReceiveBuffer()
    await server.call('markGone')
    reader.destroy()
    const gone = await untilSettled(server, hook)
    const laterSend = await server.call<string>('sendLater')
    return { ...options, stalled, growth, inReceiveBuffer, hasHook: hook, gone, laterSend }
  } finally {
    server.stop()
  }
}

function startServer(): ChildProcessHandle {
  return startProcess(new URL('./server.ts', import.meta.url))
}

/** Until the sender has ended or is blocked. */
async function untilStill(server: ChildProcessHandle): Promise<Observed> {
  let events = -1
  let since = performance.now()
  return waitFor(
    'the sender is done or blocked',
    async () => {
      const now = await server.call<Observed>('observe')
      if (now.events !== events) since = performance.now()
      events = now.events
      return (now.ending !== undefined || performance.now() - since > BLOCKED_FOR) && now
    },
    60_000,
  )
}

/** Waits until the sender has ended and the close hook was called, or for the longest time. */
async function untilSettled(
  server: ChildProcessHandle,
  hook: boolean,
): Promise<StalledResult['gone']> {
  const deadline = performance.now() + SETTLES_WITHIN
  return waitFor('the end', async () => {
    const now = await server.call<Observed>('observe')
    const done = now.ending !== undefined && (now.closed !== undefined || !hook)
    const late = performance.now() > deadline
    return (done || late) && { ...now, within: await server.call<number>('sinceGone') }
  })
}

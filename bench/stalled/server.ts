// The server of the stalled-reader trial: one driver and one client, in a separate process.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { inspectSocket } from '../../src/index.js'
import { answer } from '../../src/testing/index.js'
import { waitFor } from '../../test/support/wait-for.js'
import type { Form, Service } from '../drivers/driver.js'
import { loadDriver } from '../drivers/index.js'
import { type Memory, memoryInUse } from '../report/heap.js'
import { Sender } from './sender.js'

/** The state at one moment. Sizes in bytes; unknown values are `undefined`. */
export interface Observed {
  readonly events: number
  readonly signal: Sender['signal']
  readonly taken: Sender['taken'] | undefined
  readonly ending: Sender['ending']
  readonly sourceReturned: boolean | undefined
  readonly acceptedAfterGone: number
  /** The most that was held for the client in user space at any time. */
  readonly heldAtMost: number
  /** The most that waited in the kernel's send queue (SIOCOUTQ). */
  readonly kernelAtMost: number | undefined
  readonly closed: { reason: string | undefined; after: number } | undefined
}

const HOST = '127.0.0.1'

let service: Service<unknown> | undefined
let client: { socket: Socket; res: ServerResponse } | undefined
let handle: unknown
let sender: Sender | undefined
let before: Memory | undefined
let startedAt = 0
let heldAtMost = 0
let kernelAtMost: number | undefined
let closed: Observed['closed']

// An error that a library does not handle is part of the result, and must not end the trial.
process.on('unhandledRejection', () => {})

answer({
  async serve(name: string) {
    service = await (await loadDriver(name)).serve(HOST)
    service.server.on('request', (req, res) => {
      client = { socket: req.socket, res }
    })
    const { port, path, forms } = service
    return { port, path, forms, hook: service.onClose !== undefined }
  },
  /** Starts to push, and returns at once. */
  async push({ form, events, eventBytes }: { form: Form; events: number; eventBytes: number }) {
    const { handles, onClose } = service as Service<unknown>
    handle = await waitFor('a client', () => [...handles][0])
    onClose?.(handle, (reason) => {
      closed ??= { reason, after: performance.now() - startedAt }
    })
    before = await memoryInUse()
    startedAt = performance.now()
    sender = new Sender(service as Service<unknown>, handle, {
      events,
      eventBytes,
      onEvent: sample,
    })
    void sender.run(form)
  },
  observe,
  /** Heap and buffers that the push has added and a collection does not free. */
  async growth() {
    const { heap, external } = await memoryInUse()
    return heap + external - (before?.heap ?? 0) - (before?.external ?? 0)
  },
  /** Restarts the clocks before the client goes. */
  markGone() {
    startedAt = performance.now()
    if (sender !== undefined) sender.gone = true
  },
  sinceGone: () => performance.now() - startedAt,
  sendLater,
  close: () => service?.close(),
})

/** Called after every event, because a closed connection has no information left. */
function sample(): void {
  if (client === undefined) return
  const own = service?.held?.(handle) ?? client.res.writableLength
  heldAtMost = Math.max(heldAtMost, own)
  const { outq } = inspectSocket(client.socket)
  if (outq !== undefined) kernelAtMost = Math.max(kernelAtMost ?? 0, outq)
}

function observe(): Observed {
  sample()
  const { events = 0, signal, taken, ending, sourceReturned, acceptedAfterGone = 0 } = sender ?? {}
  return {
    events,
    signal,
    taken,
    ending,
    sourceReturned,
    acceptedAfterGone,
    heldAtMost,
    kernelAtMost,
    closed,
  }
}

/** The results of sends to a client that has been gone for a while. */
async function sendLater(): Promise<string> {
  try {
    const result = service?.send(handle, 'too late')
    if (!(result instanceof Promise)) return result === undefined ? 'nothing' : `'${result}'`
    const never = new Promise((resolve) => setTimeout(() => resolve(NEVER), 500))
    return (await Promise.race([result, never])) === NEVER ? 'never settles' : 'resolves'
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return `throws ${code ?? message}`
  }
}

const NEVER = Symbol('never')

// The three steps of every event and every sample, each repeated as often as the process can.
import net, { type AddressInfo, type Socket } from 'node:net'
import { type EventInput, encodeEvent, inspectSockets } from '../../src/index.js'
import { systemKernel } from '../../src/liveness/kernel.js'
import { observe } from '../../src/liveness/observe.js'
import { monitorPlan } from '../../src/liveness/plan.js'
import { column, READING_WIDTH } from '../../src/liveness/reading.js'
import { judge } from '../../src/liveness/verdict.js'
import { Table } from '../../src/tcp/record.js'

export interface MicroCase {
  readonly name: string
  /** How many operations one run makes. */
  readonly operations: number
  run(): void
}

const SOCKETS = 100

const events: [string, EventInput][] = [
  ['20 bytes', { id: '1', data: 'x'.repeat(20) }],
  ['1 KB of JSON', { event: 'row', id: 7, data: { text: 'x'.repeat(1_000), n: 1 } }],
  ['100 lines', { data: 'x'.repeat(79).concat('\n').repeat(100) }],
]

/** Needs connected sockets. */
export function microCases(sockets: readonly Socket[]): MicroCase[] {
  const plan = monitorPlan()
  const table = new Table(READING_WIDTH)
  const starts = sockets.map(() => table.allocate())
  systemKernel.sample(sockets, table, starts)
  const cases: MicroCase[] = events.map(([name, event]) => ({
    name: `encodeEvent, ${name}`,
    operations: 1,
    run: () => void encodeEvent(event),
  }))
  cases.push({
    name: `inspectSockets, ${SOCKETS} at once`,
    operations: SOCKETS,
    run: () => void inspectSockets(sockets),
  })
  cases.push({
    name: `the monitor's look, ${SOCKETS} at once`,
    operations: SOCKETS,
    run: () => void systemKernel.sample(sockets, table, starts),
  })
  const [previous = 0, current = 0] = starts
  if (table.get(previous, column.errno) !== 0) return cases
  observe(table, undefined, previous, plan, 0)
  observe(table, previous, current, plan, 500)
  cases.push({
    name: 'judge',
    operations: 1,
    run: () => void judge(table, previous, current, plan, 500),
  })
  return cases
}

/** Connections over loopback: the server's ends, and a function that closes them. */
export async function connectedSockets(): Promise<{ sockets: Socket[]; close(): void }> {
  const sockets: Socket[] = []
  const server = net.createServer((socket) => void sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const clients = Array.from({ length: SOCKETS }, () => net.connect(port, '127.0.0.1'))
  while (sockets.length < SOCKETS) await new Promise((resolve) => setTimeout(resolve, 10))
  return {
    sockets,
    close() {
      for (const each of [...sockets, ...clients]) each.destroy()
      server.close()
    },
  }
}

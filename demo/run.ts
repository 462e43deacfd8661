// Replays the incident: `npm run demo [-- --clients 4000] [--seconds short|N]`.
//
// Two servers get the same clients and send the same events. Then half of the clients vanish
// without FIN or RST.
import { parseArgs } from 'node:util'
import { capabilities } from '../src/index.js'
import { type ChildProcessHandle, Rig, rigMissing, startProcess } from '../src/testing/index.js'

interface Stats {
  open: number
  user: number
  kernel: number
  cpu: number
  reasons: Record<string, number>
}

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '30' },
  },
})
const short = values.seconds === 'short'
const count = wholeNumber('clients', values.clients, 2, 4_000)
const seconds = short ? 7 : wholeNumber('seconds', values.seconds, 7, 600)
const detectWithin = short ? 4_000 : 10_000
const before = short ? 2 : 4
const half = Array.from({ length: Math.floor(count / 2) }, (_, index) => index)

const missing = rigMissing()
const rig = missing === undefined ? new Rig() : undefined
const children: ChildProcessHandle[] = []

try {
  await demo()
} finally {
  for (const child of children) child.stop()
  rig?.close()
}

async function demo(): Promise<void> {
  const { addon, reason } = capabilities()
  if (!addon)
    console.log(
      `No native addon: ${reason} Detection is not guaranteed, and the table will show that.`,
    )
  if (rig === undefined) {
    console.log(`Network namespaces are not available (${missing}).`)
    console.log('Instead of vanishing, half the clients stop reading, on loopback.')
  }
  const plain = await start(false)
  const ours = await start(true)
  console.log(
    `${count} clients on each server, 10 events of 1 KB a second each; detectWithin = ${detectWithin / 1000} s\n`,
  )
  console.log('          |        plain node:http                 |        tcp-sse')
  console.log(
    '  seconds |  open  in Node MB  in kernel MB  CPU % |  open  in Node MB  in kernel MB  CPU %',
  )
  let freedAfter: number | undefined
  let latest: [Stats, Stats] | undefined
  for (let second = -before; second <= seconds; second++) {
    if (second === 0) await vanish()
    const pair: [Stats, Stats] = await Promise.all([
      plain.call<Stats>('stats'),
      ours.call<Stats>('stats'),
    ])
    latest = pair
    if (second > 0 && pair[1].open <= count - half.length) freedAfter ??= second
    const cells = pair.map((each) => row(each)).join(' | ')
    const note = second === 0 ? `  <- ${half.length} clients of each vanish` : ''
    console.log(`${String(second).padStart(9)} | ${cells}${note}`)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
  report(latest as [Stats, Stats], freedAfter)
}

async function start(library: boolean): Promise<ChildProcessHandle> {
  const module = (name: string): URL => new URL(name, import.meta.url)
  const server = rig?.spawnServer(module('./server.ts')) ?? startProcess(module('./server.ts'))
  const path = '../src/testing/clients.ts'
  const clients = rig?.spawnClients(module(path)) ?? startProcess(module(path))
  children.push(server, clients)
  const port = await server.call<number>('listen', { library, detectWithin })
  const host = rig?.serverAddress ?? '127.0.0.1'
  // Each server's clients have their own addresses. The first half of each will vanish.
  const offset = library ? 4_000 : 0
  const addresses = Array.from(
    { length: count },
    (_, index) => rig?.clientAddress(offset + index) ?? '127.0.0.1',
  )
  for (let from = 0; from < count; from += 250) {
    await clients.call('open', { addresses: addresses.slice(from, from + 250), host, port })
  }
  return server
}

async function vanish(): Promise<void> {
  if (rig !== undefined) {
    rig.cut([...half, ...half.map((index) => index + 4_000)])
    return
  }
  for (const clients of [children[1], children[3]]) {
    await Promise.all(half.map((index) => clients?.call('read', index, 'never')))
  }
}

function row({ open, user, kernel, cpu }: Stats): string {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(2)
  return `${String(open).padStart(5)} ${megabytes(user).padStart(11)} ${megabytes(kernel).padStart(13)} ${cpu.toFixed(1).padStart(6)}`
}

function report([plain, ours]: [Stats, Stats], freedAfter: number | undefined): void {
  const left = count - half.length
  console.log(
    `\nplain node:http: ${plain.open - left} vanished clients still have a socket after ${seconds} s.`,
  )
  console.log(
    freedAfter === undefined
      ? `tcp-sse: ${ours.open - left} vanished clients still have a socket after ${seconds} s.`
      : `tcp-sse: all ${half.length} sockets were back ${freedAfter} s after the clients vanished: ${JSON.stringify(ours.reasons)}`,
  )
  if (rig !== undefined && capabilities().detectionGuaranteed && ours.open !== left)
    process.exitCode = 1
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new Error(`--${name} must be an integer from ${min} to ${max}, not '${text}'`)
  }
  return value
}

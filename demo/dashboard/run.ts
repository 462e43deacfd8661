// `npm run dashboard [-- --port 8080] [--clients 8] [--show]`: a server with its own clients, and a
// page on which to make them vanish, stall, read slowly, lose packets or half-close, and to see
// which verdicts they get. `--show` starts with one of each.
import { mkdtempSync, rmSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { capabilities } from 'tcp-sse'
import {
  connectClient,
  createRig,
  type LoopbackClient,
  type RigClient,
  rigMissing,
  startProcess,
} from 'tcp-sse/testing'
import type { Action, News, Setting } from './server.js'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8080' },
    clients: { type: 'string', default: '8' },
    show: { type: 'boolean', default: false },
  },
})

/** How long a client stays away after its stream was closed. */
const BACK_AFTER = 12_000
/** A body that is larger than what Node reads ahead. */
const UPLOAD = 100_000
const SLOWLY = { bytes: 2_048, everyMs: 1_000 }

const count = Number(values.clients)
if (!Number.isInteger(count) || count < 1 || count > 100)
  throw new Error('--clients must be an integer from 1 to 100')

const missing = rigMissing()
// Windows that fill within seconds, and are wide enough to lose packets on a lossy path.
const rig = missing === undefined ? createRig({ tcpRmem: '4096 131072 131072' }) : undefined
const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-dashboard-'))
const path = join(folder, 'page.sock')
const module = new URL('./server.ts', import.meta.url)
const server = rig?.spawnServer(module) ?? startProcess(module)
const clients = new Map<number, RigClient | LoopbackClient>()
const cut = new Set<number>()
const narrow = new Set<number>()

const setting: Setting = {
  detectWithin: 6_000,
  stallTimeout: 20_000,
  // Loopback's windows are megabytes wide.
  bytes: rig === undefined ? 64_000 : 2_000,
  everyMs: 100,
  path,
}
const port = await server.call<number>('listen', setting)
const page = net.createServer((socket) => {
  const inner = net.connect(path)
  for (const each of [socket, inner]) each.on('error', () => {})
  socket.pipe(inner).pipe(socket)
  socket.on('close', () => inner.destroy())
  inner.on('close', () => socket.destroy())
})
await new Promise<void>((resolve) => page.listen(Number(values.port), '127.0.0.1', resolve))
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(0))
process.on('exit', () => {
  rmSync(folder, { recursive: true, force: true })
  server.stop()
  rig?.close()
})

if (rig === undefined) {
  console.log(
    `Network namespaces are not available (${missing}). Clients that should vanish only stop reading,`,
  )
  console.log('and no packets are lost.')
}
const { addon, reason } = capabilities()
if (!addon) console.log(`No native addon: ${reason} Verdicts stay 'alive'.`)
for (let client = 1; client <= count; client++) await connect(client)
console.log(
  `${count} clients. Dashboard: http://127.0.0.1:${(page.address() as AddressInfo).port}/`,
)
if (values.show) {
  const scene: Action[] = ['lose packets', 'read slowly', 'vanish', 'stall']
  for (const [index, action] of scene.entries()) await perform(index + 2, action)
  await perform(count, 'half-close')
}
for (;;) {
  const { client, action } = await server.call<News>('news')
  if (action !== 'ended') await perform(client, action)
  else setTimeout(() => void comeBack(client), BACK_AFTER)
}

/** If there are many clients, the last two upload a body, which hides their FIN from Node. */
async function connect(client: number): Promise<void> {
  const options = {
    path: `/?client=${client}`,
    body: client > 4 && client > count - 2 ? UPLOAD : undefined,
  }
  const connected =
    rig === undefined
      ? await connectClient(`http://127.0.0.1:${port}/`, options)
      : await rig.connect({ port }, options)
  clients.set(client, connected)
}

async function comeBack(client: number): Promise<void> {
  await resume(client)
  await clients.get(client)?.close()
  await connect(client)
}

async function perform(number: number, action: Action): Promise<void> {
  const client = clients.get(number)
  if (client === undefined) return
  if (action === 'resume') await resume(number)
  else if (action === 'stall') await client.stall()
  else if (action === 'read slowly') await client.read(SLOWLY)
  else if (action === 'half-close') await client.halfClose()
  else if (!('number' in client)) await client.stall()
  else if (action === 'vanish' && !cut.has(number)) {
    client.vanish()
    cut.add(number)
  } else if (action === 'lose packets' && !narrow.has(number)) {
    rig?.narrow([client.number], { rate: 100_000, queue: 4_000 })
    narrow.add(number)
  }
}

async function resume(number: number): Promise<void> {
  const client = clients.get(number)
  if (client === undefined) return
  if ('number' in client) {
    if (cut.delete(number)) client.comeBack()
    if (narrow.delete(number)) rig?.widen([client.number])
  }
  await client.read('all')
}

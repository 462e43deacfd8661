/**
 * The client program of the rig: any number of event-stream clients in one process, each with an
 * address of its own, driven over IPC. `rig.spawnClients()` starts it among the rig's clients,
 * `spawnLocal(clientsModule())` on this machine's loopback.
 */
import { addressAt } from './addresses.js'
import { Client } from './client/client.js'
import type { ClientMethods, OpenOptions, WaitCondition } from './client/types.js'
import { serveRpc } from './rpc.js'
import { until } from './until.js'

const clients = new Map<number, Client>()

const methods: ClientMethods = {
  async open(options) {
    const first = options.firstIndex ?? Math.max(-1, ...clients.keys()) + 1
    const ids = Array.from({ length: options.count ?? 1 }, (_, index) => first + index)
    const taken = ids.find((id) => clients.has(id))
    if (taken !== undefined) throw new RangeError(`there already is a client ${taken}`)
    const waiting = [...ids]
    const openNext = async () => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        const client = openClient(id, options)
        clients.set(id, client)
        await client.settled
      }
    }
    await Promise.all(Array.from({ length: options.concurrency ?? 100 }, openNext))
    return ids
  },

  async waitFor(condition) {
    const { timeoutMs = 10_000 } = condition
    let lagging = pick(condition.ids)
    const met = () => {
      lagging = lagging.filter((client) => !client.meets(condition))
      return lagging.length === 0
    }
    try {
      await until(met, { timeoutMs, everyMs: 5 })
    } catch {
      throw new Error(describeLaggards(lagging, condition, timeoutMs))
    }
    return Date.now()
  },

  status: (ids) => pick(ids).map((client) => client.status()),

  setRead(ids, mode) {
    for (const { connection } of pick(ids)) connection.setRead(mode)
  },

  halfClose(ids) {
    for (const { connection } of pick(ids)) connection.halfClose()
  },

  reset(ids) {
    for (const { connection } of pick(ids)) connection.reset()
  },

  close(ids) {
    for (const { connection } of pick(ids)) connection.close()
  },

  stop() {
    methods.close()
    clients.clear()
  },
}

function openClient(id: number, options: OpenOptions): Client {
  const { host, port, path = '/', method = 'GET', headers = {}, bodyBytes = 0 } = options
  const base = options.localAddressBase ?? defaultBase(host)
  return new Client({
    id,
    request: {
      host,
      port,
      localAddress: base === false ? undefined : addressAt(base, id),
      tls: options.tls ?? false,
      method,
      path,
      headers,
      bodyBytes,
      sendBodyBytes: options.sendBodyBytes ?? bodyBytes,
    },
    http2: options.http2 ?? false,
    read: options.read ?? 'all',
    keepIds: options.keepIds ?? 100,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
  })
}

function defaultBase(host: string): string | false {
  const fromRig = host.includes(':') ? process.env.RIG_CLIENT_BASE6 : process.env.RIG_CLIENT_BASE
  if (fromRig !== undefined) return fromRig
  return host.startsWith('127.') && process.platform === 'linux' ? '127.1.0.0' : false
}

function pick(ids: readonly number[] | undefined): Client[] {
  if (ids === undefined) return [...clients.values()]
  return ids.map((id) => {
    const client = clients.get(id)
    if (client === undefined) throw new RangeError(`there is no client ${id}`)
    return client
  })
}

function describeLaggards(
  lagging: readonly Client[],
  { ids: _, timeoutMs: __, ...wanted }: WaitCondition,
  timeoutMs: number,
): string {
  const seen = lagging.slice(0, 3).map((client) => {
    const { id, bytes, events, comments, endedBy, error } = client.status()
    return JSON.stringify({ id, bytes, events, comments, endedBy, error })
  })
  const more = lagging.length > 3 ? ` and ${lagging.length - 3} more` : ''
  return (
    `timed out after ${timeoutMs} ms: ${lagging.length} clients did not reach ` +
    `${JSON.stringify(wanted)}: ${seen.join(', ')}${more}`
  )
}

serveRpc({ ...methods })

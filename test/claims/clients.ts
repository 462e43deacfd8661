// The clients of the claims, in a process of their own.
import { answer } from '../../src/testing/index.js'
import { Reader } from '../../src/testing/reader.js'
import { requestFor } from '../../src/testing/request.js'
import type { Habit } from './claim.js'

/** Some clients of one claim. */
export interface Opening {
  readonly claim: number
  readonly host: string
  readonly port: number
  readonly addresses: readonly string[]
  readonly habit: Exclude<Habit, 'shrunk'>
  readonly body?: number | undefined
  /** Milliseconds from the first to the last: else all of them would be asked at the same time, ever after. */
  readonly spread: number
}

/** What a client has seen, by its address. */
export interface Seen {
  readonly address: string
  readonly events: number
  readonly bytes: number
}

/** For so long an alternating client reads, and for so long it does not. */
const ALTERNATE = 3_000

interface Client {
  readonly address: string
  readonly reader: Reader
  timer?: NodeJS.Timeout
}

const claims = new Map<number, Client[]>()

answer({
  async open(opening: Opening): Promise<void> {
    const { claim, addresses, spread } = opening
    const opened = addresses.map(async (address, index) => {
      const wait = (index * spread) / addresses.length
      await new Promise((resolve) => setTimeout(resolve, wait))
      return await open(address, opening)
    })
    claims.set(claim, await Promise.all(opened))
  },
  /** Reads and counts what is left in the clients' kernels. */
  readOut(claim: number): void {
    for (const { reader, timer } of claims.get(claim) ?? []) {
      clearInterval(timer)
      if (!reader.ended) reader.read('all')
    }
  },
  seen: (claim: number): Seen[] =>
    (claims.get(claim) ?? []).map(({ address, reader: { ids, bytes } }) => {
      return { address, events: ids.length, bytes }
    }),
})

async function open(localAddress: string, opening: Opening): Promise<Client> {
  const { claim, host, port, habit, body } = opening
  const reading = habit === 'alternating' ? 'all' : habit
  const reader = new Reader({ host, port, localAddress }, reading)
  await reader.connected()
  reader.socket.write(requestFor(`/${claim}`, {}, body))
  if (body !== undefined) reader.socket.write(Buffer.alloc(body))
  const client: Client = { address: localAddress, reader }
  if (habit === 'alternating') alternate(client)
  return client
}

function alternate(client: Client): void {
  let reads = true
  client.timer = setInterval(() => {
    reads = !reads
    if (client.reader.ended) clearInterval(client.timer)
    else client.reader.read(reads ? 'all' : 'never')
  }, ALTERNATE)
}

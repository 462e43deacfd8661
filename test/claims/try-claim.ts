// Tries one claim: its clients connect, live, and vanish or not. At the end, the outcome of each is checked.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Fault } from '../../src/testing/index.js'
import { cProgram } from '../support/c-program.js'
import { addPath } from '../support/paths.js'
import { longestRoundTrip } from '../support/shape.js'
import { waitFor } from '../support/wait-for.js'
import { boundOf, type Claim, planOf } from './claim.js'
import type { Opening, Seen } from './clients.js'
import type { House } from './house.js'
import type { PortClose } from './port-guards.js'
import type { Sight } from './result.js'
import { noteEvidence, type Served } from './served.js'
import type { Serving } from './server.js'

const COME_WITHIN = 120_000
const SHUT_WITHIN = 60_000
/** A cut that lasts a little shorter than what is tolerated: setting and healing it take time as well. */
const OUTAGE_MARGIN = 150
/** How much longer than its bound a vanished client is waited for, so that a late close has a time. */
const OVERTIME = 12_000
/** Between two looks at what has been closed: when, the server has noted. */
const POLL = 1_000
/** Of a shrunk client's receive buffer, in bytes: the kernel takes twice as much, and no less. */
const SHRUNK = 4_096

const delay = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

/** This machine was too late for what a claim is about: nothing has been tried. */
export class MissedMoment extends Error {}

/** Tries a claim in a house. */
export async function tryClaim(claim: Claim, house: House): Promise<Sight> {
  const { claim: id, indexes } = house.enter(claim.count)
  const addresses = indexes.map((index) => house.rig.clientAddress(index))
  const trial = new Trial(claim, house, id, indexes, addresses)
  try {
    return await trial.run()
  } finally {
    trial.close()
  }
}

interface Queue {
  readonly unsent: number
  readonly unacked: number
}

function keepAliveIdle(claim: Claim): number {
  const { keepAlive } = planOf(claim)
  return keepAlive === false ? 0 : keepAlive.idle
}

class Trial {
  #program: ChildProcess | undefined

  constructor(
    readonly claim: Claim,
    readonly house: House,
    readonly id: number,
    readonly indexes: readonly number[],
    readonly addresses: readonly string[],
  ) {}

  async run(): Promise<Sight> {
    const { claim, house, id } = this
    if (Object.keys(claim.shape).length > 0) {
      await addPath(house.rig, this.indexes, claim.shape)
    }
    await this.#open()
    const { traffic, burst, first } = claim
    if (first !== undefined) await house.server.call('send', id, first)
    if (traffic !== undefined) await house.server.call('produce', id, traffic)
    if (claim.shut) await this.#shut()
    await delay(claim.hold - (burst === undefined ? 0 : 1_000))
    if (burst !== undefined) {
      await house.server.call('send', id, burst)
      await delay(1_000)
    }
    const { gone, since } = await this.#end()
    const served = await this.#served()
    const watchedUntil = Date.now()
    const overReports = await this.#overReports(
      served.filter(({ address }) => gone.includes(address)),
    )
    await house.server.call('stop', id)
    return { served, gone: new Set(gone), since, overReports, watchedUntil }
  }

  close(): void {
    this.#program?.kill()
  }

  async #open(): Promise<void> {
    const { claim, house, id, addresses } = this
    const { by, detectWithin, heartbeat = false, habit, body } = claim
    const serving: Serving = { claim: id, by, detectWithin, heartbeat }
    const port = await house.server.call<number>('serve', serving)
    if (by === 'port') await house.guards.call('guard', port, detectWithin)
    const host = house.rig.serverAddress
    if (habit === 'shrunk') await this.#openShrunk(host, port)
    else {
      const spread = keepAliveIdle(claim)
      const opening: Opening = { claim: id, host, port, addresses, habit, body, spread }
      await house.clients.call('open', opening)
    }
    const all = async () => (await this.#served()).length === claim.count
    await waitFor('every client', all, COME_WITHIN)
  }

  async #openShrunk(host: string, port: number): Promise<void> {
    const { house, id, addresses } = this
    const prefix = house.rig.extend(({ clients }) => ({
      prefix: clients.prefix,
      close() {},
    })).prefix
    const args = [host, String(port), `/${id}`, String(SHRUNK), ...addresses]
    const command = [...prefix, cProgram('shrunk-clients'), ...args]
    const child = spawn(command[0] as string, command.slice(1), {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#program = child
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve())
      child.once('close', () => reject(new Error('shrunk-clients ended')))
    })
  }

  /** Until bytes wait at every server's socket, and none is in flight. */
  #shut(): Promise<unknown> {
    const { house, id } = this
    return waitFor(
      'shut windows',
      async () => {
        const queues = await house.server.call<Queue[]>('queues', id)
        return queues.every(({ unsent, unacked }) => unsent > 0 && unacked === 0)
      },
      SHUT_WITHIN,
    )
  }

  /** Brings the end about, and waits until it is over. */
  async #end(): Promise<{ gone: readonly string[]; since: number }> {
    const { claim, house, indexes, addresses } = this
    const { end, halt } = claim
    if (halt !== undefined) return await this.#halted(halt)
    if (end === 'stay') return { gone: [], since: Date.now() }
    if (claim.lastEvent) await this.#freshAck()
    // It takes effect when `ip` is done with it, which an emulated machine needs a while for.
    const cut = house.rig.cut(indexes)
    const { doneAt } = cut
    if (end === 'outage') return await this.#healed(cut)
    if (claim.lastEvent) await this.#sendLastEvent(doneAt)
    await this.#closes(addresses, doneAt)
    return { gone: addresses, since: doneAt }
  }

  async #halted(how: 'stopped' | 'blocked'): Promise<{ gone: readonly string[]; since: number }> {
    const { claim, house, indexes, addresses } = this
    const { returned } = await house.halt(how)
    const half = Math.ceil(claim.count / 2)
    house.rig.cut(indexes.slice(0, half))
    const since = await returned
    const gone = addresses.slice(0, half)
    await this.#closes(gone, since)
    // The living must outlast the plan, too.
    await delay(Math.max(0, since + boundOf(claim) - Date.now()))
    return { gone, since }
  }

  async #healed({ startedAt, doneAt }: Fault): Promise<{ gone: readonly string[]; since: number }> {
    const { claim, house, indexes } = this
    const { toleratedOutage } = planOf(claim)
    // Healing takes about as long as the cut did, and belongs to the outage.
    const heals = doneAt - startedAt
    await delay(startedAt + toleratedOutage - OUTAGE_MARGIN - heals - Date.now())
    const lasted = house.rig.heal(indexes).doneAt - startedAt
    if (lasted > toleratedOutage) {
      throw new MissedMoment(`an outage of ${toleratedOutage} ms lasted ${lasted} ms`)
    }
    await delay(claim.detectWithin + 2_000)
    return { gone: [], since: startedAt }
  }

  async #freshAck(): Promise<void> {
    const { house, id } = this
    await house.server.call('send', id, 20)
    await waitFor('the ACK', async () => {
      const queues = await house.server.call<Queue[]>('queues', id)
      return queues.every(({ unacked }) => unacked === 0)
    })
  }

  async #sendLastEvent(cutAt: number): Promise<void> {
    await delay(cutAt + keepAliveIdle(this.claim) - 100 - Date.now())
    await this.house.server.call('send', this.id, 20)
  }

  async #closes(gone: readonly string[], since: number): Promise<void> {
    const deadline = since + boundOf(this.claim) + OVERTIME
    for (;;) {
      const served = await this.#served()
      const open = served.filter(({ address, closedAt }) => gone.includes(address) && !closedAt)
      if (open.length === 0 || Date.now() > deadline) return
      await delay(POLL)
    }
  }

  /** Those that vanished read what their kernels still hold; they must find every event that was called delivered. */
  async #overReports(gone: readonly Served[]): Promise<number> {
    const { claim, house, id } = this
    if (claim.by !== 'stream' || claim.habit === 'shrunk' || claim.heartbeat) return 0
    const reported = gone.filter(({ delivered }) => delivered !== undefined)
    if (reported.length === 0) return 0
    await house.clients.call('readOut', id)
    await delay(1_000 + longestRoundTrip(claim.shape))
    const seen = new Map(
      (await house.clients.call<Seen[]>('seen', id)).map(({ address, events }) => [
        address,
        events,
      ]),
    )
    return reported.filter(({ address, delivered = 0 }) => delivered > (seen.get(address) ?? 0))
      .length
  }

  async #served(): Promise<Served[]> {
    const served = await this.house.server.call<Served[]>('served', this.id)
    if (this.claim.by === 'port') await this.#addPortCloses(served)
    return served
  }

  /** A server learns of the end when it next reads or writes, and not of its reason. */
  async #addPortCloses(served: readonly Served[]): Promise<void> {
    const { house, addresses } = this
    for (const close of await house.guards.call<PortClose[]>('closes', addresses)) {
      const ended = served.find(({ address }) => address === close.remoteAddress)
      if (ended === undefined) continue
      ended.reason = close.reason
      ended.closedAt = close.at
      noteEvidence(ended, close.evidence)
    }
  }
}
